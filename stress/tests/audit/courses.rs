//! What the numbers of entries are read as, over the length of a log.

use serde_json::json;

use super::{KEY, Result, audit, entry, told};

/// A log of events with these numbers of entries, each written at once.
fn log(entries: impl IntoIterator<Item = usize>) -> String {
    let entries = entries.into_iter().enumerate();
    entries.flat_map(|(event, entries)| std::iter::repeat_n(entry(&format!("call-{event}")), entries)).collect()
}

fn repeated(parts: &[(usize, usize)]) -> Vec<usize> {
    parts.iter().flat_map(|(events, entries)| std::iter::repeat_n(*entries, *events)).collect()
}

fn check(log: &str, arguments: &[&str], exit: i32, pattern: &str, words: &[&str]) -> Result {
    let report = audit(&[&KEY, arguments].concat(), log.as_bytes(), exit)?;
    assert_eq!(report["pattern"], pattern, "{report}");
    let reading = report["reading"].as_str().ok_or("no reading")?;
    for word in words {
        assert!(reading.contains(word), "{word}: {reading}");
    }
    Ok(())
}

#[test]
fn patterns_are_read() -> Result {
    let by_event = |entries: &dyn Fn(usize) -> usize| log((0..50).map(entries));
    check(&by_event(&|_| 1), &[], 0, "expected", &["cannot be seen without a list"])?;
    check(&by_event(&|_| 4), &[], 1, "constant", &["4 instances share one ID"])?;
    check(&by_event(&|_| 4), &["--expect", "4"], 0, "expected", &["Every event"])?;
    check(&by_event(&|_| 2), &["--expect", "3"], 1, "constant", &["never do"])?;
    check(&by_event(&|event| 1 + event % 3), &[], 1, "varying", &["a race"])?;
    check(&by_event(&|event| 1 + event % 3), &["--expect", "3"], 1, "varying", &["lost"])?;
    check(
        &by_event(&|event| if event == 20 { 3 } else { 4 }),
        &[],
        1,
        "varying",
        &["nearly always the same", "identity"],
    )?;
    check(&by_event(&|event| 9 + 9 * (event % 3)), &[], 1, "multiples", &["9 copies"])?;
    check(&entry("a").repeat(3), &[], 1, "single", &["no pattern"])?;
    check("", &[], 3, "empty", &["nothing was judged"])?;
    check("{\"call_id\":1}\nno\n", &[], 3, "empty", &["check the key"])?;
    Ok(())
}

#[test]
fn a_number_that_changes_with_the_program_is_no_race() -> Result {
    let plugin = log(repeated(&[(2795, 4), (882, 1), (307, 4), (545, 1)]));
    let arguments = [&KEY[..], &["--export-html", "-"]].concat();
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("realtime.log");
    std::fs::write(&path, &plugin)?;
    let output = super::stress(&arguments, &[&path], None)?;
    let page = String::from_utf8(output.stdout)?;
    assert!(page.contains("<svg") && page.matches("class=change").count() == 3, "{page}");

    let (report, stderr) = told(&KEY, plugin.as_bytes(), 1)?;
    assert_eq!(report["pattern"], "stretches");
    let stretches = report["stretches"].as_array().ok_or("no stretches")?;
    let told: Vec<_> =
        stretches.iter().map(|stretch| json!([stretch["first_line"], stretch["events"], stretch["entries"]])).collect();
    assert_eq!(json!(told), json!([[1, 2795, 4], [11_181, 882, 1], [12_063, 307, 4], [13_291, 545, 1]]));
    let reading = report["reading"].as_str().ok_or("no reading")?;
    for words in ["mended at line 11181", "came back at line 12063", "mended at line 13291", "identity", "failing open"]
    {
        assert!(reading.contains(words), "{words}: {reading}");
    }
    assert!(!reading.contains("points at a race"), "{reading}");
    let chart =
        stderr.split("Over the log's length").nth(1).and_then(|rest| rest.split("\n\n").next()).ok_or("no chart")?;
    insta::assert_snapshot!(format!("{}\n\n{reading}", chart.trim_end()));
    Ok(())
}

#[test]
fn what_is_cut_off_by_the_edge_of_a_log_is_no_evidence() -> Result {
    let log = log(repeated(&[(200, 4)]));
    let lines: Vec<_> = log.split_inclusive('\n').collect();
    let cut = lines[1..lines.len() - 2].concat();
    check(&cut, &[], 1, "constant", &["4 instances share one ID", "cut off"])?;
    let copies = self::log((0..60).map(|event| 9 * (1 + event % 2)));
    let lines: Vec<_> = copies.split_inclusive('\n').collect();
    check(&lines[4..].concat(), &[], 1, "multiples", &["9 copies"])?;
    // Where four are expected, nothing is missing, but not all was seen.
    check(&cut, &["--expect", "4"], 3, "expected", &["cut off"])?;
    check(&cut, &["--expect", "4", "--lenient"], 0, "expected", &["cut off"])?;
    Ok(())
}

#[test]
fn a_file_that_was_read_again_is_no_election() -> Result {
    let log = log(repeated(&[(300, 1)]));
    let lines: Vec<_> = log.split_inclusive('\n').collect();
    let again = log.clone() + &lines[100..250].concat();
    check(&again, &[], 1, "repeated", &["lines 101 to 250 on lines 301 to 450", "read or collected again"])?;
    check(&log.repeat(2), &[], 1, "repeated", &["lines 1 to 300 on lines 301 to 600"])?;
    // The same events, but other lines: someone did everything again.
    let other = log.clone() + &log.replace("\"at\":1", "\"at\":2");
    check(&other, &[], 1, "constant", &["identity"])?;
    Ok(())
}

#[test]
fn offenders_lines_are_complete_or_have_an_ellipsis() -> Result {
    let (report, stderr) = told(&KEY, (entry("a").repeat(12) + &entry("b").repeat(13) + &entry("c")).as_bytes(), 1)?;
    assert!(stderr.contains("a: 12 entries, lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n"), "{stderr}");
    assert!(
        stderr.contains("b: 13 entries, lines 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \u{2026}\n"),
        "{stderr}"
    );
    assert_eq!(report["worst_offenders"][0]["lines_complete"], false);
    assert_eq!(report["worst_offenders"][1]["lines_complete"], true);
    Ok(())
}
