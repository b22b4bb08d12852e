//! The count of a round: who was primary when, whether it was the right one, and what became of every event.
//!
//! Nothing here shares code with the election: a fault in its fold, its codec or its log is seen, not repeated.

mod entries;
mod oracle;
mod tenure;

pub(crate) use entries::{Entries, Fate};
pub(crate) use oracle::{elections, records};
pub(crate) use tenure::{Tenure, most_at_once};

/// What is known of one instance after a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    /// When it was primary, as far as it surely was.
    pub(crate) tenures: Vec<Tenure>,
    /// When it first knew who is primary.
    pub(crate) verdict_ns: Option<u64>,
    /// Which events it received.
    pub(crate) delivered: Vec<u32>,
    /// The events that it must have written: it had received them and was primary when it came back to its caller, then.
    pub(crate) recorded: Vec<(u32, u64)>,
    /// Why it took no part any more.
    pub(crate) failed: Option<String>,
    /// Whether it left in good order.
    pub(crate) left: bool,
    /// Whether it left before the others, as planned.
    pub(crate) retired: bool,
    /// Whether it died by a fault.
    pub(crate) died: bool,
}

/// All that a round left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) instances: Vec<Seen>,
    /// The journal, and those that were emptied before; none for a protocol without one.
    pub(crate) journals: Vec<Vec<u8>>,
    pub(crate) log: Vec<u8>,
    /// How many events there were.
    pub(crate) events: usize,
    /// Whether what was done to the round lets an instance refuse to take part.
    pub(crate) allows_refusal: bool,
    /// When the journal was removed under it.
    pub(crate) removed_ns: Option<u64>,
    /// What else was seen to be wrong.
    pub(crate) problems: Vec<String>,
}

/// What the evidence comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// The most that were primary at one moment.
    pub(crate) primaries: usize,
    /// Tenures of an instance that the journal does not elect; none are looked for where there is no journal.
    pub(crate) wrong_primary: u64,
    pub(crate) entries: Entries,
    /// Instances that took no part, or did not end in good order, without a reason.
    pub(crate) failed: u64,
    /// Whether there is a reason why nobody was primary: all died, or refused as they may.
    pub(crate) nobody_excused: bool,
    /// What else was seen to be wrong.
    pub(crate) problems: u64,
}

impl Count {
    /// Whether the round kept every promise.
    pub(crate) fn holds(&self) -> bool {
        let Self { primaries, wrong_primary, entries, failed, nobody_excused, problems } = self;
        (*primaries == 1 || *primaries == 0 && *nobody_excused)
            && *wrong_primary == 0
            && entries.never == 0
            && entries.many == 0
            && *failed == 0
            && *problems == 0
    }
}

impl Evidence {
    /// Why an event without an entry needs none, if that is so.
    fn fate(&self, event: u32) -> Fate {
        let receivers = || self.instances.iter().filter(|instance| instance.delivered.contains(&event));
        // Who died, refused as it may, or went before the others, leaves an event to those who stayed.
        let stayed = |instance: &Seen| !(instance.died || self.refused(instance) || instance.retired);
        // A primary that comes back to its caller has written what it received, whatever happens to it afterwards. Without a
        // journal it must not write any more.
        let is_in_time = |at_ns: u64| self.removed_ns.is_none_or(|removed_ns| at_ns < removed_ns);
        let mut recorded = self.instances.iter().flat_map(|instance| &instance.recorded);
        if receivers().next().is_none() {
            Fate::NotDelivered
        } else if recorded.any(|&(recorded, at_ns)| recorded == event && is_in_time(at_ns)) {
            Fate::NeedsOne
        } else if self.removed_ns.is_some() {
            Fate::NeedsNone("the journal was removed before a primary had written it")
        } else if !receivers().any(stayed) {
            Fate::NeedsNone("all who received it died, refused or retired, none as primary after it had written it")
        } else {
            Fate::NeedsOne
        }
    }

    /// The events that need no entry, each with the reason.
    pub(crate) fn excuses(&self) -> Vec<(usize, String)> {
        (0..self.events)
            .filter_map(|event| match self.fate(u32::try_from(event).ok()?) {
                Fate::NeedsNone(why) => Some((event, why.to_owned())),
                Fate::NotDelivered | Fate::NeedsOne => None,
            })
            .collect()
    }

    fn refused(&self, instance: &Seen) -> bool {
        self.allows_refusal && instance.failed.is_some()
    }
}

/// Counts a round.
pub(crate) fn count(evidence: &Evidence) -> Count {
    let Evidence { instances, journals, log, events, allows_refusal: _, removed_ns: _, problems } = evidence;
    let tenures = instances.iter().flat_map(|instance| instance.tenures.iter().copied());
    let elected: Vec<_> = journals.iter().map(|journal| elections(journal)).collect();
    let wrong_primary = instances
        .iter()
        .flat_map(|instance| instance.tenures.iter().map(|tenure| (instance.id.as_str(), tenure.term)))
        .filter(|&(id, term)| {
            !elected.is_empty()
                && !elected.iter().flatten().any(|election| election.term == term && election.primary == id)
        })
        .count();
    let refused = |instance: &Seen| evidence.refused(instance);
    let failed =
        |instance: &&Seen| !(instance.died || refused(instance)) && (!instance.left || instance.verdict_ns.is_none());
    Count {
        primaries: most_at_once(tenures),
        wrong_primary: wrong_primary as u64,
        entries: Entries::count(log, *events, |event| evidence.fate(event)),
        failed: instances.iter().filter(failed).count() as u64,
        nobody_excused: instances.iter().all(|instance| instance.died || refused(instance)),
        problems: problems.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, term: u64, from_ns: u64, until_ns: u64) -> Seen {
        Seen {
            id: id.into(),
            tenures: vec![Tenure { term, from_ns, until_ns }],
            verdict_ns: Some(from_ns),
            delivered: vec![0, 1],
            recorded: Vec::new(),
            failed: None,
            left: true,
            retired: false,
            died: false,
        }
    }

    fn good() -> Evidence {
        let journal = oracle::tests::journal(&[("register", 1, "b"), ("register", 1, "a"), ("seal", 1, "b")]);
        let mut secondary = seen("b", 1, 1, 2);
        secondary.tenures.clear();
        Evidence {
            instances: vec![seen("a", 1, 10, 20), secondary],
            journals: vec![journal],
            log: b"{\"event\":\"event-0\",\"term\":1}\n{\"event\":\"event-1\",\"term\":1}\n".to_vec(),
            events: 2,
            ..Evidence::default()
        }
    }

    #[test]
    fn each_kind_of_violation_is_told_apart() {
        let check = |change: fn(&mut Evidence), expected: fn(&mut Count)| {
            let mut evidence = good();
            change(&mut evidence);
            let mut count = Count { primaries: 1, ..Count::default() };
            (count.entries.delivered, count.entries.once) = (2, 2);
            count.entries.by_number.insert(1, 2);
            expected(&mut count);
            assert_eq!(super::count(&evidence), count);
            count.holds()
        };
        assert!(check(|_| {}, |_| {}), "nothing is wrong");
        let overlap = |evidence: &mut Evidence| {
            evidence.instances[1].tenures.push(Tenure { term: 1, from_ns: 19, until_ns: 30 });
        };
        assert!(!check(overlap, |count| (count.primaries, count.wrong_primary) = (2, 1)));
        let succession = |evidence: &mut Evidence| {
            evidence.instances[0].tenures = vec![Tenure { term: 1, from_ns: 10, until_ns: 15 }];
            evidence.instances[1].tenures = vec![Tenure { term: 2, from_ns: 15, until_ns: 20 }];
            evidence.journals[0].extend(oracle::tests::journal(&[("depose", 1, "b"), ("seal", 2, "b")]));
        };
        assert!(check(succession, |_| {}), "one after the other");
        let nobody = |evidence: &mut Evidence| evidence.instances[0].tenures.clear();
        assert!(!check(nobody, |count| count.primaries = 0));
        let wrong = |evidence: &mut Evidence| evidence.instances.swap(0, 1);
        assert!(check(wrong, |_| {}), "the order of the instances says nothing");
        let wrong = |evidence: &mut Evidence| {
            evidence.instances[0].id = "b".into();
            evidence.instances[1].id = "a".into();
        };
        assert!(!check(wrong, |count| count.wrong_primary = 1));
        let missing = |evidence: &mut Evidence| evidence.log.truncate(29);
        assert!(!check(missing, |count| {
            (count.entries.once, count.entries.never) = (1, 1);
            count.entries.by_number = [(0, 1), (1, 1)].into();
        }));
        let double = |evidence: &mut Evidence| evidence.log.extend_from_within(..29);
        assert!(!check(double, |count| {
            (count.entries.once, count.entries.many) = (1, 1);
            count.entries.by_number = [(1, 1), (2, 1)].into();
        }));
        let failed = |evidence: &mut Evidence| evidence.instances[1].left = false;
        assert!(!check(failed, |count| count.failed = 1));
        let problem = |evidence: &mut Evidence| evidence.problems.push("a copy logged".into());
        assert!(!check(problem, |count| count.problems = 1));
    }

    #[test]
    fn what_a_fault_explains_is_excused_and_nothing_else() {
        let check = |change: fn(&mut Evidence), holds: bool, excused: u64| {
            let mut evidence = good();
            change(&mut evidence);
            let count = super::count(&evidence);
            assert_eq!((count.holds(), count.entries.excused), (holds, excused), "{count:?}");
        };
        let died = |evidence: &mut Evidence, index: usize| {
            (evidence.instances[index].died, evidence.instances[index].left) = (true, false);
        };
        check(|evidence| evidence.instances[1].left = false, false, 0);
        assert!(super::count(&good()).holds());
        let mut evidence = good();
        died(&mut evidence, 1);
        assert!(super::count(&evidence).holds(), "who was killed has no orderly end");
        evidence.log.truncate(29);
        assert!(!super::count(&evidence).holds(), "the other one still had to log it");
        died(&mut evidence, 0);
        let count = super::count(&evidence);
        assert_eq!((count.holds(), count.entries.excused), (true, 1), "nobody was left to log it");
        let mut written = evidence.clone();
        written.instances[0].recorded = vec![(1, 12)];
        assert!(!super::count(&written).holds(), "it died as primary after it had come back with the event");
        written.instances[0].recorded = vec![(0, 12)];
        assert!(super::count(&written).holds(), "that was another event, and has its entry");
        evidence.instances[0].tenures.clear();
        assert!(super::count(&evidence).holds(), "nobody was left to be primary");

        let mut removed = good();
        removed.removed_ns = Some(15);
        removed.log.clear();
        assert!(super::count(&removed).holds(), "no primary had written them before the journal went");
        removed.instances[0].recorded = vec![(0, 15), (1, 16)];
        assert!(super::count(&removed).holds(), "from then on it must not write");
        removed.instances[0].recorded = vec![(0, 14), (1, 16)];
        let count = super::count(&removed);
        assert_eq!(
            (count.entries.never, count.entries.excused),
            (1, 1),
            "what was written before is lost, and found so"
        );
        let refusal = |evidence: &mut Evidence| {
            for instance in &mut evidence.instances {
                (instance.left, instance.verdict_ns, instance.failed) = (false, None, Some("foreign".into()));
                instance.tenures.clear();
                instance.delivered.clear();
            }
            evidence.log.clear();
        };
        check(refusal, false, 0);
        let mut evidence = good();
        refusal(&mut evidence);
        evidence.allows_refusal = true;
        assert!(super::count(&evidence).holds());
    }
}
