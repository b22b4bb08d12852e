//! Elections are refused where the file system is known not to carry them.

use std::sync::atomic::AtomicU64;

use single_primary::call::{Call, Failure, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, FileSystem, InstanceId, Options, Os, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The operating system, but for what it tells of the file system.
struct Elsewhere {
    os: Os,
    reply: Reply,
}

impl Kernel for Elsewhere {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        if matches!(call, Call::FileSystem(_)) { self.reply.clone() } else { self.os.perform(call) }
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.os.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.os.end_waits();
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

fn join_on(options: Options, reply: Reply) -> Result<(), single_primary::Error> {
    let os = Os::new(options.paths());
    options.start_on(Elsewhere { os, reply })?.decided().map(drop)
}

#[test]
fn a_file_system_known_not_to_hold_is_refused() -> Result {
    let directory = tempfile::tempdir()?;
    let election = directory.path().join("election");
    let options = || Election::options(&election).window(std::time::Duration::ZERO);
    for (number, refused) in [
        (0x6969, Some("NFS")),
        (0xFF53_4D42, Some("SMB")),
        (0xFE53_4D42, Some("SMB")),
        (0x0102_1997, Some("9p")),
        (0x00C3_6400, Some("Ceph")),
        (0xEF53, None),
        (0x0102_1994, None),
        (0x6573_5546, None),
        (0, None),
        (0xDEAD_BEEF, None),
    ] {
        let reply = Reply::FileSystem(FileSystem(number));
        let joined = join_on(options(), reply.clone());
        assert_eq!(joined.as_ref().err().map(single_primary::Error::cause), refused.map(Cause::FileSystem).as_ref());
        if let Err(error) = joined {
            let text = error.to_string();
            let start = format!("{}: fstatfs: on {}, which cannot", election.display(), refused.unwrap_or_default());
            assert!(text.starts_with(&start), "{text}");
            assert!(!election.join("journal").exists(), "a refused directory is left alone");
        } else {
            std::fs::remove_dir_all(&election)?;
        }
        join_on(options().allow_any_file_system(true), reply)?;
        std::fs::remove_dir_all(&election)?;
    }
    Ok(())
}

#[test]
fn a_file_system_that_cannot_be_told_is_refused() -> Result {
    let directory = tempfile::tempdir()?;
    let options = || Election::options(directory.path().join("election")).window(std::time::Duration::ZERO);
    let refused = join_on(options(), Reply::Failed(Failure(5))).expect_err("it cannot be told");
    assert_eq!(refused.cause(), &Cause::Io(Failure(5)));
    join_on(options().allow_any_file_system(true), Reply::Failed(Failure(5)))?;
    Ok(())
}

#[test]
fn the_operating_system_tells_the_file_system() -> Result {
    let directory = tempfile::tempdir()?;
    let os = Os::new(Election::options(directory.path()).paths());
    let handle = single_primary::call::Handle::DIRECTORY;
    let open = Call::Open {
        handle,
        name: single_primary::call::Name::Directory,
        access: single_primary::call::Access::Directory,
    };
    assert_eq!(os.perform(&open), Reply::Done);
    let Reply::FileSystem(told) = os.perform(&Call::FileSystem(handle)) else { panic!("no file system was told") };
    if cfg!(target_os = "linux") {
        assert_ne!(told, FileSystem::UNKNOWN);
        assert_eq!(told.refused(), None, "temporary files are on {told}");
    } else {
        assert_eq!(told, FileSystem::UNKNOWN);
    }
    Ok(())
}
