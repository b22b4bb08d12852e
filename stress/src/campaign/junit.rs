//! The report as `JUnit` XML: a test case for each promise and for each fault that was asked for.

use models::verdict::Verdict;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::report::Report;
use crate::failure::Failure;

/// The XML.
pub(crate) fn render(report: &Report) -> Result<String, Failure> {
    let mut suite = TestSuite::new(format!("stress campaign {}", report.protocol));
    let mut case = |name: String, broken: Option<String>| {
        let mut status = TestCaseStatus::success();
        if let Some(message) = broken {
            status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message);
        }
        let mut case = TestCase::new(name, status);
        case.set_classname(format!("stress.{}", report.protocol));
        suite.add_test_case(case);
    };
    let several = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    case("single primary".into(), several(report.primaries.many, "rounds with several primaries at once"));
    let wrong = report.wrong_primary.unwrap_or(0);
    case(
        "the primary is the smallest".into(),
        several(wrong, "tenures of an instance that the journal does not elect"),
    );
    case("no event is lost".into(), several(report.events.never, "events without an entry"));
    case("no event is doubled".into(), several(report.events.many, "events with several entries"));
    let late = report.failover_bound.is_broken().then(|| report.failover_bound.to_string());
    case("failover is within its bound".into(), late);
    case("every instance ends in good order".into(), several(report.failed_instances, "instances that did not"));
    case("every trace is a path of the machine".into(), several(report.traces.mismatched, "traces that are not"));
    case("all in all".into(), several(report.violated_rounds, "violated rounds"));
    let nothing = (report.rounds == 0).then(|| "no round was run".to_owned());
    case("rounds were run".into(), nothing);
    for (kind, count) in &report.faults {
        let missing = (*count == 0).then(|| "it never happened: run more rounds".to_owned());
        case(format!("the fault {kind} happened"), missing);
    }
    suite.add_property(("command", report.command.as_str()));
    let verdict = match report.verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::Inconclusive => "inconclusive",
    };
    suite.add_property(("verdict", verdict));
    let mut junit = Junit::new("stress");
    junit.add_test_suite(suite);
    let failure = Failure::environment::<std::io::Error>("the JUnit report", "write", "report this");
    junit.to_string().map_err(|error| failure(std::io::Error::other(error)))
}
