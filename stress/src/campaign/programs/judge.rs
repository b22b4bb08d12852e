//! What a round of programs shows: a violation, that nothing was wrong, or nothing at all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::span;
use crate::history::judge::most_at_once;
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::round::program::Ran;
use crate::round::program::registrant::{End, Registrant};
use crate::round::program::speech::Word;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// Several were primary at one moment.
    SeveralPrimaries(usize),
    /// One went on acting after a process of it had died and another had become primary.
    ActsBeside,
    /// Nobody became primary in this time, though somebody lived who could.
    NoPrimary(Duration),
    /// An event has several entries; whether those who wrote them were primary one after the other.
    Doubled { events: u64, by_successors: bool },
    /// An event that someone had to write has none.
    Lost(u64),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SeveralPrimaries(most) => write!(formatter, "{most} were primary at one moment"),
            Self::ActsBeside => {
                write!(formatter, "what was left of one whose process died wrote on, while another was primary")
            }
            Self::NoPrimary(within) => write!(
                formatter,
                "nobody became primary within {}, though those who live said that another is",
                span::show(*within)
            ),
            Self::Doubled { events, by_successors: false } => {
                write!(formatter, "{} with several entries", counted(*events))
            }
            Self::Doubled { events, by_successors: true } => {
                write!(formatter, "{} with several entries: each successor wrote them again", counted(*events))
            }
            Self::Lost(events) => write!(formatter, "{} without an entry", counted(*events)),
        }
    }
}

fn counted(events: u64) -> String {
    if events == 1 { "1 event".into() } else { format!("{events} events") }
}

/// The judgement of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) broken: Vec<Broken>,
    /// Why nothing follows from a round in which nothing was seen broken.
    pub(crate) unjudged: Option<String>,
    /// The most that were primary at one moment; unknown where nobody says.
    pub(crate) primaries: Option<usize>,
    /// Whether anybody said or wrote anything.
    pub(crate) is_shown: bool,
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
    let speaks = all.iter().any(Registrant::has_verdict);
    if speaks {
        let most = most_at_once(all.iter().flat_map(|registrant| registrant.speech.tenures.iter().copied()));
        judged.primaries = Some(most.max(usize::from(all.iter().any(|registrant| registrant.speech.was_primary()))));
    }
    judged.is_shown = speaks || ran.log.is_written;
    count_entries(plan, ran, &mut judged);
    let lets_fail = plan.fault.is_some_and(Fault::lets_fail);
    judged.unjudged = why_unjudged(ran, speaks, lets_fail);
    if let Some(most @ 2..) = judged.primaries {
        judged.broken.push(Broken::SeveralPrimaries(most));
    }
    if ran.done.acts_beside {
        judged.broken.push(Broken::ActsBeside);
    }
    if let Some((within, _)) = ran.nobody_within.filter(|_| !lets_fail && judged.unjudged.is_none()) {
        judged.broken.push(Broken::NoPrimary(within));
    }
    // Who had shown nothing when it was told to quit may have been primary one after the other, each in its turn.
    if judged.many > 0 && !ran.done.is_slow {
        let by_successors =
            judged.primaries == Some(1) && all.iter().filter(|registrant| registrant.speech.was_primary()).count() > 1;
        judged.broken.push(Broken::Doubled { events: judged.many, by_successors });
    }
    // What nobody wrote is lost where it is known that the registrants understand what is asked of them.
    if judged.unjudged.is_none() && judged.never > 0 && (ran.log.is_written || !ran.are_acts_seen) {
        judged.broken.push(Broken::Lost(judged.never));
    }
    for registrant in all {
        judged.odd_lines += registrant.speech.odd_lines;
        let verdict = registrant.speech.words.iter().find(|(word, _)| *word != Word::Left);
        judged.latencies_ns.extend(verdict.map(|(_, at_ns)| at_ns.saturating_sub(registrant.started_ns)));
        let end = match registrant.end {
            Some(End::Orderly | End::Fault) => continue,
            Some(End::Early | End::Failed) if ran.are_acts_seen => continue,
            Some(End::Early) => "ended before they were told to".to_owned(),
            Some(End::Failed) => format!("failed: {}", registrant.status),
            Some(End::Flood) => "killed for flooding their output".to_owned(),
            Some(End::Overdue) | None => "killed for not ending".to_owned(),
        };
        *judged.ends.entry(end).or_default() += 1;
    }
    judged.failover_ns =
        ran.done.disturbed_ns.filter(|_| plan.fault.is_some_and(Fault::takes_away)).and_then(|since_ns| {
            let words = all.iter().flat_map(|one| &one.speech.words);
            let later = words.filter(|(word, at)| matches!(word, Word::Primary | Word::Acts) && *at > since_ns);
            later.map(|(_, at_ns)| at_ns - since_ns).min()
        });
    judged
}

/// Why nothing follows from what was not seen.
fn why_unjudged(ran: &Ran, speaks: bool, lets_fail: bool) -> Option<String> {
    let all = &ran.registrants;
    let ended_so = |wanted| all.iter().filter(|registrant| registrant.end == Some(wanted)).count();
    let why = if let Some(why) = &ran.unjudged {
        why
    } else if ran.log.is_too_long {
        "the log grew beyond what is looked through"
    } else if ended_so(End::Flood) > 0 {
        "a registrant flooded its output"
    } else if ran.are_acts_seen {
        if speaks {
            return None;
        }
        "nobody was seen to act: look at what --acts-when and --acts-file say"
    } else if ended_so(End::Failed) > 0 && !lets_fail {
        "a registrant failed"
    } else if !(ran.log.is_written || speaks || lets_fail && ended_so(End::Failed) > 0) {
        // Where it may fail, its silence is an answer if it did.
        if ended_so(End::Early) == all.len() {
            "every registrant ended before it was told to, and none said who is primary"
        } else {
            "no registrant said or wrote anything"
        }
    } else if ran.done.is_slow && !(lets_fail && ended_so(End::Failed) > 0) {
        "nobody had said or written anything when it was told to quit: raise --settle"
    } else {
        return None;
    };
    Some(why.to_owned())
}

fn count_entries(plan: &Plan, ran: &Ran, judged: &mut Judged) {
    for (event, &entries) in ran.log.entries.iter().enumerate() {
        let receivers: Vec<_> = (ran.registrants.iter())
            .filter_map(|registrant| {
                registrant.events.iter().find(|(number, _)| *number == event).map(|(_, at_ns)| (registrant, *at_ns))
            })
            .collect();
        // What was told to find something out need not be written.
        let is_probe = event >= plan.events.len();
        if (receivers.is_empty() || is_probe) && entries == 0 {
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
        Some(fault) if fault.lets_fail() => false,
        // Who it is that is to write it, nobody says.
        Some(Fault::Heir) if ran.done.goes_on => false,
        Some(fault) if fault.takes_away() && ran.done.disturbed_ns.is_some() => {
            receivers.iter().any(|(registrant, at_ns)| {
                registrant.disturbed_ns.is_none() && ran.done.resumed_ns.is_some_and(|resumed| *at_ns >= resumed)
            })
        }
        _ => receivers.iter().any(|(registrant, _)| registrant.end != Some(End::Early)),
    }
}
