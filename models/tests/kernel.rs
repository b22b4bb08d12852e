//! What the simulated kernel makes of the calls by which lock protocols go wrong.

use models::call::{Call, Reply};
use models::kernel::{Caller, Fate, Files, Memory, exit, perform};
use single_primary::call::{Access, Call as ElectionCall, Handle, Mode, Name, Reply as ElectionReply, Time};

/// Instances over one kernel; each has opened the election directory.
struct Bench {
    memory: Memory,
    instances: Vec<(u32, Files)>,
}

impl Bench {
    fn new(processes: &[u32]) -> Self {
        let mut bench = Self {
            memory: Memory::default(),
            instances: processes.iter().map(|process| (*process, Files::default())).collect(),
        };
        bench.memory.processes.alive.extend(processes);
        bench.election(0, ElectionCall::MakeDirectory);
        for instance in 0..processes.len() {
            bench.open(instance, Handle::DIRECTORY, &Name::Directory, Access::Directory);
        }
        bench
    }

    fn call(&mut self, instance: usize, call: &Call, fate: Fate) -> Reply {
        let (process, files) = &mut self.instances[instance];
        let number = u8::try_from(instance).expect("few instances");
        perform(
            &mut self.memory,
            &mut Caller { instance: number, process: *process, files, now: Time::default() },
            call,
            fate,
        )
    }

    fn election(&mut self, instance: usize, call: ElectionCall) -> ElectionReply {
        match self.call(instance, &Call::Election(call), Fate::Normal) {
            Reply::Election(reply) => reply,
            other => panic!("{other:?} answers no call of the election"),
        }
    }

    fn open(&mut self, instance: usize, handle: Handle, name: &Name, access: Access) {
        let call = ElectionCall::Open { handle, name: name.clone(), access };
        assert_eq!(self.election(instance, call), ElectionReply::Done);
    }

    fn lock(&mut self, instance: usize, handle: Handle, mode: Mode) -> ElectionReply {
        self.election(instance, ElectionCall::Lock(handle, mode))
    }

    fn exit(&mut self, instance: usize) {
        let (process, files) = &mut self.instances[instance];
        let number = u8::try_from(instance).expect("few instances");
        exit(&mut self.memory, &mut Caller { instance: number, process: *process, files, now: Time::default() });
    }
}

const A: Handle = Handle(5);
const B: Handle = Handle(6);

fn file() -> Name {
    Name::Other("file".into())
}

#[test]
fn two_descriptions_of_one_instance_exclude_each_other_until_the_holder_is_closed() {
    let mut bench = Bench::new(&[100]);
    bench.open(0, A, &file(), Access::Append);
    bench.open(0, B, &file(), Access::Append);
    assert_eq!(bench.lock(0, A, Mode::Exclusive), ElectionReply::Done);
    assert_eq!(bench.lock(0, B, Mode::Shared), ElectionReply::Busy);
    bench.election(0, ElectionCall::Close(A));
    assert_eq!(bench.lock(0, B, Mode::Shared), ElectionReply::Done);
}

#[test]
fn a_refused_conversion_loses_the_lock_that_was_held() {
    let mut bench = Bench::new(&[100, 101, 102]);
    for instance in 0..3 {
        bench.open(instance, A, &file(), Access::Append);
    }
    for instance in 0..2 {
        assert_eq!(bench.lock(instance, A, Mode::Shared), ElectionReply::Done);
    }
    assert_eq!(bench.lock(0, A, Mode::Exclusive), ElectionReply::Busy);
    bench.exit(1);
    assert_eq!(bench.lock(2, A, Mode::Exclusive), ElectionReply::Done);
}

#[test]
fn an_unlinked_file_stays_with_its_descriptions_and_its_name_begets_another() {
    let mut bench = Bench::new(&[100, 101]);
    bench.open(0, A, &file(), Access::Append);
    assert_eq!(bench.lock(0, A, Mode::Exclusive), ElectionReply::Done);
    bench.election(0, ElectionCall::Remove(file()));
    bench.open(1, A, &file(), Access::Append);
    assert_eq!(bench.lock(1, A, Mode::Exclusive), ElectionReply::Done, "two holders of what looks like one lock");
    let inodes = bench.memory.inodes.len();
    bench.exit(0);
    assert_eq!(bench.memory.inodes.len(), inodes - 1, "the nameless file goes with its last description");
}

#[test]
fn record_locks_are_the_process_s_and_go_when_it_closes_any_handle_of_the_file() {
    let mut bench = Bench::new(&[100, 100, 101]);
    for instance in 0..3 {
        bench.open(instance, A, &file(), Access::Append);
    }
    bench.open(1, B, &file(), Access::Read);
    let done = Reply::Election(ElectionReply::Done);
    assert_eq!(bench.call(0, &Call::RecordLock(A), Fate::Normal), done);
    assert_eq!(bench.call(1, &Call::RecordLock(A), Fate::Normal), done, "both instances of one process win");
    assert_eq!(bench.call(2, &Call::RecordLock(A), Fate::Normal), Reply::Election(ElectionReply::Busy));
    bench.election(1, ElectionCall::Close(B));
    assert_eq!(bench.call(2, &Call::RecordLock(A), Fate::Normal), done);
}

#[test]
fn a_short_append_leaves_what_it_wrote_and_a_failed_call_leaves_nothing() {
    let mut bench = Bench::new(&[100]);
    bench.open(0, A, &file(), Access::Append);
    let append = Call::Election(ElectionCall::Append { handle: A, bytes: b"entry\n".as_slice().into() });
    assert_eq!(bench.call(0, &append, Fate::Short(3)), Reply::Election(ElectionReply::Wrote(3)));
    let failure = single_primary::call::Failure(5);
    assert_eq!(bench.call(0, &append, Fate::Fail(failure)), Reply::Election(ElectionReply::Failed(failure)));
    let read = ElectionCall::Read { handle: A, offset: 0, length: 100 };
    assert_eq!(bench.election(0, read), ElectionReply::Bytes(b"ent".to_vec()));
}

#[test]
fn what_a_dead_process_left_open_is_closed_and_its_locks_are_free() {
    let mut bench = Bench::new(&[100, 101]);
    bench.open(0, A, &file(), Access::Append);
    bench.open(1, A, &file(), Access::Append);
    assert_eq!(bench.lock(0, A, Mode::Exclusive), ElectionReply::Done);
    assert_eq!(bench.lock(1, A, Mode::Exclusive), ElectionReply::Busy);
    bench.exit(0);
    assert_eq!(bench.lock(1, A, Mode::Exclusive), ElectionReply::Done);
}
