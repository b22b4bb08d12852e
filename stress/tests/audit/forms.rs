//! In which forms logs are read: layouts of JSON, encodings, compression, rotation.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{KEY, Result, audit, entry, stress, told};

const BY_ID: [&str; 2] = ["--key", "id"];

fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text)?;
    Ok(encoder.finish()?)
}

/// Checks that of four entries of three events the two of `e3` are seen.
fn sees_e3_twice(arguments: &[&str], log: impl AsRef<[u8]>) -> Result<Value> {
    let report = audit(arguments, log.as_ref(), 1)?;
    let shown = String::from_utf8_lossy(log.as_ref()).into_owned();
    assert_eq!(report["histogram"], json!({"1": 2, "2": 1}), "{arguments:?}: {shown}");
    assert_eq!(report["first_offenders"][0]["event"], "e3");
    assert_eq!(report["not_understood"], json!([]), "{arguments:?}: {shown}");
    Ok(report)
}

/// Four entries, of which two are of `e3`.
fn entries() -> [String; 4] {
    ["e1", "e2", "e3", "e3"].map(|id| format!("{{\"id\":\"{id}\",\"m\":{{\"k\":1}}}}"))
}

#[test]
fn json_is_read_in_every_layout() -> Result {
    let lines = entries();
    let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let pretty: Vec<_> = values.iter().map(serde_json::to_string_pretty).collect::<Result<_, _>>()?;
    for log in [
        lines.join("\n") + "\n",
        lines.join("\n"),
        lines.join("\r\n") + "\r\n",
        lines.join(",\n") + ",\n",
        lines.concat(),
        lines.join(" ") + "\n",
        lines[..2].concat() + "\n" + &lines[2..].join(","),
        format!("[{}]", lines.join(",")),
        format!("[{}]\n[{}]\n", lines[..2].join(","), lines[2..].join(", ")),
        format!("[\n{}\n]\n", lines.join(",\n")),
        serde_json::to_string_pretty(&values)?,
        pretty.join("\n"),
        pretty.join(",\n"),
        pretty.concat(),
        lines.map(|line| format!("2026-11-29 22:24:18 [INFO] [7] worker {{main}}: {line}\n")).concat(),
        entries().map(|line| format!("[12:00:01] {line} took 3 ms\n")).concat(),
        entries().map(|line| format!("\u{1E}{line}\n")).concat(),
        format!("\u{FEFF}{}", entries().join("\n\u{FEFF}")),
        "\0".repeat(5000) + &entries().join("\n") + "\n",
    ] {
        sees_e3_twice(&BY_ID, log)?;
    }
    let within_strings = entries().map(|line| format!("{}\n", json!({"log": line + "\n", "stream": "stdout"})));
    sees_e3_twice(&["--key", "log.id"], within_strings.concat())?;
    let hint = told(&BY_ID, within_strings.concat().as_bytes(), 3)?.1;
    assert!(hint.contains("--key 'log.id'"), "{hint}");
    let as_bytes = entries().map(|line| format!("{}\n", json!({"MESSAGE": line.as_bytes(), "PRIORITY": "6"})));
    sees_e3_twice(&["--key", "MESSAGE.id"], as_bytes.concat())?;
    sees_e3_twice(&["--pattern", r#""id":"(\w+)""#], as_bytes.concat())?;
    sees_e3_twice(&["--pattern", r#""id":"(\w+)""#], "\0".repeat(5000) + &entries().join("\n") + "\n")?;
    Ok(())
}

#[test]
fn text_is_read_in_every_encoding() -> Result {
    let text = entries().join("\r\n") + "\r\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (log, forms) in [
        (little.clone(), json!(["UTF-16LE"])),
        (big.clone(), json!(["UTF-16BE"])),
        ([&b"\xFF\xFE"[..], &little].concat(), json!(["UTF-16LE"])),
        ([&b"\xFE\xFF"[..], &big].concat(), json!(["UTF-16BE"])),
        (gzip(&little)?, json!(["UTF-16LE", "gzip"])),
    ] {
        assert_eq!(sees_e3_twice(&BY_ID, &log)?["logs"][0]["forms"], forms);
        sees_e3_twice(&["--pattern", r#""id":"(\w+)""#], &log)?;
    }
    // Latin-1, also in the name itself.
    let latin1 =
        b"{\"m\":\"caf\xE9\",\"id\":\"e1\"}\n{\"id\":\"e2\"}\n{\"id\":\"e3\"}\n{\"id\":\"e3\",\"m\":\"\xE9\"}\n";
    sees_e3_twice(&BY_ID, latin1)?;
    let names = b"{\"id\":\"\xE9\"}\n{\"id\":\"\xE8\"}\n{\"id\":\"\xE9\"}\n";
    assert_eq!(audit(&BY_ID, names, 1)?["first_offenders"][0]["event"], "\u{e9}");
    // Appended by a shell that writes another encoding than what is there.
    let appended = [text.as_bytes(), &little].concat();
    let (_, told) = told(&["--key", "id", "--expect", "2"], &appended, 3)?;
    assert!(told.contains("UTF-16"), "{told}");
    Ok(())
}

#[test]
fn compressed_logs_are_read() -> Result {
    let plain = ["a0", "a1", "a2", "a3", "a4"].map(|id| format!("{{\"id\":\"{id}\"}}\n")).concat();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(plain.as_bytes())?;
    let packed = [
        plain.clone().into_bytes(),
        gzip(plain.as_bytes())?,
        bzip2.finish()?,
        include_bytes!("a.log.zst").to_vec(),
        include_bytes!("a.log.xz").to_vec(),
        [gzip(plain.as_bytes())?, vec![0; 512]].concat(),
    ];
    for (number, first) in packed.iter().enumerate() {
        assert_eq!(audit(&BY_ID, first, 0)?["histogram"], json!({"1": 5}), "{number}");
        for second in &packed {
            let both = [&first[..], second].concat();
            assert_eq!(audit(&BY_ID, &both, 1)?["histogram"], json!({"2": 5}), "{number}");
            assert_eq!(audit(&["--pattern", r#""id":"(\w+)""#], &both, 1)?["histogram"], json!({"2": 5}), "{number}");
        }
        let output = stress(&BY_ID, &[Path::new("-")], Some(first))?;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // What is cut off or damaged is named, and what was found before that stands.
    for (packed, name) in packed[1..5].iter().zip(["gzip", "bzip2", "zstd", "xz"]) {
        let cut = &packed[..packed.len() - 5];
        for (log, exit) in [(cut.to_vec(), 4), ([plain.repeat(2).as_bytes(), cut].concat(), 1)] {
            let (report, stderr) = told(&BY_ID, &log, exit)?;
            assert!(stderr.contains(&format!("the {name} data is damaged or cut off")), "{stderr}");
            assert!(report["logs"][0]["failure"].is_string(), "{report}");
        }
    }
    let other = told(&["--pattern", "id=([0-9]+)"], b"\x04\x22\x4D\x18\x60\x40\x82 id=7\x0b\0\0\n\x01\n", 3)?;
    assert!(other.1.contains("binary data"), "{}", other.1);
    Ok(())
}

#[test]
fn rotated_logs_are_read_from_the_oldest_on() -> Result {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.log"), entry("e4") + &entry("e1"))?;
    std::fs::write(path("a.log.1"), entry("e3"))?;
    std::fs::write(path("a.log.2.gz"), gzip((entry("e1") + &entry("e2")).as_bytes())?)?;
    let (current, first, second) = (path("a.log"), path("a.log.1"), path("a.log.2.gz"));
    let arguments = [&KEY[..], &["--export-json", "-"]].concat();
    let output = stress(&arguments, &[&current, &first, &second], None)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["first_offenders"][0]["lines"], json!([1, 5]), "{report}");
    assert_eq!(report["logs"][2]["first_line"], 4);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("a.log.2.gz:1") && stderr.contains("a.log:2"), "{stderr}");
    // A file and standard input.
    let output = stress(&arguments, &[&first, Path::new("-")], Some(entry("e3").as_bytes()))?;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn what_is_not_understood_is_named_for_what_it_looks_like() -> Result {
    let check = |log: &[u8], words: &str| -> Result {
        let log = [b"{\"id\":\"a\"}\n", log, b"\n{\"id\":\"b\"}\n"].concat();
        let (report, stderr) = told(&BY_ID, &log, 3)?;
        assert!(stderr.contains(words), "{words}: {stderr}");
        assert_eq!(report["histogram"], json!({"1": 2}), "{words}");
        assert_eq!(report["not_understood"][0]["first_line"], 2);
        assert_eq!(audit(&["--key", "id", "--lenient"], &log, 0)?["histogram"], json!({"1": 2}));
        Ok(())
    };
    check(b"{\"id\":NaN}", "NaN or Infinity")?;
    check(b"{\"id\":\"c\",\"x\":-Infinity}", "NaN or Infinity")?;
    check(b"{\"id\":\"c\",\"m\":\"trunc", "cut off")?;
    check(b"12:00 {\"id\":\"c\",\"m\":{\"x\":1},", "cut off")?;
    check(b"{'id': 'c'}", "Python")?;
    check(b"level=info id=c", "key=value")?;
    check(b"server started", "plain text")?;
    check(b"<event id=\"c\"/>", "XML")?;
    check(b"{\"id\":[{\"a\":1}]}", "an array of objects")?;
    check(b"{\"id\":{\"a\":1}}", "an object")?;
    check(b"{\"id\":\"c\0\0\0d\"}", "zeros")?;
    check(b"]", "an array that did not begin")?;
    check(b"\x04\x22\x4D\x18\x01\0\0", "lz4")?;
    // The beginning of an indented value is lost: what is within it is no entry.
    check(b"  \"m\": 1,\n  \"list\": [\n    {\"id\":\"c\"}\n  ]\n}", "damaged")?;
    let trailing = told(&BY_ID, b"{\"id\":\"a\"} trailing\n{\"id\":\"a\"}\n", 1)?.1;
    assert!(trailing.contains("plain text"), "{trailing}");
    let (_, open) = told(&BY_ID, b"[\n{\"id\":\"a\"},\n{\"id\":\"b\"}\n", 3)?;
    assert!(open.contains("an array that does not end"), "{open}");
    let half: String = (0..100)
        .map(|number| {
            if number % 2 == 0 {
                format!("{{\"id\":\"e{number}\",\"m\":\"trunc\n")
            } else {
                format!("{{\"id\":\"e{number}\"}}\n")
            }
        })
        .collect();
    let report = audit(&BY_ID, half.as_bytes(), 3)?;
    assert_eq!((&report["not_understood"][0]["count"], &report["histogram"]), (&json!(50), &json!({"1": 50})));
    Ok(())
}

#[test]
fn long_lines_are_read_up_to_a_limit() -> Result {
    // The event comes last, behind a string and an array that nobody needs.
    let filler = "y\\\"\u{e9}".repeat(300_000);
    let mut array = String::new();
    for number in 0..200_000 {
        write!(array, "{number},")?;
    }
    let log = format!(
        "{{\"text\":\"{filler}\",\"id\":\"long\"}}\n{{\"id\":\"short\"}}\n{{\"array\":[{array}0],\"id\":\"long\"}}\n\
         {{\"text\":\"{filler}\",\"id\":\"torn\n{{\"id\":\"last\"}}"
    );
    let report = audit(&BY_ID, log.as_bytes(), 1)?;
    assert_eq!(report["first_offenders"][0]["lines"], json!([1, 3]));
    assert_eq!((&report["lines"], &report["passed_over"]["malformed"]), (&json!(5), &json!(1)));
    assert_eq!(report["histogram"], json!({"1": 2, "2": 1}));

    // Nothing is said of a line that is longer than what is kept of one.
    let endless = "x".repeat(17 << 20);
    let log = format!("{{\"id\":\"a\",\"text\":\"{endless}\"}}\n{{\"id\":\"b\"}}\n");
    for arguments in [&BY_ID, &["--pattern", r#""id":"(\w+)""#]] {
        let report = audit(arguments, log.as_bytes(), 3)?;
        assert_eq!((&report["passed_over"]["given_up"], &report["entries"]), (&json!(1), &json!(1)));
        assert_eq!(report["lines"], 2);
    }
    Ok(())
}
