//! Locks: who is kept out, and until when.

use hdrhistogram::Histogram;

use super::{A, ALTERNATIONS, B, Checked, open};
use crate::qualify::actor::{Actor, Field, Stop, differs};
use crate::qualify::worker::{Answer, Request};

const KILLS: u64 = 40;

pub(super) fn exclusive_lock(field: &Field<'_>) -> Checked {
    let [mut holder, mut other] = field.actors()?;
    open(&mut holder, A)?;
    open(&mut other, A)?;
    for _ in 0..ALTERNATIONS {
        take(&mut holder, A, true)?;
        refuse(&mut other, A, true, "a second exclusive lock should be refused")?;
        refuse(&mut other, A, false, "a shared lock beside an exclusive one should be refused")?;
        holder.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
        std::mem::swap(&mut holder, &mut other);
    }
    Ok(format!("{ALTERNATIONS} turns"))
}

pub(super) fn shared_lock(field: &Field<'_>) -> Checked {
    let [mut first, mut second, mut alone] = field.actors()?;
    for actor in [&mut first, &mut second, &mut alone] {
        open(actor, A)?;
    }
    for _ in 0..ALTERNATIONS {
        take(&mut first, A, false)?;
        take(&mut second, A, false)?;
        refuse(&mut alone, A, true, "an exclusive lock beside two shared ones should be refused")?;
        first.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
        refuse(&mut alone, A, true, "an exclusive lock beside a shared one should be refused")?;
        second.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
        take(&mut alone, A, true)?;
        refuse(&mut first, A, false, "a shared lock beside an exclusive one should be refused")?;
        alone.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
    }
    Ok(format!("{ALTERNATIONS} turns"))
}

pub(super) fn lock_per_open(field: &Field<'_>) -> Checked {
    let [mut one, mut other] = field.actors()?;
    open(&mut other, A)?;
    for _ in 0..ALTERNATIONS {
        open(&mut one, A)?;
        open(&mut one, B)?;
        take(&mut one, A, true)?;
        refuse(&mut one, B, true, "a second open of one process should be refused")?;
        one.expect(&Request::Close(B), &Answer::Done, "closing should succeed")?;
        refuse(&mut other, A, true, "closing another open of the file should not give up the lock")?;
        one.expect(&Request::Close(A), &Answer::Done, "closing should succeed")?;
        take(&mut other, A, true)?;
        other.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
    }
    Ok(format!("{ALTERNATIONS} turns"))
}

pub(super) fn release_on_kill(field: &Field<'_>) -> Checked {
    let mut latency_us = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).expect("an hour, to three digits");
    let mut waiter = field.actor()?;
    open(&mut waiter, A)?;
    for _ in 0..KILLS {
        let mut holder = field.actor()?;
        open(&mut holder, A)?;
        take(&mut holder, A, true)?;
        waiter.begin(&Request::LockWaiting(A))?;
        // Right before the kill: what passes until the signal is sent counts as latency.
        let Answer::Time(killed_at) = holder.ask(&Request::Now)? else {
            return Err(Stop::Unknown("the clock was not told".into()));
        };
        holder.kill();
        match waiter.finish() {
            Ok(Answer::Time(granted_at)) if granted_at < killed_at => {
                let why = "the lock was granted before its holder was killed, so that its release cannot be seen";
                return Err(Stop::Unknown(why.into()));
            }
            Ok(Answer::Time(granted_at)) => latency_us.saturating_record(granted_at - killed_at),
            Ok(answer) => return Err(differs("the waiting process should get the lock", &answer)),
            Err(Stop::Unknown(_)) => {
                return Err(Stop::Violated(format!("still held {:?} after its holder was killed", field.timeout)));
            }
            Err(stop) => return Err(stop),
        }
        waiter.expect(&Request::Unlock(A), &Answer::Done, "the lock should be given up")?;
    }
    let at = |quantile| latency_us.value_at_quantile(quantile);
    Ok(format!("{KILLS} kills, p50 {} us, p99 {} us, max {} us", at(0.5), at(0.99), latency_us.max()))
}

pub(super) fn directory_lock(field: &Field<'_>) -> Checked {
    const DIRECTORY: u8 = 0;
    let [mut first, mut second, mut cleaner] = field.actors()?;
    for _ in 0..ALTERNATIONS {
        take(&mut first, DIRECTORY, false)?;
        take(&mut second, DIRECTORY, false)?;
        refuse(&mut cleaner, DIRECTORY, true, "a cleaner's exclusive lock should be refused")?;
        for actor in [&mut first, &mut second] {
            actor.expect(&Request::Unlock(DIRECTORY), &Answer::Done, "the lock should be given up")?;
        }
        take(&mut cleaner, DIRECTORY, true)?;
        cleaner.expect(&Request::Unlock(DIRECTORY), &Answer::Done, "the lock should be given up")?;
    }
    Ok(format!("{ALTERNATIONS} turns"))
}

fn take(actor: &mut Actor, handle: u8, alone: bool) -> Result<(), Stop> {
    actor.expect(&Request::Lock { handle, alone }, &Answer::Done, "a lock that nobody holds should be granted")
}

fn refuse(actor: &mut Actor, handle: u8, alone: bool, what: &str) -> Result<(), Stop> {
    actor.expect(&Request::Lock { handle, alone }, &Answer::Busy, what)
}
