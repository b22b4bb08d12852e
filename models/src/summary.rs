//! What people read of a check: pure functions of its report.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use models::promises::{By, Check, PROMISES, Promised};
use models::verdict::{Report, Verdict};
use models::zoo::PROTOCOLS;

use crate::Checker;

/// What a report comes to, in a few lines.
pub(crate) fn summary(report: &Report) -> String {
    let Report {
        protocol, checker, registrants, instances: _, processes: _, crashes, expected, verdict, complete, ..
    } = report;
    let Report { states, executions, behaviours, ends, seconds, why, parts, counterexample: _, .. } = report;
    let mut text = format!(
        "{protocol}: {verdict} ({checker}, expected: {expected}), {registrants} registrants, {crashes} crashes, "
    );
    for (count, what) in [(states, "states"), (executions, "executions"), (behaviours, "behaviours")] {
        if let Some(count) = count {
            let _ = write!(text, "{count} {what}, ");
        }
    }
    if *verdict != Verdict::Violated {
        let _ = write!(text, "{} outcomes, ", ends.len());
    }
    let _ = writeln!(text, "{seconds:.1} s{}", if *complete { ", all there are" } else { "" });
    if parts.len() > 1 {
        for part in parts {
            let _ = writeln!(
                text,
                "  {:<50} {:<12} {:>10} states {:>6.1} s  {}",
                part.about, part.verdict, part.states, part.seconds, part.bounds
            );
        }
    }
    if let Some(why) = why {
        let _ = writeln!(text, "  {why}");
    }
    text
}

/// Every check, expected against found.
pub(crate) fn table(reports: &[Report]) -> String {
    let mut text = format!(
        "\n{:<20} {:<12} {:<14} {:<14} {:>10} {:>8} {:>7} {:>6} {:>8}\n",
        "protocol", "checker", "expected", "found", "looked at", "outcomes", "share", "steps", "seconds"
    );
    for report in reports {
        let mark = if report.verdict == report.expected { "" } else { "  <- not as expected" };
        let outcomes = if report.verdict == Verdict::Violated { String::new() } else { report.ends.len().to_string() };
        let share = report.share_of_exhaustive.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share));
        let _ = writeln!(
            text,
            "{:<20} {:<12} {:<14} {:<14} {:>10} {outcomes:>8} {share:>7} {:>6} {:>8.1}{mark}",
            report.protocol,
            report.checker,
            report.expected,
            report.verdict,
            report.states.or(report.executions).unwrap_or_default(),
            report.counterexample.len(),
            report.seconds,
        );
    }
    let count = |admitted: fn(&Report) -> bool| reports.iter().filter(|report| admitted(report)).count();
    let as_expected = count(|report| report.verdict == report.expected);
    let inconclusive = count(|report| report.verdict == Verdict::Inconclusive);
    let seconds: f64 = reports.iter().map(|report| report.seconds).sum();
    let _ = writeln!(
        text,
        "\n{} checks in {seconds:.1} s: {as_expected} as expected, {} not, {inconclusive} inconclusive",
        reports.len(),
        reports.len() - as_expected - inconclusive,
    );
    text
}

/// Which protocols and checkers there are.
pub(crate) fn list() -> String {
    let mut text = String::from("Protocols\n");
    for protocol in PROTOCOLS {
        let _ = writeln!(text, "  {:<20} {}: {}", protocol.name, protocol.expected(), protocol.summary);
        if let Some(broken_by) = protocol.broken_by {
            let _ = writeln!(text, "  {:<20} broken by: {broken_by}", "");
        }
    }
    text.push_str("Checkers\n");
    for checker in Checker::value_variants() {
        if let Some(value) = checker.to_possible_value() {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {:<20} {help}", value.get_name());
        }
    }
    text
}

/// What is promised, what can break it, and what that is shown to notice.
pub(crate) fn promises() -> String {
    let mut text = String::new();
    for Promised { id, title, text: said, checks } in PROMISES {
        let _ = writeln!(text, "{id} {title}: {said}");
        for Check { by, edit } in *checks {
            let (kind, what) = match by {
                By::Space(about) => ("space", (*about).to_owned()),
                By::Test(file, name) => ("test", format!("{file}: {name}")),
                By::Campaign(fault) => ("campaign", format!("--faults {fault}")),
            };
            let notices = edit.map_or(String::new(), |edit| format!("  notices {edit}"));
            let _ = writeln!(text, "  {}", format!("{kind:<9} {what:<100}{notices}").trim_end());
        }
    }
    text
}
