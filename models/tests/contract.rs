//! The simulated kernel tells the truth: the same calls have the same replies on it and on the operating system.
//!
//! Several instances take part, all in one process on the real side. Locks of the flock(2) kind belong to open file
//! descriptions, so that this is what several processes would see as well. Record locks belong to processes: what two of
//! them see of each other is pinned in `tests/kernel.rs` after fcntl(2), here only what one process sees.
//!
//! Equal are replies up to what a kernel is free to choose: inode numbers are compared by which of them are the same, the
//! size and link count of directories and the moment of a change not at all.

use std::collections::HashMap;
use std::path::Path;

use models::call::{Call, Reply};
use models::kernel::{Caller, Fate, Files, Memory, perform};
use models::real::RealKernel;
use proptest::prelude::*;
use single_primary::call::{Access, Call as ElectionCall, FileKind, Handle, Mode, Name, Reply as ElectionReply, Time};
use single_primary::{InstanceId, Paths};

const INSTANCES: usize = 3;
const A: Handle = Handle(5);
const B: Handle = Handle(6);

/// Makes the calls on both kernels, each instance with its own handles, and compares what came back.
fn check(calls: &[(usize, Call)]) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let paths = paths(directory.path());
    let real: Vec<_> = (0..INSTANCES).map(|_| RealKernel::new(paths.clone())).collect();
    let mut memory = Memory::default();
    memory.processes.alive.insert(std::process::id());
    let mut files = vec![Files::default(); INSTANCES];
    let (mut real_inodes, mut simulated_inodes) = (HashMap::new(), HashMap::new());
    for (at, (instance, call)) in calls.iter().enumerate() {
        let mut caller = Caller {
            instance: u8::try_from(*instance).expect("few instances"),
            process: std::process::id(),
            files: &mut files[*instance],
            now: Time::default(),
        };
        let simulated = comparable(perform(&mut memory, &mut caller, call, Fate::Normal), &mut simulated_inodes);
        let real = comparable(real[*instance].perform(call), &mut real_inodes);
        if frees(call) {
            real_inodes.clear();
            simulated_inodes.clear();
        }
        if simulated != real {
            return Err(format!("call {at}, {call:?} of instance {instance}: simulated {simulated:?}, real {real:?}"));
        }
    }
    Ok(())
}

/// Whether the call can leave a file without a name and a handle. Its number comes back when the kernel likes, so that
/// numbers from before say nothing about those after it.
fn frees(call: &Call) -> bool {
    matches!(
        call,
        Call::Election(
            ElectionCall::Open { .. }
                | ElectionCall::Close(_)
                | ElectionCall::CloseAll
                | ElectionCall::Remove(_)
                | ElectionCall::Rename(..)
        ) | Call::CreateNew(..)
            | Call::RemoveDirectory(_)
    )
}

fn paths(directory: &Path) -> Paths {
    let election = directory.join("election");
    Paths { log: election.join("realtime.log"), directory: election }
}

/// What is left of a reply without what a kernel is free to choose.
fn comparable(reply: Reply, inodes: &mut HashMap<u64, u64>) -> Reply {
    match reply {
        Reply::Election(ElectionReply::Status(mut status)) => {
            let next = inodes.len() as u64;
            status.identity.device = 0;
            status.identity.inode = *inodes.entry(status.identity.inode).or_insert(next);
            if status.kind == FileKind::Directory {
                (status.size, status.links) = (0, 0);
            }
            Reply::Election(ElectionReply::Status(status))
        }
        Reply::Election(ElectionReply::FileSystem(_)) => Reply::Election(ElectionReply::Done),
        Reply::Election(ElectionReply::Names(mut names)) => {
            names.sort();
            Reply::Election(ElectionReply::Names(names))
        }
        Reply::Time(_) => Reply::Time(Time::default()),
        other => other,
    }
}

fn ours(call: ElectionCall) -> Call {
    Call::Election(call)
}

fn other(name: &str) -> Name {
    Name::Other(name.into())
}

fn open(handle: Handle, name: Name, access: Access) -> Call {
    ours(ElectionCall::Open { handle, name, access })
}

/// Every instance has the election directory open.
fn entered() -> Vec<(usize, Call)> {
    let mut calls =
        vec![(0, open(Handle::DIRECTORY, Name::Directory, Access::Directory)), (0, ours(ElectionCall::MakeDirectory))];
    calls
        .extend((0..INSTANCES).map(|instance| (instance, open(Handle::DIRECTORY, Name::Directory, Access::Directory))));
    calls
}

#[test]
fn hand_picked_calls_have_the_same_replies() {
    use ElectionCall as E;
    let lock = |handle, mode| ours(E::Lock(handle, mode));
    let append = |handle, text: &str| ours(E::Append { handle, bytes: text.as_bytes().into() });
    let read = |handle, offset, length| ours(E::Read { handle, offset, length });
    let look_up = |name| ours(E::Look(name));
    let seat = || Name::Seat(InstanceId::new("a").expect("a letter makes an ID"));
    let cases: Vec<(&str, Vec<(usize, Call)>)> = vec![
        (
            "two descriptions of one instance",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (0, open(B, other("x"), Access::Append)),
                (0, lock(A, Mode::Exclusive)),
                (0, lock(B, Mode::Shared)),
                (0, ours(E::Close(A))),
                (0, lock(B, Mode::Shared)),
                (0, lock(B, Mode::Exclusive)),
                (0, ours(E::Unlock(B))),
                (0, ours(E::Unlock(A))),
                (0, ours(E::Close(A))),
            ],
        ),
        (
            "a refused conversion loses the lock",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (1, open(A, other("x"), Access::Append)),
                (2, open(A, other("x"), Access::Read)),
                (0, lock(A, Mode::Shared)),
                (1, lock(A, Mode::Shared)),
                (0, lock(A, Mode::Exclusive)),
                (1, ours(E::CloseAll)),
                (2, lock(A, Mode::Exclusive)),
                (0, lock(A, Mode::Shared)),
            ],
        ),
        (
            "unlinked, and made again",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (0, lock(A, Mode::Exclusive)),
                (0, append(A, "one")),
                (1, ours(E::Remove(other("x")))),
                (1, ours(E::Remove(other("x")))),
                (0, ours(E::Inspect(A))),
                (1, open(A, other("x"), Access::Append)),
                (1, lock(A, Mode::Exclusive)),
                (1, ours(E::Inspect(A))),
                (1, look_up(other("x"))),
                (0, read(A, 0, 10)),
                (1, read(A, 0, 10)),
            ],
        ),
        (
            "renamed over another",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (0, append(A, "x")),
                (1, open(A, other("y"), Access::Append)),
                (1, append(A, "yy")),
                (0, ours(E::Rename(other("x"), other("y")))),
                (0, ours(E::Inspect(A))),
                (1, ours(E::Inspect(A))),
                (2, look_up(other("x"))),
                (2, look_up(other("y"))),
                (0, ours(E::Rename(other("x"), other("y")))),
                (0, ours(E::Rename(other("y"), other("y")))),
                (0, Call::ListFiles),
            ],
        ),
        (
            "what appends and truncates",
            vec![
                (0, open(A, Name::Journal, Access::Append)),
                (1, open(A, Name::Journal, Access::Append)),
                (2, open(A, Name::Journal, Access::Read)),
                (0, append(A, "one")),
                (1, append(A, "two")),
                (2, read(A, 0, 64)),
                (2, append(A, "no")),
                (2, ours(E::Truncate { handle: A, size: 0 })),
                (0, ours(E::Truncate { handle: A, size: 4 })),
                (1, append(A, "!")),
                (1, ours(E::Truncate { handle: A, size: 9 })),
                (2, read(A, 2, 64)),
                (2, read(A, 99, 1)),
                (2, ours(E::Sync(A))),
                (2, ours(E::Sync(B))),
                (2, ours(E::Inspect(B))),
            ],
        ),
        (
            "exclusive creation",
            vec![
                (0, Call::CreateNew(A, other("x"))),
                (1, Call::CreateNew(A, other("x"))),
                (1, ours(E::Inspect(A))),
                (0, append(A, "x")),
                (1, ours(E::Remove(other("x")))),
                (1, Call::CreateNew(A, other("x"))),
                (0, Call::Modified(other("x"))),
                (0, Call::Modified(other("z"))),
            ],
        ),
        (
            "directories as locks",
            vec![
                (0, Call::MakeDirectory(other("d"))),
                (1, Call::MakeDirectory(other("d"))),
                (1, ours(E::Remove(other("d")))),
                (0, open(A, other("d"), Access::Append)),
                (0, open(A, other("d"), Access::Read)),
                (0, read(A, 0, 1)),
                (0, open(B, other("d"), Access::Directory)),
                (1, Call::RemoveDirectory(other("d"))),
                (1, Call::RemoveDirectory(other("d"))),
                (0, open(A, other("x"), Access::Append)),
                (0, Call::RemoveDirectory(other("x"))),
                (0, open(B, other("x"), Access::Directory)),
                (0, Call::MakeDirectory(other("x"))),
            ],
        ),
        (
            "seats and their list",
            vec![
                (0, open(Handle::SEAT, seat(), Access::Append)),
                (0, open(A, other("b.seat"), Access::Append)),
                (0, open(B, other(".hidden.seat"), Access::Append)),
                (1, ours(E::List)),
                (1, Call::ListFiles),
                (1, open(Handle::RIVAL, seat(), Access::Read)),
                (0, lock(Handle::SEAT, Mode::Exclusive)),
                (1, lock(Handle::RIVAL, Mode::Shared)),
                (0, ours(E::CloseAll)),
                (1, lock(Handle::RIVAL, Mode::Shared)),
            ],
        ),
        (
            "record locks within one process",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (1, open(A, other("x"), Access::Append)),
                (2, open(A, other("x"), Access::Read)),
                (0, Call::RecordLock(A)),
                (1, Call::RecordLock(A)),
                (2, Call::RecordLock(A)),
                (2, Call::RecordLock(B)),
            ],
        ),
        (
            "processes",
            vec![
                (0, Call::ProcessId),
                (0, Call::IsAlive(std::process::id())),
                (0, Call::IsAlive(i32::MAX.unsigned_abs())),
            ],
        ),
        (
            "logs",
            vec![
                (0, open(Handle::LOG, Name::Log(1), Access::Read)),
                (0, open(Handle::LOG, Name::Log(0), Access::Append)),
                (0, append(Handle::LOG, "e\n")),
                (0, ours(E::Close(Handle::LOG))),
                (0, ours(E::Rename(Name::Log(0), Name::Log(1)))),
                (0, ours(E::Rename(Name::Log(0), Name::Log(1)))),
                (0, open(Handle::LOG, Name::Log(0), Access::Append)),
                (1, open(Handle::LOG, Name::Log(1), Access::Read)),
                (1, read(Handle::LOG, 0, 64)),
                (0, look_up(Name::Log(1))),
                (0, ours(E::FileSystem(Handle::DIRECTORY))),
                (0, ours(E::FileSystem(B))),
                (0, look_up(Name::Directory)),
            ],
        ),
        (
            "a handle that is used again",
            vec![
                (0, open(A, other("x"), Access::Append)),
                (0, lock(A, Mode::Exclusive)),
                (0, open(A, other("x"), Access::Append)),
                (1, open(A, other("x"), Access::Append)),
                (1, lock(A, Mode::Exclusive)),
                (0, open(Handle(9), other("z"), Access::Append)),
                (0, ours(E::Inspect(Handle(9)))),
                (0, look_up(other("z"))),
            ],
        ),
        (
            "without the directory open",
            vec![
                (0, ours(E::CloseAll)),
                (0, open(A, other("x"), Access::Append)),
                (0, ours(E::List)),
                (0, Call::ListFiles),
                (0, look_up(Name::Journal)),
                (0, ours(E::MakeDirectory)),
                (0, look_up(Name::Directory)),
            ],
        ),
    ];
    for (about, calls) in cases {
        let calls: Vec<_> = entered().into_iter().chain(calls).collect();
        assert_eq!(check(&calls), Ok(()), "{about}");
    }
}

fn handles() -> impl Strategy<Value = Handle> {
    prop_oneof![Just(A), Just(B)]
}

fn names() -> impl Strategy<Value = Name> {
    prop_oneof![
        3 => prop_oneof![Just("x"), Just("y")].prop_map(other),
        1 => Just(Name::Journal),
        1 => Just(Name::Seat(InstanceId::new("a").expect("a letter makes an ID"))),
        1 => prop_oneof![Just(Name::Log(0)), Just(Name::Log(1))],
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    use ElectionCall as E;
    let modes = || prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    let access = || prop_oneof![3 => Just(Access::Append), 2 => Just(Access::Read), 1 => Just(Access::Directory)];
    let zoo_names = || prop_oneof![Just("x"), Just("y")].prop_map(other);
    prop_oneof![
        6 => (handles(), names(), access()).prop_map(|(handle, name, access)| open(handle, name, access)),
        2 => handles().prop_map(|handle| ours(E::Close(handle))),
        6 => (handles(), modes()).prop_map(|(handle, mode)| ours(E::Lock(handle, mode))),
        2 => handles().prop_map(|handle| ours(E::Unlock(handle))),
        2 => handles().prop_map(|handle| ours(E::Inspect(handle))),
        2 => names().prop_map(|name| ours(E::Look(name))),
        2 => (handles(), 0..20_u64, 0..20_usize).prop_map(|(handle, offset, length)| ours(E::Read { handle, offset, length })),
        3 => (handles(), 0..9_u8).prop_map(|(handle, length)| {
            ours(E::Append { handle, bytes: (0..length).map(|at| b'a' + at).collect() })
        }),
        2 => (handles(), 0..20_u64).prop_map(|(handle, size)| ours(E::Truncate { handle, size })),
        1 => handles().prop_map(|handle| ours(E::Sync(handle))),
        1 => Just(ours(E::List)),
        2 => names().prop_map(|name| ours(E::Remove(name))),
        2 => (names(), names()).prop_map(|(from, to)| ours(E::Rename(from, to))),
        2 => (handles(), zoo_names()).prop_map(|(handle, name)| Call::CreateNew(handle, name)),
        1 => zoo_names().prop_map(Call::MakeDirectory),
        1 => zoo_names().prop_map(Call::RemoveDirectory),
        1 => zoo_names().prop_map(Call::Modified),
        1 => handles().prop_map(Call::RecordLock),
        1 => Just(Call::ListFiles),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_calls_have_the_same_replies(calls in prop::collection::vec((0..INSTANCES, calls()), 1..40)) {
        let calls: Vec<_> = entered().into_iter().chain(calls).collect();
        prop_assert_eq!(check(&calls), Ok(()));
    }
}
