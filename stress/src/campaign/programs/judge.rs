//! What a round of foreign registrants shows: a violation, that nothing was wrong, or nothing at all.

use std::collections::BTreeMap;

use crate::history::judge::most_at_once;
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::round::program::Ran;
use crate::round::program::registrant::{End, Registrant, Word};

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// Several were primary at one moment.
    SeveralPrimaries(usize),
    /// All said that another is primary.
    NoPrimary,
    /// An event has several entries.
    Doubled(u64),
    /// An event that someone had to write has none.
    Lost(u64),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SeveralPrimaries(most) => write!(formatter, "{most} were primary at one moment"),
            Self::NoPrimary => write!(formatter, "each said that another is primary"),
            Self::Doubled(events) => write!(formatter, "{events} events with several entries"),
            Self::Lost(events) => write!(formatter, "{events} events without an entry"),
        }
    }
}

/// The judgement of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) broken: Vec<Broken>,
    /// Why nothing follows from a round in which nothing was seen broken.
    pub(crate) unjudged: Option<String>,
    /// The most that were primary at one moment; unknown where nobody says.
    pub(crate) primaries: Option<usize>,
    pub(crate) delivered: u64,
    pub(crate) once: u64,
    pub(crate) never: u64,
    pub(crate) many: u64,
    pub(crate) excused: u64,
    pub(crate) by_entries: BTreeMap<u64, u64>,
    /// From the start to each verdict.
    pub(crate) latencies_ns: Vec<u64>,
    /// From a primary's end to the next one's word.
    pub(crate) failover_ns: Option<u64>,
    /// How many ended in which way other than in good order.
    pub(crate) ends: BTreeMap<String, u64>,
    pub(crate) odd_lines: u64,
}

/// Judges a round.
pub(crate) fn judge(plan: &Plan, ran: &Ran) -> Judged {
    let mut judged = Judged::default();
    let all = &ran.registrants;
    let says_primary = |registrant: &Registrant| registrant.words.iter().any(|(word, _)| *word == Word::Primary);
    let speaks = all.iter().any(Registrant::has_verdict);
    if speaks {
        let most = most_at_once(all.iter().flat_map(|registrant| registrant.tenures.iter().copied()));
        judged.primaries = Some(most.max(usize::from(all.iter().any(says_primary))));
    }
    count_entries(plan, ran, &mut judged);
    if let Some(most @ 2..) = judged.primaries {
        judged.broken.push(Broken::SeveralPrimaries(most));
    }
    let may_fail = matches!(plan.fault, Some(Fault::Full | Fault::Permissions));
    if judged.primaries == Some(0) && !may_fail && all.iter().all(Registrant::has_verdict) {
        judged.broken.push(Broken::NoPrimary);
    }
    if judged.many > 0 {
        judged.broken.push(Broken::Doubled(judged.many));
    }
    for registrant in all {
        judged.odd_lines += registrant.odd_lines;
        let verdict = registrant.words.iter().find(|(word, _)| *word != Word::Left);
        judged.latencies_ns.extend(verdict.map(|(_, at_ns)| at_ns.saturating_sub(registrant.started_ns)));
        let end = match registrant.end {
            Some(End::Orderly | End::Fault) => continue,
            Some(End::Early) => "ended before they were told to".to_owned(),
            Some(End::Failed) => format!("failed: {}", registrant.status),
            Some(End::Flood) => "killed for flooding their output".to_owned(),
            Some(End::Overdue) | None => "killed for not ending".to_owned(),
        };
        *judged.ends.entry(end).or_default() += 1;
    }
    judged.failover_ns = ran.disturbed_ns.filter(|_| plan.fault.is_some_and(Fault::kills)).and_then(|killed_ns| {
        let later =
            all.iter().flat_map(|one| &one.words).filter(|(word, at)| *word == Word::Primary && *at > killed_ns);
        later.map(|(_, at_ns)| at_ns - killed_ns).min()
    });
    let ended_so = |wanted| all.iter().filter(|registrant| registrant.end == Some(wanted)).count();
    judged.unjudged = if ran.log_too_long {
        Some("the log grew beyond what is looked through".into())
    } else if ended_so(End::Flood) > 0 {
        Some("a registrant flooded its output".into())
    } else if ended_so(End::Failed) > 0 && !may_fail {
        Some("a registrant failed".into())
    } else if !(ran.has_log || speaks || may_fail && ended_so(End::Failed) > 0) {
        // Where it may fail, its silence is an answer if it did.
        Some(if ended_so(End::Early) == all.len() {
            "every registrant ended before it was told to, and none said who is primary".into()
        } else {
            "no registrant said or wrote anything".into()
        })
    } else {
        None
    };
    // What nobody wrote is lost where it is known that the registrants understand what is asked of them.
    if judged.unjudged.is_none() && judged.never > 0 {
        judged.broken.push(Broken::Lost(judged.never));
    }
    judged
}

fn count_entries(plan: &Plan, ran: &Ran, judged: &mut Judged) {
    for (event, &entries) in ran.entries.iter().enumerate() {
        let receivers: Vec<_> = (ran.registrants.iter())
            .filter_map(|registrant| {
                registrant.events.iter().find(|(number, _)| *number == event).map(|(_, at_ns)| (registrant, *at_ns))
            })
            .collect();
        if receivers.is_empty() && entries == 0 {
            continue;
        }
        judged.delivered += 1;
        *judged.by_entries.entry(entries).or_default() += 1;
        match entries {
            0 if is_owed(plan, ran, &receivers) => judged.never += 1,
            0 => judged.excused += 1,
            1 => judged.once += 1,
            _ => judged.many += 1,
        }
    }
}

/// Whether an event must have an entry: where a fault took the primary away or kept it from writing, what it had been told
/// by then may be lost, for nobody is asked to write for another.
fn is_owed(plan: &Plan, ran: &Ran, receivers: &[(&Registrant, u64)]) -> bool {
    match plan.fault {
        Some(Fault::Full | Fault::Permissions) => false,
        Some(Fault::Kill | Fault::Restart) if ran.disturbed_ns.is_some() => {
            receivers.iter().any(|(registrant, at_ns)| {
                !registrant.disturbed && ran.resumed_ns.is_some_and(|resumed| *at_ns >= resumed)
            })
        }
        _ => receivers.iter().any(|(registrant, _)| registrant.end != Some(End::Early)),
    }
}
