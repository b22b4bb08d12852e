//! The zoo on real files: each protocol does what its name says as long as nobody disturbs it.

use std::path::Path;
use std::time::Duration;

use models::participant::{Belief, Participant, Step, Wait};
use models::real::RealKernel;
use models::zoo::{AnyParticipant, PROTOCOLS, Protocol, Setup};
use single_primary::{Event, InstanceId, LogOptions, Paths};

/// One instance on real files.
struct Instance {
    participant: AnyParticipant,
    kernel: RealKernel,
}

impl Instance {
    fn new(protocol: &Protocol, directory: &Path, id: &str) -> Self {
        let setup = Setup {
            id: InstanceId::new(id).expect("a valid ID"),
            window: Duration::from_millis(1),
            expect: None,
            log: LogOptions::default(),
        };
        let paths = Paths { directory: directory.join("election"), log: directory.join("election/realtime.log") };
        Self { participant: protocol.start(setup), kernel: RealKernel::new(paths) }
    }

    /// Goes on until there is a verdict and nothing to do, or until it waits for others.
    fn run(&mut self) -> Belief {
        loop {
            match self.participant.next() {
                Step::Call(call) => {
                    let reply = self.kernel.perform(&call);
                    self.participant.reply(reply, self.kernel.now());
                }
                Step::Wait(Wait::Until(until) | Wait::Change(Some(until))) => {
                    self.kernel.pause(16, Some(until));
                    self.participant.wake(self.kernel.now());
                }
                Step::Wait(Wait::Change(None) | Wait::Event) | Step::Ended => return self.participant.belief(),
            }
        }
    }

    fn deliver(&mut self, id: &str) {
        self.participant.deliver(Event { id: id.into(), payload: "1".into() });
        self.run();
    }
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("election/realtime.log")).unwrap_or_default()
}

#[test]
fn a_lone_instance_of_every_protocol_is_primary_and_logs() {
    for protocol in PROTOCOLS {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let mut instance = Instance::new(protocol, directory.path(), "a");
        assert!(matches!(instance.run(), Belief::Primary { .. }), "{}: {:?}", protocol.name, instance.participant);
        instance.deliver("one");
        instance.deliver("two");
        instance.participant.leave();
        assert_eq!(instance.run(), Belief::Left, "{}", protocol.name);
        assert_eq!(instance.participant.next(), Step::Ended, "{}", protocol.name);
        let entries = log(directory.path());
        let events: Vec<_> = entries.lines().map(|line| line.split('"').nth(3)).collect();
        assert_eq!(events, [Some("one"), Some("two")], "{}", protocol.name);
    }
}

#[test]
fn a_second_instance_of_every_protocol_defers_where_it_should() {
    for protocol in PROTOCOLS {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let mut first = Instance::new(protocol, directory.path(), "a");
        first.run();
        let mut second = Instance::new(protocol, directory.path(), "b");
        let belief = second.run();
        if protocol.needs.instances_per_process > 1 {
            assert!(matches!(belief, Belief::Primary { .. }), "{}: {belief:?}", protocol.name);
        } else {
            assert_eq!(belief, Belief::Secondary, "{}", protocol.name);
        }
    }
}

#[test]
fn the_successor_under_flock_logs_what_its_predecessor_did_not() {
    let protocol = models::zoo::find("flock").expect("it is in the zoo");
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let mut first = Instance::new(protocol, directory.path(), "a");
    let mut second = Instance::new(protocol, directory.path(), "b");
    first.run();
    first.deliver("one");
    second.run();
    second.deliver("one");
    second.deliver("two");
    // Death, in the middle of a line.
    drop(first);
    let torn = log(directory.path()) + "{\"event\":\"tw";
    std::fs::write(directory.path().join("election/realtime.log"), torn).expect("the log can be written");
    second.participant.wake(second.kernel.now());
    assert!(matches!(second.run(), Belief::Primary { .. }));
    assert_eq!(
        log(directory.path()),
        "{\"event\":\"one\",\"term\":0,\"primary\":\"a\",\"payload\":1}\n\
         {\"event\":\"two\",\"term\":0,\"primary\":\"b\",\"payload\":1}\n"
    );
}

#[test]
fn a_waiting_instance_returns_to_the_state_that_it_was_in() {
    let protocol = models::zoo::find("flock").expect("it is in the zoo");
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let mut first = Instance::new(protocol, directory.path(), "a");
    let mut second = Instance::new(protocol, directory.path(), "b");
    first.run();
    second.run();
    let before = second.participant.clone();
    second.participant.wake(second.kernel.now());
    assert_ne!(second.participant, before);
    second.run();
    assert_eq!(second.participant, before);
}
