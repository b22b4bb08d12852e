//! `stress replay`: a kept round's plan, run again.
//!
//! A plan determines who takes part, under which IDs, and when they receive what; the scheduler is left as it is. So a
//! race that was lost once is lost again now and then, not each time: the plan is run many times and its failures counted.
//!
//! A plan that fails is then shrunk: fewer faults, events and instances, as long as it fails just as well.

use std::path::PathBuf;

use crate::campaign::{Workplace, attempt, workplace_parent};
use crate::exit::{Exit, Failure};
use crate::kept;
use crate::plan::{Moment, Plan};
use crate::round::Rig;
use crate::story;

/// The options of `stress replay`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory of a round that a campaign kept
    directory: PathBuf,
    /// How often to run its plan
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    times: u64,
    /// Tell the plan as it is, without looking for a smaller one that fails as well
    #[arg(long)]
    no_shrink: bool,
    /// Where the election directories are made [default: /dev/shm, or the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the plan again and again: violated where any run was.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let plan = kept::plan(&arguments.directory)?;
    eprintln!("stress replay --times {} {}", arguments.times, arguments.directory.display());
    let workplace = Workplace::new(&workplace_parent(arguments.dir.as_deref()))?;
    let rig = Rig::new(&workplace.path().join("replay"), plan.ids.len())?;
    let found = violations(&plan, &rig, arguments.times)?;
    eprintln!("round {} of seed {}: violated in {} of {} runs", plan.round, plan.seed, found.violated, arguments.times);
    let Some(mut story) = found.story else { return Ok(Exit::Holds) };
    if !arguments.no_shrink {
        let (smaller, told) = shrink(&plan, &rig, arguments.times)?;
        if smaller != plan {
            let Plan { ids, events, faults, .. } = &smaller;
            eprintln!("shrunk to {} instances, {} events, {} faults", ids.len(), events.len(), faults.len());
            let path = arguments.directory.join("shrunk.json");
            let json = serde_json::to_vec_pretty(&smaller).expect("a plan is JSON");
            std::fs::write(&path, json).map_err(Failure::environment(
                path.display(),
                "write",
                "make the directory writable, or give --no-shrink",
            ))?;
            story = told.unwrap_or(story);
        }
    }
    eprintln!("\n{story}");
    Ok(Exit::Violated)
}

/// How often a plan failed, and the story of the first time.
#[derive(Debug)]
struct Found {
    violated: u64,
    story: Option<String>,
}

fn violations(plan: &Plan, rig: &Rig, times: u64) -> Result<Found, Failure> {
    let mut found = Found { violated: 0, story: None };
    for _ in 0..times {
        let (ran, findings) = attempt(plan, rig)?;
        if !findings.is_empty() {
            found.violated += 1;
            found.story.get_or_insert_with(|| story::tell(plan, &ran, rig.regions(), &findings));
        }
        rig.clean()?;
    }
    Ok(found)
}

/// The smallest plan that still fails within so many runs, found by leaving out one thing after the other, and its story.
fn shrink(plan: &Plan, rig: &Rig, times: u64) -> Result<(Plan, Option<String>), Failure> {
    let mut smallest = plan.clone();
    let mut told = None;
    'smaller: loop {
        for candidate in smaller(&smallest) {
            for _ in 0..times {
                let found = violations(&candidate, rig, 1)?;
                if found.story.is_some() {
                    (smallest, told) = (candidate, found.story);
                    continue 'smaller;
                }
            }
        }
        return Ok((smallest, told));
    }
}

/// Plans with one thing less: a fault, an event, or the last of those who start together.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    for fault in 0..plan.faults.len() {
        let mut candidate = plan.clone();
        candidate.faults.remove(fault);
        // Who joins later does so because of a fault, and is left out with the last of them.
        if candidate.faults.is_empty() {
            candidate.ids.truncate(plan.registrants());
            candidate.later_us.clear();
            candidate.events.retain(|moment| !matches!(moment, Moment::After(_)));
        }
        plans.push(candidate);
    }
    for event in 0..plan.events.len() {
        let mut candidate = plan.clone();
        candidate.events.remove(event);
        plans.push(candidate);
    }
    // The indices of faults stay right only where there are none.
    if plan.registrants() > 1 && plan.faults.is_empty() {
        let mut candidate = plan.clone();
        candidate.ids.pop();
        candidate.in_process = candidate.in_process.min(candidate.ids.len());
        candidate.expect = candidate.expect.map(|expected| expected.min(candidate.ids.len()));
        plans.push(candidate);
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_plan_shrinks_by_one_thing_at_a_time() {
        let plan = Plan {
            protocol: "journal".into(),
            seed: 1,
            round: 2,
            window_us: 0,
            expect: Some(2),
            ids: vec!["a".into(), "b".into(), "c".into()],
            later_us: vec![5],
            in_process: 2,
            threads: false,
            events: vec![Moment::Joining, Moment::After(3)],
            faults: vec![Fault::Late { instance: 2, after_us: 5 }],
        };
        let candidates = smaller(&plan);
        assert_eq!(candidates.len(), 3, "without the fault, without either event");
        let calm = &candidates[0];
        assert_eq!((calm.ids.len(), calm.later_us.len(), calm.events.len()), (2, 0, 1));
        let fewer = smaller(calm);
        assert_eq!((fewer[1].ids.len(), fewer[1].in_process, fewer[1].expect), (1, 1, Some(1)));
        let mut least = fewer[1].clone();
        least.events.clear();
        assert_eq!(smaller(&least), []);
    }
}
