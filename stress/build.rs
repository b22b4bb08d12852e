//! Lays what a forked process runs side by side in the program, where the linker takes scripts.

fn main() {
    println!("cargo::rerun-if-changed=round.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bin=stress=-Wl,-T,{directory}/round.ld");
        // Linux maps so much at a fault, from a multiple of it on: the sections are to begin at one wherever the program is put.
        println!("cargo::rustc-link-arg-bin=stress=-Wl,-z,max-page-size=0x10000");
    }
}
