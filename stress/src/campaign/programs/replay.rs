//! A kept round's plan, run again: the same IDs, events and fault. Which of several processes is faster, it does not say.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::kept::{self, Kept};
use super::{judge, story, workplace};
use crate::campaign::quoted_path;
use crate::cli::exit::Exit;
use crate::cli::interrupt::flag_of_signals;
use crate::failure::Failure;
use crate::round::program::load::Load;
use crate::round::program::{clear, orphan};

/// Runs the plan so many times: violated where any run was. `dir` is where election directories are made.
pub(crate) fn replay(directory: &Path, times: u64, dir: &Path) -> Result<Exit, Failure> {
    let Kept { mut conditions, seed, has_load, plan, working_directory } = kept::read(directory)?;
    eprintln!("stress replay --times {times} {}", quoted_path(directory));
    conditions.interrupt = flag_of_signals()?;
    let base = workplace(dir)?;
    // A program may be given, and find its files, by paths that begin there.
    std::env::set_current_dir(&working_directory).map_err(Failure::environment(
        working_directory.display(),
        "chdir",
        "make the directory again in which the campaign was run",
    ))?;
    let _load = has_load.then(Load::start);
    let (mut runs, mut violated, mut unjudged, mut first) = (0, 0_u64, 0_u64, None);
    while runs < times && !conditions.interrupt.load(Ordering::Relaxed) {
        let (ground, ran) = match conditions.run(&plan, base.path()) {
            // What was seen before stands.
            Err(failure) if violated > 0 => {
                eprintln!("error: {failure}");
                break;
            }
            ran => ran?,
        };
        runs += 1;
        let judged = judge::judge(&plan, &ran);
        if !judged.broken.is_empty() {
            violated += 1;
            first.get_or_insert_with(|| story::tell(&plan, &ran, &judged));
        } else if judged.unjudged.is_some() {
            unjudged += 1;
        }
        clear(&ground, base.path())?;
    }
    let nothing = if unjudged > 0 { format!(", {unjudged} show nothing") } else { String::new() };
    eprintln!("round {} of seed {seed}: violated in {violated} of {runs} runs{nothing}", plan.round);
    orphan::end(None);
    if let Some(story) = first {
        eprintln!("\n{story}");
    }
    Ok(if violated > 0 {
        Exit::Violated
    } else if runs < times || unjudged > 0 {
        Exit::Inconclusive
    } else {
        Exit::Holds
    })
}
