//! What a history must keep, round by round. Only one round is held at a time.

mod round;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use hdrhistogram::Histogram;

use self::round::{Begun, Elected, Event, Round, Tenure, Wrong};
use super::distribution::histogram;
use super::failover::Bound;
use super::format::{Line, What};

/// A longer line is none of a history: it is passed over, not held.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// More findings than this are counted, and not put into words.
const FINDINGS_MAX: usize = 1000;

/// A history that is read line by line.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    failover_max_ns: Option<u64>,
    factor: f64,
    floor: Spans,
    takeovers: Spans,
    checked: Checked,
    round: Option<Round>,
    /// Whether a line since the last round was unreadable: it may be the first one of the next.
    is_damaged: bool,
    ended: BTreeSet<u64>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
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

impl Checker {
    pub(crate) fn new(failover_max: Option<Duration>, factor: f64) -> Self {
        let nanoseconds = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self { failover_max_ns: failover_max.map(nanoseconds), factor, ..Self::default() }
    }

    /// Takes the next line.
    pub(crate) fn take(&mut self, text: &[u8]) {
        self.checked.lines += 1;
        let number = self.checked.lines;
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
        if self.round.as_ref().is_some_and(|round| round.number != line.round)
            && let Some(round) = self.round.take()
        {
            self.doubt(format!(
                "line {number}: round {} begins before round {} (from line {} on) has its end: part of it is missing",
                line.round, round.number, round.first_line
            ));
            self.judge(round, false);
        }
        if self.ended.contains(&line.round) {
            return self.doubt(format!("line {number}: round {} goes on after its end", line.round));
        }
        let is_damaged = &mut self.is_damaged;
        let round = self.round.get_or_insert_with(|| Round::new(line.round, number, std::mem::take(is_damaged)));
        round.last_ns = round.last_ns.max(line.at_ns);
        if line.what == What::End {
            self.ended.insert(line.round);
            if let Some(round) = self.round.take() {
                self.judge(round, true);
            }
        } else if let What::WakeUp { span_ns } = line.what {
            self.floor.record(span_ns);
        } else {
            match round.take(line, number) {
                Some(Wrong::Promise(violation)) => self.violation(|| violation),
                Some(Wrong::Order(doubt)) => self.doubt(doubt),
                None => {}
            }
        }
    }

    /// Says what was found in all.
    pub(crate) fn finish(mut self) -> Checked {
        if let Some(round) = self.round.take() {
            self.doubt(format!(
                "line {}: the history ends before round {} (from line {} on) does: part of it is missing",
                self.checked.lines, round.number, round.first_line
            ));
            self.judge(round, false);
        }
        if self.checked.tenures == 0 {
            self.doubt("nobody was ever primary: the history shows nothing".into());
        }
        let bound = Bound::new(&self.floor.0, &self.takeovers.0, self.factor);
        if bound.is_broken() {
            self.violation(|| format!("failover after a death: {bound}"));
        }
        self.checked.failover = bound;
        self.checked
    }

    /// Judges a round. Where part of it is missing, so may be an entry or the end of a tenure.
    fn judge(&mut self, mut round: Round, has_end: bool) {
        self.checked.rounds += 1;
        let number = round.number;
        let is_whole = has_end && !round.is_damaged;
        round.close_all(is_whole);
        let elected: HashSet<(u64, &str)> =
            round.elected.iter().map(|elected| (elected.term, elected.primary.as_str())).collect();
        round.tenures.sort_by_key(|tenure| tenure.begun.at_ns);
        self.checked.tenures += round.tenures.len() as u64;
        let mut longest: Option<&Tenure> = None;
        let mut takeovers = Vec::new();
        for tenure in &round.tenures {
            let Begun { term, at_ns, line } = tenure.begun;
            if let Some(before) = longest {
                let (other, other_line) = (&before.instance, before.begun.line);
                if before.until_ns > at_ns && other != &tenure.instance {
                    let overlap = in_words(before.until_ns.min(tenure.until_ns).saturating_sub(at_ns));
                    self.violation(|| format!(
                        "line {line}: round {number}: {} believes that it is primary while {other} (line {other_line}) does, for {overlap}",
                        tenure.instance
                    ));
                }
                if term != 0 && term <= before.begun.term {
                    self.violation(|| {
                        format!(
                            "line {line}: round {number}: term {term} follows term {} (line {other_line}): terms rise",
                            before.begun.term
                        )
                    });
                }
                if let Some(gap_ns) = at_ns.checked_sub(before.until_ns)
                    && round.died.contains(other)
                    && round.follows.get(&tenure.instance).is_some_and(|known_ns| *known_ns < before.until_ns)
                {
                    takeovers.push(gap_ns);
                }
                let gap_ns = at_ns.saturating_sub(before.until_ns);
                if self.failover_max_ns.is_some_and(|max_ns| gap_ns > max_ns) {
                    self.violation(|| format!(
                        "line {line}: round {number}: {} passed since the tenure of {other} (line {other_line}) ended",
                        in_words(gap_ns)
                    ));
                }
            }
            // The elections stand behind the tenures: of a round that is cut, some of them may be missing.
            if is_whole && !elected.is_empty() && !elected.contains(&(term, tenure.instance.as_str())) {
                self.violation(|| {
                    format!(
                        "line {line}: round {number}: {} is primary of term {term}, to which it was not elected",
                        tenure.instance
                    )
                });
            }
            if longest.is_none_or(|before| before.until_ns <= tenure.until_ns) {
                longest = Some(tenure);
            }
        }
        for gap_ns in takeovers {
            self.takeovers.record(gap_ns);
        }
        for Elected { term, primary, candidates, line } in &round.elected {
            if candidates.iter().min() != Some(primary) {
                self.violation(|| format!(
                    "line {line}: round {number}: {primary} is elected in term {term}, but is not the smallest candidate"
                ));
            }
        }
        self.checked.events += round.events.len() as u64;
        for (event, Event { delivered, logged, excused }) in &round.events {
            match (&logged[..], delivered) {
                ([], Some(line)) if is_whole && !excused => {
                    self.violation(|| format!("line {line}: round {number}: {event} was delivered and has no entry"));
                }
                ([first, second, ..], _) => self.violation(|| {
                    format!(
                        "line {second}: round {number}: {event} has {} entries, the first at line {first}",
                        logged.len()
                    )
                }),
                _ => {}
            }
        }
    }

    fn violation(&mut self, text: impl FnOnce() -> String) {
        self.checked.violations += 1;
        self.find(text);
    }

    fn doubt(&mut self, text: String) {
        self.checked.doubts += 1;
        self.find(|| text);
    }

    fn find(&mut self, text: impl FnOnce() -> String) {
        if self.checked.findings.len() < FINDINGS_MAX {
            self.checked.findings.push(text());
        }
    }
}

/// Whole microseconds, or nanoseconds where there are none.
fn in_words(span_ns: u64) -> String {
    if span_ns < 1000 { format!("{span_ns} ns") } else { format!("{} µs", span_ns / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts on a history: violations, doubts, and the first finding.
    fn check(history: &str) -> (u64, u64, String) {
        let mut checker = Checker::new(Some(Duration::from_millis(1)), 100.0);
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
        check("\"log\"", "\"deliver\"", (1, 0), "line 4: round 1: e was delivered and has no entry");
        check("\"deliver\"", "\"log\"", (1, 0), "line 5: round 1: e has 2 entries, the first at line 4");
        check("\"instance\":\"b\",\"term\":2", "\"instance\":\"b\",\"term\":1", (2, 0), "term 1 follows term 1");
        check("[\"b\",\"a\"]", "[\"b\",\"a\",\"0\"]", (1, 0), "line 1: round 1: a is elected in term 1, but is not");
        check("\"primary\":\"b\"", "\"primary\":\"c\"", (2, 0), "to which it was not elected");
        let end = |from: u64, until: u64| {
            let believe = format!("{from},\"what\":\"believe\",\"instance\":\"b\",\"term\":2}}");
            format!("{believe}\n{{\"round\":1,\"at_ns\":{until},\"what\":\"leave\"")
        };
        check(&end(21, 30), &end(2_100_021, 2_100_030), (1, 0), "2100 µs passed since the tenure of a");
        check("\"believe\",\"instance\":\"b\"", "\"believe\",\"instance\":\"a\"", (1, 0), "after its end (line 6)");
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
