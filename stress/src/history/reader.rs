//! A history read line by line, and judged round by round. Only one round is held at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::distribution::{float, histogram};
use super::failover::{Bound, FACTOR_EACH};
use super::findings::Finding;
use super::format::{Line, What};
use super::judge::{Account, Judged};

/// A longer line is none of a history: it is passed over, not held.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// More findings than this are counted, and not put into words.
const FINDINGS_MAX: usize = 1000;

/// A history that is read line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    failover_max_ns: Option<u64>,
    factor: Option<f64>,
    /// The most that took part in a round.
    instances: usize,
    floor: Spans,
    takeovers: Spans,
    read: Read,
    round: Option<Account>,
    /// Whether a line since the last round was unreadable: it may be the first one of the next.
    is_damaged: bool,
    ended: BTreeSet<u64>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) lines: u64,
    pub(crate) rounds: u64,
    pub(crate) tenures: u64,
    pub(crate) events: u64,
    pub(crate) violations: u64,
    /// Reasons why the history says too little.
    pub(crate) doubts: u64,
    /// How soon the dead were succeeded.
    pub(crate) failover: Bound,
    /// Violations and doubts in words, each with its lines.
    pub(crate) findings: Vec<String>,
}

/// Spans of nanoseconds, however many there are.
#[derive(Debug)]
struct Spans(Histogram<u64>);

impl Default for Spans {
    fn default() -> Self {
        Self(histogram())
    }
}

impl Spans {
    fn record(&mut self, span_ns: u64) {
        self.0.saturating_record(span_ns.max(1));
    }
}

impl Reader {
    pub(crate) fn new(failover_max: Option<Duration>, factor: Option<f64>) -> Self {
        let nanoseconds = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self { failover_max_ns: failover_max.map(nanoseconds), factor, ..Self::default() }
    }

    /// Takes the next line.
    pub(crate) fn take(&mut self, text: &[u8]) {
        self.read.lines += 1;
        let number = self.read.lines;
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let line: Line = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) => {
                let cut = match text {
                    [.., b'\n'] => "",
                    _ if text.len() == LINE_BYTES_MAX => ", and longer than any",
                    _ => ", and ends within the line",
                };
                match &mut self.round {
                    Some(round) => round.is_damaged = true,
                    None => self.is_damaged = true,
                }
                return self.doubt(format!("line {number}: not a line of a history{cut}: {error}"));
            }
        };
        if self.round.as_ref().is_some_and(|round| round.round != line.round)
            && let Some(round) = self.round.take()
        {
            self.doubt(format!(
                "line {number}: round {} begins before round {} (from line {} on) has its end: part of it is missing",
                line.round, round.round, round.first_line
            ));
            self.judge(round, false);
        }
        if self.ended.contains(&line.round) {
            return self.doubt(format!("line {number}: round {} goes on after its end", line.round));
        }
        let is_damaged = &mut self.is_damaged;
        let round = self.round.get_or_insert_with(|| Account::new(line.round, number, std::mem::take(is_damaged)));
        if let What::Begin(begin) = &line.what {
            self.instances = self.instances.max(begin.instances.len());
        }
        let (is_end, number_of_round) = (line.what == What::End, line.round);
        if let Err(doubt) = round.take(line, number) {
            self.doubt(format!("line {number}: round {number_of_round}: {doubt}"));
        }
        if is_end {
            self.ended.insert(number_of_round);
            if let Some(round) = self.round.take() {
                self.judge(round, true);
            }
        }
    }

    /// Says what was found in all.
    pub(crate) fn finish(mut self) -> Read {
        if let Some(round) = self.round.take() {
            self.doubt(format!(
                "line {}: the history ends before round {} (from line {} on) does: part of it is missing",
                self.read.lines, round.round, round.first_line
            ));
            self.judge(round, false);
        }
        if self.read.tenures == 0 {
            self.doubt("nobody was ever primary: the history shows nothing".into());
        }
        // Histories without that line are of four, as those of campaigns are unless they are told otherwise.
        let instances = if self.instances == 0 { 4 } else { self.instances };
        let factor = self.factor.unwrap_or_else(|| FACTOR_EACH * float(instances as u64));
        let bound = Bound::new(&self.floor.0, &self.takeovers.0, factor);
        if bound.is_broken() {
            self.violation(|| format!("failover after a death: {bound}"));
        }
        self.read.failover = bound;
        self.read
    }

    /// Judges a round. Where part of it is missing, so may be an entry or the end of a tenure.
    fn judge(&mut self, round: Account, has_end: bool) {
        let number = round.round;
        let Judged { findings, unjudged, entries, tenures, takeovers_ns, wake_ups_ns, .. } =
            round.judge(has_end, self.failover_max_ns);
        self.read.rounds += 1;
        self.read.tenures += tenures;
        self.read.events += entries.delivered;
        for span_ns in takeovers_ns {
            self.takeovers.record(span_ns);
        }
        for span_ns in wake_ups_ns {
            self.floor.record(span_ns);
        }
        for Finding { promise: _, line, text } in findings.all() {
            let place = line.map_or(String::new(), |line| format!("line {line}: "));
            self.violation(|| format!("{place}round {number}: {text}"));
        }
        if let Some(why) = unjudged {
            self.doubt(format!("round {number}: {why}"));
        }
    }

    fn violation(&mut self, text: impl FnOnce() -> String) {
        self.read.violations += 1;
        self.find(text);
    }

    fn doubt(&mut self, text: String) {
        self.read.doubts += 1;
        self.find(|| text);
    }

    fn find(&mut self, text: impl FnOnce() -> String) {
        if self.read.findings.len() < FINDINGS_MAX {
            self.read.findings.push(text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts on a history: violations, doubts, and the first finding.
    fn check(history: &str) -> (u64, u64, String) {
        let mut checker = Reader::new(Some(Duration::from_millis(1)), Some(100.0));
        for line in history.split_inclusive('\n') {
            checker.take(line.as_bytes());
        }
        let found = checker.finish();
        (found.violations, found.doubts, found.findings.first().cloned().unwrap_or_default())
    }

    const GOOD: &str = r#"{"round":1,"at_ns":0,"what":"elect","term":1,"primary":"a","candidates":["b","a"]}
{"round":1,"at_ns":0,"what":"elect","term":2,"primary":"b","candidates":["b"]}
{"round":1,"at_ns":10,"what":"believe","instance":"a","term":1}
{"round":1,"at_ns":11,"what":"deliver","instance":"a","event":"e"}
{"round":1,"at_ns":12,"what":"log","instance":"a","event":"e"}
{"round":1,"at_ns":20,"what":"die","instance":"a"}
{"round":1,"at_ns":21,"what":"believe","instance":"b","term":2}
{"round":1,"at_ns":30,"what":"leave","instance":"b"}
{"round":1,"at_ns":30,"what":"end"}
"#;

    #[test]
    fn a_history_that_keeps_every_promise_holds() {
        assert_eq!(check(GOOD), (0, 0, String::new()));
        assert_eq!(check(&format!("{GOOD}{}", GOOD.replace("\"round\":1", "\"round\":2"))), (0, 0, String::new()));
    }

    #[test]
    fn each_broken_promise_is_found_at_its_line() {
        let check = |from: &str, to: &str, expected: (u64, u64), finding: &str| {
            assert!(GOOD.contains(from), "{from}");
            let (violations, doubts, found) = check(&GOOD.replace(from, to));
            assert_eq!((violations, doubts), expected, "{to}: {found}");
            assert!(found.contains(finding), "{found}");
        };
        let overlap = "line 7: round 1: b believes that it is primary while a (line 3) does, for 1 ns";
        check("\"at_ns\":21", "\"at_ns\":19", (1, 0), overlap);
        let (logs, receives) = ("\"log\",\"instance\":\"a\"", "\"deliver\",\"instance\":\"b\"");
        check(logs, receives, (1, 0), "line 4: round 1: e was delivered and has no entry");
        check("\"deliver\"", "\"log\"", (1, 0), "line 5: round 1: e has 2 entries, the first at line 4");
        check("\"instance\":\"b\",\"term\":2", "\"instance\":\"b\",\"term\":1", (2, 0), "term 1 follows term 1");
        check("[\"b\",\"a\"]", "[\"b\",\"a\",\"0\"]", (1, 0), "line 1: round 1: a is elected in term 1, but is not");
        check("\"primary\":\"b\"", "\"primary\":\"c\"", (2, 0), "to which it was not elected");
        let end = |from: u64, until: u64| {
            let believe = format!("{from},\"what\":\"believe\",\"instance\":\"b\",\"term\":2}}");
            format!("{believe}\n{{\"round\":1,\"at_ns\":{until},\"what\":\"leave\"")
        };
        check(&end(21, 30), &end(2_100_021, 2_100_030), (1, 0), "2100 µs passed since the tenure of a");
        check("\"believe\",\"instance\":\"b\"", "\"believe\",\"instance\":\"a\"", (2, 0), "after its end (line 6)");
    }

    #[test]
    fn failovers_are_judged_by_what_bare_locks_took() {
        let check = |span_ns: u64, expected: u64| {
            let round = |number: u64| {
                let wake_up = format!("{{\"round\":1,\"at_ns\":0,\"what\":\"wake-up\",\"span_ns\":{span_ns}}}\n");
                let follow = "{\"round\":1,\"at_ns\":15,\"what\":\"follow\",\"instance\":\"b\"}\n";
                let late = GOOD.replace("\"at_ns\":21", "\"at_ns\":90021").replace("\"at_ns\":30", "\"at_ns\":90030");
                format!("{wake_up}{follow}{late}").replace("\"round\":1", &format!("\"round\":{number}"))
            };
            let (violations, doubts, found) = check(&(0..30).map(round).collect::<String>());
            assert_eq!((violations, doubts), (expected, 0), "{found}");
            assert!(
                expected == 0 || found.starts_with("failover after a death: p50 90 µs of 30, BEYOND 80 µs"),
                "{found}"
            );
        };
        check(1_000, 0);
        check(800, 1);
    }

    #[test]
    fn what_is_cut_or_empty_proves_nothing() {
        let middle = GOOD.find("{\"round\":1,\"at_ns\":12").expect("it is there");
        let (violations, doubts, finding) = check(&GOOD[..middle + 20]);
        assert_eq!((violations, doubts), (0, 2), "{finding}");
        assert!(finding.contains("line 5: not a line of a history, and ends within the line"), "{finding}");
        let (violations, doubts, finding) = check(&GOOD[..middle]);
        assert_eq!((violations, doubts), (0, 1));
        assert!(finding.contains("line 4: the history ends before round 1 (from line 1 on) does"), "{finding}");
        let (violations, doubts, _) = check("");
        assert_eq!((violations, doubts), (0, 1), "nothing was exercised");
        let (violations, doubts, finding) = check(&GOOD.replace("\"at_ns\":12", "\"at_ns\":\"12\""));
        assert_eq!((violations, doubts), (0, 1), "the entry may stand on the line that cannot be read");
        assert!(finding.contains("line 5: not a line of a history"), "{finding}");
        let (violations, doubts, finding) = check(&GOOD.replace("\"at_ns\":20", "\"at_ns\":2"));
        assert_eq!((violations, doubts), (0, 1), "{finding}");
        assert!(finding.contains("line 6: round 1: the tenure of a (line 3) ends 8 ns before it begins"), "{finding}");
        let (violations, doubts, finding) = check(&GOOD.replace("die", "cease").replacen("believe", "follow", 1));
        assert_eq!((violations, doubts), (0, 1), "{finding}");
        let unexplained = GOOD.replace("\"log\",\"instance\":\"a\"", "\"excuse\",\"why\":\" \"");
        assert_eq!(check(&unexplained).2, "line 5: round 1: e is excused without a reason");
        let again = "{\"round\":1,\"at_ns\":13,\"what\":\"believe\",\"instance\":\"a\",\"term\":9}\n";
        let (end, rest) = GOOD.split_at(GOOD.find("{\"round\":1,\"at_ns\":20").expect("it is there"));
        let (violations, ..) = check(&format!("{end}{again}{}", rest.replace("\"at_ns\":21", "\"at_ns\":11")));
        assert!(violations > 0, "who believes anew has believed before");
        let excused = GOOD.replace("\"log\",\"instance\":\"a\"", "\"excuse\",\"why\":\"died\"");
        assert_eq!(check(&excused), (0, 0, String::new()));
    }
}
