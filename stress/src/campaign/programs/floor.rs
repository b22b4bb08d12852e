//! What a campaign is measured against: starting the same program and waiting for it, and nothing else.

use std::io;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Settings;
use super::report::rate;
use crate::failure::Failure;
use crate::round::program::ground::Ground;

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Rounds per second, where a round starts as many copies as an election has, each with nothing to read, and waits for
/// them to end.
pub(crate) fn rounds_per_second(settings: &Settings, base: &Path) -> Result<f64, Failure> {
    let rounds = AtomicU64::new(0);
    let begun = Instant::now();
    let measure = || -> io::Result<()> {
        while begun.elapsed() < MEASURED && !settings.conditions.interrupt.load(Ordering::Relaxed) {
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            let ground = Ground::new(base, &format!("floor-{round}"))?;
            let mut children = Vec::new();
            for index in 0..settings.template.registrants {
                let mut command = settings.conditions.program.command(&ground.place(), &index.to_string());
                children.push(command.spawn()?);
            }
            for mut child in children {
                wait(&mut child, settings.conditions.patience)?;
            }
            ground.clear()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..settings.jobs).map(|_| scope.spawn(measure)).collect();
        jobs.into_iter().try_for_each(|job| job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
    .map_err(|error| settings.conditions.cannot_start(error))?;
    Ok(rate(rounds.into_inner(), begun.elapsed().as_secs_f64()))
}

/// Waits for a child, and kills one that does not end.
fn wait(child: &mut Child, patience: Duration) -> io::Result<()> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}
