//! What is done to a round of programs: who is held, killed, stopped or asked to end, and where.

use std::io;

use super::command::Limits;
use super::registrant::{End, Registrant};
use super::stage::{Stage, Waited};
use super::{Conditions, Done, LONG_STOP};
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::process::clock;

/// Has the first copy run alone until it is about to touch what they elect over for the n-th time, and holds it there while
/// the others start, are told events and come to their verdicts.
pub(super) fn stall(
    plan: &Plan,
    stage: &mut Stage<'_>,
    done: &mut Done,
    events: std::ops::Range<usize>,
) -> io::Result<()> {
    let is_held = lead(plan, stage, done, 0)?;
    Registrant::release(&mut stage.registrants[1..])?;
    if is_held {
        note_held(plan, stage, done, 0);
        stage.deliver(events);
        // The one that is held may keep the others from their verdicts, which is its right.
        stage.pump_to_rest(|stage| stage.registrants[1..].iter().all(Registrant::is_settled))?;
    }
    stage.registrants[0].let_go()
}

/// Has the first copy run alone up to its n-th touch, and die there; then the others start.
pub(super) fn kill_at_call(
    plan: &Plan,
    stage: &mut Stage<'_>,
    done: &mut Done,
    newcomer: &str,
    events: std::ops::Range<usize>,
) -> io::Result<()> {
    if lead(plan, stage, done, 0)? {
        note_held(plan, stage, done, 0);
        stage.registrants[0].kill(End::Fault);
        await_end(stage, 0)?;
        if plan.registrants() == 1 {
            stage.start(newcomer, Limits::default())?;
        }
    } else {
        stage.registrants[0].let_go()?;
    }
    Registrant::release(&mut stage.registrants[1..])?;
    if done.held_at.is_some() {
        stage.deliver(events);
    }
    Ok(())
}

/// After the primary's death: has a copy that comes anew find that out alone, and holds it at its n-th touch while the others
/// take over.
pub(super) fn take_over(
    plan: &Plan,
    stage: &mut Stage<'_>,
    done: &mut Done,
    events: std::ops::Range<usize>,
) -> io::Result<()> {
    let newcomer = stage.registrants.len() - 1;
    let others = |stage: &mut Stage<'_>, stop| {
        stage.registrants[..newcomer].iter_mut().for_each(|registrant| registrant.stop(stop));
    };
    let Conditions { settle, takeover_within, .. } = stage.conditions;
    others(stage, true);
    let is_held = lead(plan, stage, done, newcomer)?;
    others(stage, false);
    stage.deliver(events);
    let said = |stage: &Stage<'_>| stage.registrants[newcomer].speech.words.len();
    if is_held {
        note_held(plan, stage, done, newcomer);
        let is_other_primary = |stage: &Stage<'_>| stage.registrants[..newcomer].iter().any(Registrant::is_primary);
        if stage.has_shown() && stage.registrants.iter().any(Registrant::has_verdict) {
            stage.pump(*takeover_within, is_other_primary)?;
        } else {
            stage.pump(*settle, |_| false)?;
        }
        let before = said(stage);
        stage.registrants[newcomer].let_go()?;
        stage.pump(*settle, |stage| said(stage) > before || !stage.registrants[newcomer].is_running())?;
    } else {
        stage.registrants[newcomer].let_go()?;
    }
    stage.settle()?;
    stage.wait_for_primary(*takeover_within)
}

/// Follows a copy that begins until it is held; whether it is. It is not where it is primary or has ended before, or comes to
/// its verdict and makes no more touches.
fn lead(plan: &Plan, stage: &mut Stage<'_>, done: &mut Done, index: usize) -> io::Result<bool> {
    if !stage.follow(index, plan)? {
        return Ok(false);
    }
    let Conditions { settle, patience, takeover_within, .. } = stage.conditions;
    let limit = if index == 0 { (*settle).max(*patience) } else { *takeover_within };
    stage.pump_fairly(limit, |stage| {
        let followed = &stage.registrants[index];
        // One that comes to an election that is under way looks at it again and again.
        let has_come_to_rest = if index == 0 { followed.has_verdict() } else { followed.is_primary() };
        followed.held_at().is_some() || has_come_to_rest || !followed.is_running() || !followed.is_followed()
    })?;
    let followed = &stage.registrants[index];
    let is_held = followed.held_at().is_some();
    done.missed_at = (!is_held).then(|| followed.counted());
    Ok(is_held)
}

fn note_held(plan: &Plan, stage: &mut Stage<'_>, done: &mut Done, index: usize) {
    let held = &mut stage.registrants[index];
    if let Some(call) = held.held_at() {
        let when = if plan.aim.after { "after" } else { "before" };
        let at_ns = call.at_ns;
        done.held_at = Some(format!("{when} {call}"));
        done.disturb(at_ns);
        held.disturb(at_ns);
    }
}

/// Kills the primary: all of it, or one of its processes.
pub(super) fn kill(
    plan: &Plan,
    stage: &mut Stage<'_>,
    done: &mut Done,
    victim: usize,
    random: &mut fastrand::Rng,
) -> io::Result<()> {
    done.disturb(clock::now_ns());
    if plan.fault == Some(Fault::Heir) {
        let process = stage.registrants[victim].parent_process(random);
        stage.registrants[victim].kill_one(process);
        let settle = stage.conditions.settle;
        stage.pump(settle, |stage| !stage.registrants[victim].processes().contains(&process))?;
        return Ok(());
    }
    stage.registrants[victim].kill(End::Fault);
    await_end(stage, victim)
}

/// Has the primary end in good order.
pub(super) fn hand_over(plan: &Plan, stage: &mut Stage<'_>, done: &mut Done, victim: usize) -> io::Result<()> {
    let now_ns = done.disturb(clock::now_ns());
    stage.registrants[victim].disturb(now_ns);
    // Who is judged by what it does alone knows no word for it.
    if plan.handover.by_signal || stage.conditions.acts.are_seen() {
        stage.registrants[victim].terminate();
    } else {
        stage.registrants[victim].quit();
    }
    await_end(stage, victim)
}

/// Waits for an end: on a busy machine one that was killed holds what it has for a while longer, and nobody can succeed it yet.
fn await_end(stage: &mut Stage<'_>, index: usize) -> io::Result<()> {
    let patience = stage.conditions.patience;
    if stage.pump_fairly(patience, |stage| stage.registrants[index].end.is_some())? == Waited::Starved {
        stage.note_starved("end");
    }
    Ok(())
}

/// Stops the primary, for as long as is wanted, or until somebody has taken over.
pub(super) fn stop(
    plan: &Plan,
    stage: &mut Stage<'_>,
    done: &mut Done,
    victim: usize,
    events: std::ops::Range<usize>,
) -> io::Result<()> {
    let Conditions { settle, stop_for, .. } = stage.conditions;
    let now_ns = done.disturb(clock::now_ns());
    stage.registrants[victim].disturb(now_ns);
    stage.registrants[victim].stop(true);
    stage.deliver(events);
    let is_succeeded = |stage: &Stage<'_>| {
        stage.registrants.iter().enumerate().any(|(index, one)| index != victim && one.is_primary())
    };
    let limit = stop_for.unwrap_or(if plan.is_long { LONG_STOP.max(*settle) } else { *settle });
    if stage.pump(limit, is_succeeded)? {
        stage.pump(*settle / 10, |_| false)?;
    }
    stage.registrants[victim].stop(false);
    stage.pump(*settle / 10, |_| false)?;
    Ok(())
}
