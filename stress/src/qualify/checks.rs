//! The checks: one per property, each among real processes.

mod appends;
mod locks;

use std::collections::{BTreeMap, BTreeSet};

use single_primary::FileSystem;

use super::actor::{Actor, Field, Stop, differs};
use super::property::Property;
use super::worker::{Answer, Opening, Request};

/// What a property was seen to hold by, or why not.
pub(crate) type Checked = Result<String, Stop>;

/// The file that most checks work on.
const FILE: &str = "file";
const A: u8 = 4;
const B: u8 = 5;

const ALTERNATIONS: u32 = 200;
/// How often processes must have met for a finding to count, and how many attempts are made at that.
const MEETINGS_MIN: u64 = 20;
const ATTEMPTS_MAX: u32 = 30;
/// How long an attempt lasts, in milliseconds: several turns of a scheduler.
const MEETING_MS: u64 = 30;

/// Runs a check.
pub(crate) fn check(property: Property, field: &Field<'_>) -> Checked {
    match property {
        Property::FileSystem => file_system(field),
        Property::ExclusiveLock => locks::exclusive_lock(field),
        Property::SharedLock => locks::shared_lock(field),
        Property::LockPerOpen => locks::lock_per_open(field),
        Property::ReleaseOnKill => locks::release_on_kill(field),
        Property::DirectoryLock => locks::directory_lock(field),
        Property::AppendWhole => appends::append_by_many(field).and_then(appends::Appended::whole),
        Property::AppendKept => appends::append_by_many(field).and_then(appends::Appended::kept),
        Property::AppendAtOnce => appends::append_at_once(field),
        Property::Visibility => appends::visibility(field),
        Property::Truncation => appends::truncation(field),
        Property::ExclusiveCreate => exclusive_create(field),
        Property::Rename => rename(field),
        Property::Identity => identity(field),
        Property::LinkCount => link_count(field),
        Property::Clock => clock(field),
    }
}

fn file_system(field: &Field<'_>) -> Checked {
    match field.actor()?.ask(&Request::FileSystem)? {
        Answer::FileSystem(number) => match FileSystem(number).refused() {
            Some(name) => Err(Stop::Violated(format!("{name}: joining is refused here"))),
            None => Ok(FileSystem(number).to_string()),
        },
        answer => Err(differs("its type should be told", &answer)),
    }
}

fn exclusive_create(field: &Field<'_>) -> Checked {
    let mut creators: [Actor; 4] = field.actors()?;
    for creator in &mut creators {
        creator.ask(&Request::Now)?;
    }
    let mut created = BTreeSet::new();
    let mut turns = 0;
    for _ in 0..ATTEMPTS_MAX {
        let from = u32::try_from(created.len()).unwrap_or(u32::MAX);
        for creator in &mut creators {
            creator.begin(&Request::CreateMany { from, for_ms: MEETING_MS })?;
        }
        let mut creator_of = BTreeMap::new();
        for (creator, actor) in creators.iter_mut().enumerate() {
            match actor.finish()? {
                Answer::Created(numbers) => {
                    for number in numbers {
                        if !created.insert(number) {
                            return Err(Stop::Violated("two processes created the same file".into()));
                        }
                        creator_of.insert(number, creator);
                    }
                }
                answer => return Err(differs("creating a file should succeed or find one", &answer)),
            }
        }
        let all = created.len();
        if created.last().is_some_and(|&last| usize::try_from(last).unwrap_or(usize::MAX) + 1 != all) {
            return Err(Stop::Violated("a file was created by nobody, and yet said to exist".into()));
        }
        let creators: Vec<_> = creator_of.values().collect();
        turns += creators.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
        if turns >= MEETINGS_MIN {
            return Ok(format!("{all} files, 4 processes, {turns} turns between them"));
        }
    }
    Err(Stop::Unknown(format!("the processes hardly ever met: {turns} turns")))
}

fn rename(field: &Field<'_>) -> Checked {
    let [mut writer, mut reader] = field.actors()?;
    reader.ask(&Request::Now)?;
    until_met(|| {
        // Before the first replacement the file is missing, and rightly so.
        writer.expect(&Request::ReplaceMany { for_ms: 0 }, &Answer::Done, "replacing the file should succeed")?;
        writer.begin(&Request::ReplaceMany { for_ms: MEETING_MS })?;
        let watched = reader.ask(&Request::WatchReplaced { for_ms: MEETING_MS })?;
        let written = writer.finish()?;
        if written != Answer::Done {
            return Err(differs("replacing the file should succeed", &written));
        }
        Ok(watched)
    })
}

fn identity(field: &Field<'_>) -> Checked {
    let [mut first, mut second] = field.actors()?;
    let mut before: Option<Answer> = None;
    for _ in 0..ALTERNATIONS {
        open(&mut first, A)?;
        open(&mut second, A)?;
        let by_handle = first.ask(&Request::Inspect(A))?;
        for (answer, what) in [
            (first.ask(&Request::Look(FILE.into()))?, "a path and the file opened by it should be the same"),
            (second.ask(&Request::Inspect(A))?, "two processes should see the same device and inode"),
            (second.ask(&Request::Look(FILE.into()))?, "two processes should see the same device and inode"),
        ] {
            if identity_of(&answer).is_none() || identity_of(&answer) != identity_of(&by_handle) {
                return Err(differs(what, &answer));
            }
        }
        // The first process holds the file open while another takes its name: the two must differ.
        if before.as_ref().and_then(identity_of) == identity_of(&by_handle) {
            return Err(differs("a new file should not have the identity of one that is still open", &by_handle));
        }
        first.expect(&Request::Close(B), &Answer::Done, "closing should succeed")?;
        open(&mut first, B)?;
        second.expect(&Request::Remove(FILE.into()), &Answer::Done, "removing should succeed")?;
        before = Some(by_handle);
    }
    Ok(format!("{ALTERNATIONS} files"))
}

fn identity_of(answer: &Answer) -> Option<(u64, u64)> {
    match answer {
        Answer::Status { device, inode, .. } => Some((*device, *inode)),
        _ => None,
    }
}

fn link_count(field: &Field<'_>) -> Checked {
    let [mut holder, mut remover] = field.actors()?;
    for _ in 0..ALTERNATIONS {
        open(&mut holder, A)?;
        for expected in [1, 0] {
            match holder.ask(&Request::Inspect(A))? {
                Answer::Status { links, .. } if links == expected => {}
                answer => return Err(differs(&format!("the number of names should be {expected}"), &answer)),
            }
            if expected == 1 {
                remover.expect(&Request::Remove(FILE.into()), &Answer::Done, "removing should succeed")?;
            }
        }
    }
    Ok(format!("{ALTERNATIONS} files"))
}

fn clock(field: &Field<'_>) -> Checked {
    let mut actors: [Actor; 3] = field.actors()?;
    let mut latest = 0;
    for turn in 0..ALTERNATIONS as usize {
        let actor = turn % actors.len();
        match actors[actor].ask(&Request::Now)? {
            Answer::Time(now) if now >= latest => latest = now,
            Answer::Time(now) => {
                return Err(Stop::Violated(format!("one process reads {} us before another did", latest - now)));
            }
            answer => return Err(differs("the clock should be told", &answer)),
        }
    }
    Ok(format!("{ALTERNATIONS} readings by 3 processes"))
}

fn open(actor: &mut Actor, handle: u8) -> Result<(), Stop> {
    let request = Request::Open { handle, name: FILE.into(), access: Opening::Append };
    actor.expect(&request, &Answer::Done, "opening should succeed")
}

/// Tries again until the reader has met the writer often enough: on a busy machine one may be over before the other begins.
fn until_met(mut watch: impl FnMut() -> Result<Answer, Stop>) -> Checked {
    let (mut all_looks, mut all_news) = (0, 0);
    for _ in 0..ATTEMPTS_MAX {
        match watch()? {
            Answer::Watched { wrong: Some(wrong), .. } => return Err(Stop::Violated(wrong)),
            Answer::Watched { looks, news, wrong: None } => {
                all_looks += looks;
                all_news += news;
            }
            answer => return Err(differs("the reader should tell what it saw", &answer)),
        }
        if all_news >= MEETINGS_MIN {
            return Ok(format!("{all_looks} looks, {all_news} of them at something new"));
        }
    }
    Err(Stop::Unknown(format!("{all_looks} looks hardly ever met a change")))
}
