//! The judge of a round: who was primary when, whether it was the right one, and what became of every event.
//!
//! The history is all that is looked at, so that a campaign and whoever reads its exported history come to the same
//! verdict. Nothing here shares code with the election: a fault in its fold, its codec or its log is seen, not repeated.

mod account;
mod entries;
mod oracle;
mod tenure;

use std::collections::{BTreeMap, HashSet};

pub(crate) use account::Account;
pub(crate) use entries::Entries;
pub(crate) use oracle::{elections, entries_in, event_of, records};
pub(crate) use tenure::{Tenure, most_at_once};

use self::account::{Elected, Event, Held, Instance};
use self::entries::Fate;
use super::findings::{Findings, Promise};
use super::format::{Begin, Line};

/// What a round comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) findings: Findings,
    /// Why nothing follows from what is missing in it.
    pub(crate) unjudged: Option<String>,
    /// The most that were primary at one moment; nothing where nobody says who is.
    pub(crate) primaries: Option<usize>,
    pub(crate) entries: Entries,
    pub(crate) tenures: u64,
    /// Instances that took no part, or did not end in good order, without a reason.
    pub(crate) failed: u64,
    /// How often each kind of fault happened.
    pub(crate) faults: BTreeMap<String, u64>,
    /// From the start of each instance to its first verdict.
    pub(crate) latencies_ns: Vec<u64>,
    /// From the end of each tenure to the beginning of the one that followed it, where they do not overlap.
    pub(crate) failovers_ns: Vec<u64>,
    /// From the death of each primary to the next tenure of one who knew of it, where they do not overlap.
    pub(crate) takeovers_ns: Vec<u64>,
    pub(crate) wake_ups_ns: Vec<u64>,
}

/// Judges a round whose lines are all there.
pub(crate) fn judge(lines: &[Line]) -> Judged {
    let mut account = Account::new(lines.first().map_or(0, |line| line.round), 1, false);
    let mut disorder = None;
    for (number, line) in (1..).zip(lines) {
        disorder = disorder.or(account.take(line.clone(), number).err());
    }
    let mut judged = account.judge(true, None);
    judged.unjudged = judged.unjudged.or(disorder);
    judged
}

impl Account {
    /// Judges the round. Where part of it is missing, so may be an entry or the end of a tenure. `gap_max_ns` is how long may
    /// pass between two tenures.
    pub(crate) fn judge(mut self, has_end: bool, gap_max_ns: Option<u64>) -> Judged {
        let is_whole = has_end && !self.is_damaged;
        self.close_all(is_whole);
        self.tenures.sort_by_key(|held| held.tenure.from_ns);
        let tenures = || self.tenures.iter().map(|held| held.tenure);
        let speaks = self.instances.values().any(|instance| instance.verdict_ns.is_some());
        let may_be_silent = self.begin.as_ref().is_some_and(|begin| begin.may_be_silent);
        let claims = usize::from(self.instances.values().any(|instance| instance.claims));
        let mut judged = Judged {
            findings: std::mem::take(&mut self.findings),
            unjudged: self.unjudged.clone(),
            primaries: (speaks || !may_be_silent).then(|| most_at_once(tenures()).max(claims)),
            tenures: self.tenures.len() as u64,
            faults: self.faults.clone(),
            latencies_ns: self.latencies().collect(),
            failovers_ns: failovers(tenures()).collect(),
            takeovers_ns: self.takeovers().collect(),
            wake_ups_ns: self.wake_ups_ns.clone(),
            ..Judged::default()
        };
        judged.findings.primaries = judged.primaries.unwrap_or(0);
        self.judge_tenures(&mut judged.findings, is_whole, gap_max_ns);
        self.judge_events(&mut judged, is_whole);
        if is_whole {
            self.judge_instances(&mut judged);
        }
        judged.findings.retain(|promise| self.is_judged_by(promise));
        judged
    }

    fn is_judged_by(&self, promise: Promise) -> bool {
        match (&self.begin, promise) {
            (Some(begin), promise) => begin.promises.contains(&promise),
            (None, Promise::RightPrimary) => !self.elected.is_empty(),
            (None, _) => true,
        }
    }

    fn judge_tenures(&self, findings: &mut Findings, is_whole: bool, gap_max_ns: Option<u64>) {
        let elected: HashSet<(u64, &str)> =
            self.elected.iter().map(|elected| (elected.term, elected.primary.as_str())).collect();
        let times_anew = |at_ns: u64| self.anew_ns.iter().filter(|anew_ns| **anew_ns <= at_ns).count();
        let mut longest: Option<&Held> = None;
        let mut highest: Option<&Held> = None;
        for held in &self.tenures {
            let (instance, Tenure { term, from_ns, until_ns }) = (&held.instance, held.tenure);
            if let Some(before) = longest {
                let (other, other_line) = (&before.instance, before.line);
                if before.tenure.end_ns() > from_ns && other != instance {
                    let overlap = in_words(before.tenure.end_ns().min(held.tenure.end_ns()).saturating_sub(from_ns));
                    let text = format!(
                        "{instance} believes that it is primary while {other} (line {other_line}) does, for {overlap}"
                    );
                    findings.find(Promise::SinglePrimary, Some(held.line), text);
                }
                let gap_ns = from_ns.saturating_sub(before.tenure.until_ns);
                if gap_max_ns.is_some_and(|max_ns| gap_ns > max_ns) {
                    let gap = in_words(gap_ns);
                    let text = format!("{gap} passed since the tenure of {other} (line {other_line}) ended");
                    findings.find(Promise::SomePrimary, Some(held.line), text);
                }
            }
            if let Some(before) = highest
                && (1..=before.tenure.term).contains(&term)
                && times_anew(before.tenure.from_ns) == times_anew(from_ns)
            {
                let text =
                    format!("term {term} follows term {} (line {}): terms rise", before.tenure.term, before.line);
                findings.find(Promise::TermsRise, Some(held.line), text);
            }
            // The elections stand behind the tenures: of a round that is cut, some of them may be missing.
            if is_whole && !elected.contains(&(term, instance.as_str())) {
                let text = format!("{instance} is primary of term {term}, to which it was not elected");
                findings.find(Promise::RightPrimary, Some(held.line), text);
            }
            if longest.is_none_or(|before| before.tenure.until_ns <= until_ns) {
                longest = Some(held);
            }
            let falls =
                |before: &Held| before.tenure.term > term && times_anew(before.tenure.from_ns) == times_anew(from_ns);
            if !highest.is_some_and(falls) {
                highest = Some(held);
            }
        }
        for Elected { term, primary, candidates, line } in &self.elected {
            if candidates.iter().min() != Some(primary) {
                let text = format!("{primary} is elected in term {term}, but is not the smallest candidate");
                findings.find(Promise::RightPrimary, Some(*line), text);
            }
        }
    }

    fn judge_events(&self, judged: &mut Judged, is_whole: bool) {
        let may_be_lost = judged.unjudged.is_none() && is_whole;
        for (name, event) in &self.events {
            let Event { delivered, logged, entries, excused: _ } = event;
            let (count, line) =
                entries.map_or((logged.len() as u64, logged.get(1).copied()), |(count, line)| (count, Some(line)));
            let fate = self.fate(name, event);
            judged.entries.count(count, fate);
            if count == 0 && fate == Fate::NeedsOne && may_be_lost {
                let text = format!("{name} was delivered and has no entry");
                judged.findings.find(Promise::NoneLost, *delivered, text);
            } else if count > 1 {
                let first = logged.first().map_or(String::new(), |first| format!(", the first at line {first}"));
                let text = format!("{name} has {count} entries{first}");
                judged.findings.find(Promise::NoneDoubled, line, text);
            }
        }
    }

    /// Whether an event must have an entry.
    fn fate(&self, name: &str, event: &Event) -> Fate {
        let received = |instance: &Instance| instance.received.get(name).copied();
        // A primary that comes back to its caller has written what it received, whatever happens to it afterwards. Without the
        // election's records it must not write any more.
        let is_in_time = |at_ns: u64| self.removed_ns.is_none_or(|removed_ns| at_ns < removed_ns);
        let mut recorded = self.instances.values().flat_map(|instance| &instance.recorded);
        // Who died, refused as it may, or went before the others, leaves an event to those who stayed.
        let stays = |instance: &&Instance| !(instance.died || instance.retired || self.refused(instance));
        let mut stayed = self.instances.values().filter(stays).filter_map(received);
        if event.delivered.is_none() {
            Fate::NotDelivered
        } else if event.excused {
            Fate::NeedsNone
        } else if recorded.any(|(recorded, at_ns)| recorded == name && is_in_time(*at_ns)) {
            Fate::NeedsOne
        } else if self.removed_ns.is_some()
            || self.begin.as_ref().is_some_and(|begin| begin.may_lose)
            || !stayed.any(|at_ns| self.resumed_ns.is_none_or(|resumed_ns| at_ns >= resumed_ns))
        {
            Fate::NeedsNone
        } else {
            Fate::NeedsOne
        }
    }

    fn refused(&self, instance: &Instance) -> bool {
        instance.failed.is_some() && self.begin.as_ref().is_some_and(|begin| begin.may_refuse)
    }

    /// Judges that somebody is primary, and that all take part and end in good order.
    fn judge_instances(&self, judged: &mut Judged) {
        let Some(Begin { instances, may_be_silent, .. }) = &self.begin else { return };
        let known = |id: &String| self.instances.get(id);
        let is_excused = |instance: &Instance| instance.died || self.refused(instance);
        let is_silent = |id: &String| known(id).is_none_or(|instance| instance.verdict_ns.is_none());
        let all_excused = instances.iter().all(|id| known(id).is_some_and(is_excused));
        if judged.primaries == Some(0) && !all_excused && !(*may_be_silent && instances.iter().any(is_silent)) {
            judged.findings.find(Promise::SomePrimary, None, "nobody was primary".into());
        }
        for id in instances {
            let text = match known(id) {
                Some(instance) if is_excused(instance) => continue,
                Some(Instance { failed: Some((_, why)), .. }) => format!("{id} failed: {why}"),
                Some(Instance { left: false, .. }) | None => format!("{id} did not end in good order"),
                Some(Instance { verdict_ns: None, .. }) => format!("{id} never knew who is primary"),
                Some(_) => continue,
            };
            judged.failed += 1;
            let line = known(id).and_then(|instance| instance.failed.as_ref()).map(|(line, _)| *line);
            judged.findings.find(Promise::GoodOrder, line, text);
        }
    }

    fn latencies(&self) -> impl Iterator<Item = u64> {
        self.instances.values().filter_map(|instance| {
            let from_ns = instance.started_ns.or(self.begun_ns)?;
            instance.verdict_ns.map(|at_ns| at_ns.saturating_sub(from_ns))
        })
    }

    fn takeovers(&self) -> impl Iterator<Item = u64> {
        self.instances.iter().filter(|(_, instance)| instance.died).filter_map(|(dead, _)| {
            let died_ns =
                self.tenures.iter().filter(|held| held.instance == *dead).map(|held| held.tenure.until_ns).max()?;
            let knew = |held: &&Held| {
                let known_ns = self.instances.get(&held.instance).and_then(|instance| instance.verdict_ns);
                known_ns.is_some_and(|known_ns| known_ns < died_ns)
            };
            self.tenures.iter().filter(knew).filter_map(|held| held.tenure.from_ns.checked_sub(died_ns)).min()
        })
    }
}

/// From the end of each tenure to the beginning of the one that followed it.
fn failovers(tenures: impl Iterator<Item = Tenure>) -> impl Iterator<Item = u64> {
    let mut ended_ns = None;
    tenures.filter_map(move |tenure| {
        let before = ended_ns.replace(ended_ns.unwrap_or(0).max(tenure.until_ns));
        tenure.from_ns.checked_sub(before?)
    })
}

/// Whole microseconds, or nanoseconds where there are none.
fn in_words(span_ns: u64) -> String {
    if span_ns < 1000 { format!("{span_ns} ns") } else { format!("{} µs", span_ns / 1000) }
}

#[cfg(test)]
mod tests {
    use super::super::format::What;
    use super::*;

    const BEGIN: &str = r#"0 begin {"instances":["a","b"],"promises":["single-primary","right-primary","terms-rise","none-doubled","none-lost","some-primary","good-order"]}"#;

    /// A round that keeps every promise: `at_ns what fields`.
    fn good() -> Vec<String> {
        let lines = [
            BEGIN,
            r#"0 elect {"term":1,"primary":"a","candidates":["b","a"]}"#,
            r#"10 believe {"instance":"a","term":1}"#,
            r#"11 deliver {"instance":"a","event":"e"}"#,
            r#"12 follow {"instance":"b"}"#,
            r#"13 deliver {"instance":"b","event":"e"}"#,
            r#"20 cease {"instance":"a"}"#,
            r#"20 leave {"instance":"a"}"#,
            r#"21 leave {"instance":"b"}"#,
            r#"21 entries {"event":"e","count":1}"#,
            "21 end {}",
        ];
        lines.map(str::to_owned).to_vec()
    }

    fn parse(lines: &[String]) -> Vec<Line> {
        let parse = |line: &String| {
            let (at_ns, rest) = line.split_once(' ')?;
            let (what, fields) = rest.split_once(' ')?;
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(fields).ok()?;
            fields.insert("what".into(), what.into());
            let what: What = serde_json::from_value(fields.into()).ok()?;
            Some(Line { round: 1, at_ns: at_ns.parse().ok()?, what })
        };
        lines.iter().map(|line| parse(line).unwrap_or_else(|| panic!("{line} is no line"))).collect()
    }

    /// Replaces the only line that begins so; without a line to put there, leaves it out.
    fn changed(mut lines: Vec<String>, from: &str, to: &[&str]) -> Vec<String> {
        let at = lines.iter().position(|line| line.starts_with(from)).unwrap_or_else(|| panic!("no {from}"));
        lines.splice(at..=at, to.iter().map(|&line| line.to_owned()));
        lines
    }

    fn found(lines: &[String]) -> Vec<(Promise, String)> {
        let judged = judge(&parse(lines));
        assert_eq!(judged.unjudged, None);
        judged.findings.all().iter().map(|finding| (finding.promise, finding.text.clone())).collect()
    }

    #[test]
    fn each_kind_of_violation_is_told_apart() {
        assert_eq!(found(&good()), []);
        let check = |from: &str, to: &[&str], expected: &[(Promise, &str)]| {
            let found = found(&changed(good(), from, to));
            let found: Vec<_> = found.iter().map(|(promise, text)| (*promise, text.as_str())).collect();
            assert_eq!(found, expected, "{to:?}");
        };
        check(
            "12 follow",
            &[r#"19 believe {"instance":"b","term":1}"#],
            &[
                (Promise::SinglePrimary, "b believes that it is primary while a (line 3) does, for 1 ns"),
                (Promise::TermsRise, "term 1 follows term 1 (line 3): terms rise"),
                (Promise::RightPrimary, "b is primary of term 1, to which it was not elected"),
            ],
        );
        check(
            "10 believe",
            &[
                r#"10 follow {"instance":"a"}"#,
                r#"10 believe {"instance":"a","term":1}"#,
                r#"10 cease {"instance":"a"}"#,
                r#"11 believe {"instance":"a","term":1}"#,
            ],
            &[(Promise::TermsRise, "term 1 follows term 1 (line 4): terms rise")],
        );
        check(
            "21 entries",
            &[r#"21 entries {"event":"e","count":0}"#],
            &[(Promise::NoneLost, "e was delivered and has no entry")],
        );
        check("21 entries", &[r#"21 entries {"event":"e","count":2}"#], &[(Promise::NoneDoubled, "e has 2 entries")]);
        check("21 leave", &[], &[(Promise::GoodOrder, "b did not end in good order")]);
        check("12 follow", &[], &[(Promise::GoodOrder, "b never knew who is primary")]);
        check(
            "12 follow",
            &[r#"12 fail {"instance":"b","why":"foreign"}"#],
            &[(Promise::GoodOrder, "b failed: foreign")],
        );
        check(
            "21 end",
            &[r#"21 problem {"why":"a copy logged"}"#, "21 end {}"],
            &[(Promise::GoodOrder, "a copy logged")],
        );
        let nobody = changed(changed(good(), "10 believe", &[r#"10 follow {"instance":"a"}"#]), "20 cease", &[]);
        assert_eq!(found(&nobody), [(Promise::SomePrimary, "nobody was primary".to_owned())]);
    }

    #[test]
    fn what_a_fault_explains_is_excused_and_nothing_else() {
        let lost = |lines: &[String]| {
            let judged = judge(&parse(lines));
            (judged.findings.count(Promise::NoneLost), judged.entries.excused, judged.findings.all().len())
        };
        let unwritten = || changed(good(), "21 entries", &[r#"21 entries {"event":"e","count":0}"#]);
        let dies = |lines, at, instance| changed(lines, at, &[&format!(r#"20 die {{"instance":"{instance}"}}"#)]);
        let one = dies(unwritten(), "21 leave", "b");
        assert_eq!(lost(&one), (1, 0, 1), "the other one still had to log it");
        let both = dies(one.clone(), "20 leave", "a");
        assert_eq!(lost(&both), (0, 1, 0), "nobody was left to log it");
        let after = |lines: Vec<String>, line: &str| {
            changed(lines, "13 deliver", &[r#"13 deliver {"instance":"b","event":"e"}"#, line])
        };
        let recorded = |at: u64| format!(r#"{at} record {{"instance":"a","event":"e"}}"#);
        assert_eq!(lost(&after(both.clone(), &recorded(14))), (1, 0, 1), "it died as primary after it had come back");
        let removed = |at: u64| after(after(unwritten(), "15 remove {}"), &recorded(at));
        assert_eq!(lost(&after(unwritten(), "15 remove {}")), (0, 1, 0), "no primary had written it before that");
        assert_eq!(lost(&removed(15)), (0, 1, 0), "from then on it must not write");
        assert_eq!(lost(&removed(14)), (1, 0, 1), "what was written before is lost, and found so");
        assert_eq!(lost(&after(unwritten(), "12 resume {}")), (1, 0, 1), "it was told of again");
        assert_eq!(lost(&after(unwritten(), "14 resume {}")), (0, 1, 0), "nobody had to write for another");
        assert_eq!(lost(&after(unwritten(), r#"14 unjudged {"why":"flooded"}"#)), (0, 0, 0), "nobody knows");
        let may =
            |what: &str| changed(unwritten(), "0 begin", &[&BEGIN.replace("]}", &format!("],\"{what}\":true}}"))]);
        assert_eq!(lost(&may("may_lose")), (0, 1, 0));
        let refuse = |lines: Vec<String>| {
            let lines = changed(lines, "20 cease", &[r#"20 fail {"instance":"a","why":"foreign"}"#]);
            changed(lines, "12 follow", &[r#"12 fail {"instance":"b","why":"foreign"}"#])
        };
        assert_eq!(lost(&refuse(may("may_refuse"))), (0, 1, 0));
        assert_eq!(lost(&refuse(unwritten())), (1, 0, 3));
    }

    #[test]
    fn terms_rise_until_nobody_lives_or_the_records_are_gone() {
        let again = |between: &str| {
            let lines = changed(
                good(),
                "20 leave",
                &[
                    r#"20 leave {"instance":"a"}"#,
                    between,
                    r#"30 believe {"instance":"b","term":1}"#,
                    r#"31 cease {"instance":"b"}"#,
                ],
            );
            let lines = changed(
                lines,
                "0 elect",
                &[
                    r#"0 elect {"term":1,"primary":"a","candidates":["b","a"]}"#,
                    r#"0 elect {"term":1,"primary":"b","candidates":["b"]}"#,
                ],
            );
            found(&lines).into_iter().map(|(promise, _)| promise).collect::<Vec<_>>()
        };
        assert_eq!(again(r#"20 retire {"instance":"a"}"#), [Promise::TermsRise]);
        assert_eq!(again(r#"25 anew {"instance":"b"}"#), []);
        assert_eq!(again("25 remove {}"), []);
    }

    #[test]
    fn whoever_may_be_silent_says_nothing_by_it() {
        let silent = changed(good(), "0 begin", &[&BEGIN.replace(",\"good-order\"]", "],\"may_be_silent\":true")]);
        let quiet = changed(changed(silent.clone(), "10 believe", &[]), "20 cease", &[]);
        assert_eq!(found(&quiet), [], "one has said nothing");
        let mute = changed(quiet.clone(), "12 follow", &[]);
        assert_eq!(judge(&parse(&mute)).primaries, None);
        let claim = changed(silent, "20 cease", &[r#"20 claim {"instance":"a"}"#]);
        let claim = changed(claim, "10 believe", &[]);
        assert_eq!((judge(&parse(&claim)).primaries, found(&claim).len()), (Some(1), 0));
        let both = changed(quiet, "12 follow", &[r#"10 follow {"instance":"a"}"#, r#"12 follow {"instance":"b"}"#]);
        assert_eq!(found(&both).len(), 1, "each said that another is primary");
    }
}
