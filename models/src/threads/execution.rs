//! One execution: every instance on its thread, and what it must come to.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use single_primary::call::Name;
use single_primary::kernel::Kernel;
use single_primary::{Election, Error, Event, InstanceId, LogOptions};

use crate::end::End;
use crate::participant::{Belief, Participant, Step, Wait};
use crate::states::oracle;
use crate::threads::bounds::{Bounds, Fault};
use crate::threads::engine::Engine;
use crate::threads::kernel::{Beliefs, DIRECTORY, Local, ThreadKernel, WINDOW, own_next_word};
use crate::threads::observer::{Observation, Observer};
use crate::threads::world::World;
use crate::verdict::{Moment, Verdict, What};
use crate::zoo::{AnyParticipant, Protocol, Setup};

/// What one execution is to run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) protocol: &'static Protocol,
    pub(crate) bounds: Bounds,
    /// What goes wrong by plan.
    pub(crate) faults: Vec<Fault>,
    /// Whether faults happen by the checker's choice, within the bounds.
    pub(crate) by_chance: bool,
    /// How often an instance looks again before the time that it waits for has come.
    pub(crate) patience: u32,
    /// Whether each name in the directory is an object of its own, which leaves fewer orders to explore.
    pub(crate) names_apart: bool,
    /// Whether all that happens is kept.
    pub(crate) keeps_moments: bool,
}

/// A scenario that is being run.
pub(crate) struct Execution<E: Engine> {
    pub(crate) protocol: &'static Protocol,
    pub(crate) bounds: Bounds,
    pub(crate) faults: Vec<Fault>,
    pub(crate) by_chance: bool,
    pub(crate) patience: u32,
    pub(crate) world: World<E>,
    parties: Mutex<Vec<Party<E>>>,
}

/// An instance that has played its part and lives on.
struct Party<E: Engine> {
    instance: u8,
    has_left: bool,
    local: Arc<Local>,
    role: Part<E>,
}

enum Part<E: Engine> {
    Journal(Box<Election<ThreadKernel<E>>>),
    Zoo(Box<(AnyParticipant, ThreadKernel<E>)>),
}

/// How often an instance that has deferred looks again, and one that knows nothing yet.
const LOOKS_SECONDARY: u32 = 2;
const LOOKS_UNDECIDED: u32 = 20;

/// Runs a scenario once, on the checker's threads.
pub(crate) fn run<E: Engine>(scenario: &Scenario) -> Observation {
    let execution = Arc::new(Execution::<E>::new(scenario));
    let count = execution.count();
    let start = |instance| {
        let execution = execution.clone();
        move || execution.take_part(instance)
    };
    let threads: Vec<_> = (1..count).map(|instance| E::spawn(start(instance))).collect();
    execution.take_part(0);
    for thread in threads {
        E::join(thread);
    }

    let mut parties = std::mem::take(&mut *execution.parties.lock().unwrap_or_else(PoisonError::into_inner));
    parties.sort_by_key(|party| party.instance);
    execution.settle(&mut parties);
    execution.judge(&parties);
    // Before anyone is put out: who leaves in the end is primary no more.
    let end = execution.end();
    for party in &parties {
        party.local.put_out();
    }
    drop(parties);
    execution.world.observer.conclude(end)
}

thread_local! {
    /// What watches the execution that runs on this thread.
    static WATCHING: RefCell<Option<Arc<Observer>>> = const { RefCell::new(None) };
}

/// What has happened in the execution that was the last to run on this thread, even if it never came to its end.
pub(crate) fn last_moments() -> Vec<Moment> {
    WATCHING.with_borrow(|watching| watching.as_ref().map(|observer| observer.moments()).unwrap_or_default())
}

/// The IDs of all instances.
pub(crate) fn ids(bounds: &Bounds) -> Vec<String> {
    (0..threads_of(bounds)).map(|instance| id(instance).to_string()).collect()
}

/// Which process hosts each instance of a run.
pub(crate) fn processes(bounds: &Bounds) -> Vec<u32> {
    (0..threads_of(bounds)).map(|instance| bounds.process(instance)).collect()
}

fn threads_of(bounds: &Bounds) -> u8 {
    u8::try_from(bounds.registrants).expect("no checker runs so many threads")
}

pub(crate) fn id(instance: u8) -> InstanceId {
    InstanceId::new(format!("i{instance}")).expect("a letter and digits make an ID")
}

impl<E: Engine> Execution<E> {
    /// An election directory in which nothing has happened yet.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let Scenario { protocol, bounds, faults, by_chance, patience, names_apart, keeps_moments } = scenario.clone();
        let count = threads_of(&bounds);
        let names = names_apart.then(|| {
            let seats = (0..count).map(|instance| Name::Seat(id(instance)));
            let files = [Name::Journal, Name::NextJournal, Name::Other("primary.lock".into())];
            files.into_iter().chain(seats).chain((0..=4).map(Name::Log)).collect()
        });
        let observer = Arc::new(Observer::new(bounds.registrants, keeps_moments));
        if keeps_moments {
            WATCHING.with_borrow_mut(|watching| *watching = Some(observer.clone()));
        }
        let mut world = World::new(observer, (0..count).map(|instance| bounds.process(instance)), names);
        if by_chance {
            let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            *world.crashes_left.get_mut() = small(bounds.crashes);
            *world.io_errors_left.get_mut() = small(bounds.io_errors);
            *world.jumps_left.get_mut() = u32::from(!bounds.clock_jump.is_zero());
        }
        let parties = Mutex::default();
        Self { protocol, bounds, faults, by_chance, patience, world, parties }
    }

    fn count(&self) -> u8 {
        threads_of(&self.bounds)
    }

    /// What the thread of an instance does.
    fn take_part(self: &Arc<Self>, instance: u8) {
        let kernel = ThreadKernel::new(self, instance);
        let local = kernel.local();
        let part = match self.protocol.name {
            "journal" => self.elect(instance, kernel).map(|election| Part::Journal(Box::new(election))),
            _ => Some(Part::Zoo(Box::new(self.follow(instance, kernel)))),
        };
        if self.world.observer.is_violated() {
            self.world.ring_all();
        }
        if let Some(role) = part {
            let has_left = self.leaves(instance) || self.bounds.succession;
            let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
            parties.push(Party { instance, has_left, local, role });
        }
    }

    fn leaves(&self, instance: u8) -> bool {
        usize::from(instance) < self.bounds.leaves
    }

    /// Whether a primary may be gone before the end.
    fn disturbs(&self) -> bool {
        !self.faults.is_empty() || self.by_chance || self.bounds.leaves > 0
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        (0..self.bounds.events).map(|event| Event { id: format!("e{event}").into(), payload: "1".into() })
    }

    /// The journal's way, through the library.
    fn elect(self: &Arc<Self>, instance: u8, kernel: ThreadKernel<E>) -> Option<Election<ThreadKernel<E>>> {
        let local = kernel.local();
        own_next_word(self.clone(), instance);
        let options = Election::options(DIRECTORY).id(id(instance)).window(WINDOW).expect(self.bounds.registrants);
        let result = options.start_on(kernel).and_then(|election| {
            self.use_election(instance, &election)?;
            Ok(election)
        });
        match result {
            Ok(election) => Some(election),
            Err(error) => {
                self.ended(instance, &local, &error);
                None
            }
        }
    }

    fn use_election(&self, instance: u8, election: &Election<ThreadKernel<E>>) -> Result<(), Error> {
        for event in self.events() {
            self.world.observer.happened(instance, election.kernel().now(), What::Deliver(event.clone()));
            election.record(&event.id, &event.payload)?;
        }
        election.decided()?;
        if self.bounds.succession {
            election.wait()?;
        }
        if self.bounds.succession || self.leaves(instance) {
            self.world.observer.happened(instance, election.kernel().now(), What::Leave);
            election.leave()
        } else if self.disturbs() {
            // Another look at whoever is primary.
            election.poll().map(drop)
        } else {
            Ok(())
        }
    }

    /// An instance has ended with an error, for which there must be a cause.
    fn ended(&self, instance: u8, local: &Local, error: &Error) {
        let observer = &self.world.observer;
        observer.believes(instance, Belief::Failed(error.to_string().into()));
        if !observer.has_crashed(instance) && !local.has_failed_call() && !observer.is_violated() {
            observer.violate(format!("{} fails without cause: {error}", id(instance)));
        }
    }

    /// A zoo protocol's way.
    fn follow(&self, instance: u8, kernel: ThreadKernel<E>) -> (AnyParticipant, ThreadKernel<E>) {
        let setup = Setup { id: id(instance), window: WINDOW, expect: None, log: LogOptions::default() };
        let mut participant = self.protocol.start(setup);
        self.drive(instance, &mut participant, &kernel);
        for event in self.events() {
            self.world.observer.happened(instance, kernel.now(), What::Deliver(event.clone()));
            participant.deliver(event);
            self.drive(instance, &mut participant, &kernel);
        }
        if self.leaves(instance) {
            self.world.observer.happened(instance, kernel.now(), What::Leave);
            participant.leave();
            self.world.observer.believes(instance, participant.belief());
            self.drive(instance, &mut participant, &kernel);
        }
        (participant, kernel)
    }

    /// Goes on until there is nothing to do but to wait for others.
    fn drive(&self, instance: u8, participant: &mut AnyParticipant, kernel: &ThreadKernel<E>) {
        for looks in 0.. {
            while let Step::Call(call) = participant.next() {
                let reply = kernel.perform_any(&call);
                if kernel.is_out() {
                    return;
                }
                participant.reply(reply, kernel.now());
                self.world.observer.believes(instance, participant.belief());
            }
            match participant.next() {
                Step::Wait(Wait::Until(until) | Wait::Change(Some(until))) => kernel.pause(looks, Some(until)),
                Step::Wait(Wait::Change(None)) => {
                    let looks_max = match participant.belief() {
                        Belief::Undecided => LOOKS_UNDECIDED,
                        // Who is primary stays so, and there is nothing to see before the end.
                        _ if !self.disturbs() => 0,
                        _ => LOOKS_SECONDARY,
                    };
                    if looks >= looks_max {
                        return;
                    }
                    E::yield_now();
                }
                Step::Wait(Wait::Event) | Step::Ended | Step::Call(_) => return,
            }
            participant.wake(kernel.now());
        }
    }

    /// Nobody disturbs anybody any more: everyone looks around until nothing changes.
    fn settle(&self, parties: &mut [Party<E>]) {
        for _ in 0..2 {
            for Party { instance, has_left, local, role } in &mut *parties {
                if *has_left || self.world.observer.has_crashed(*instance) {
                    continue;
                }
                match role {
                    Part::Journal(election) => {
                        if let Err(error) = election.poll() {
                            self.ended(*instance, local, &error);
                        }
                    }
                    Part::Zoo(zoo) => {
                        let (participant, kernel) = &mut **zoo;
                        participant.wake(kernel.now());
                        self.drive(*instance, participant, kernel);
                    }
                }
            }
        }
    }

    /// What it has come to so far.
    pub(crate) fn end(&self) -> End {
        let ids: Vec<String> = (0..self.count()).map(|instance| id(instance).to_string()).collect();
        let beliefs = self.world.observer.beliefs();
        let changes = oracle::history(&self.world.journal()).changes;
        End::new(&changes, &ids, beliefs.iter().map(Option::as_ref))
    }

    /// What must be true in the end. The broken protocols promise nothing but a single primary.
    fn judge(&self, parties: &[Party<E>]) {
        let observer = &self.world.observer;
        let lives = |party: &&Party<E>| !observer.has_crashed(party.instance);
        if self.protocol.expected() != Verdict::Holds
            || observer.is_violated()
            || !parties.iter().any(|party| lives(&party))
        {
            return;
        }
        let primaries = observer.primaries();
        if parties.iter().filter(lives).any(|party| !party.has_left) && primaries != 1 {
            observer.violate(format!("{primaries} instances are primary in the end"));
        }
        let log = self.world.contents(&Name::Log(0));
        for event in self.events() {
            let start = format!("{{\"event\":\"{}\",", event.id);
            let entries = log.split(|&byte| byte == b'\n').filter(|line| line.starts_with(start.as_bytes())).count();
            if entries != 1 {
                observer.violate(format!("event {} has {entries} entries in realtime.log", event.id));
            }
        }
    }
}

impl<E: Engine> Beliefs for Execution<E> {
    fn is_primary(&self, instance: u8, primary: bool) {
        let observer = &self.world.observer;
        if !primary {
            observer.believes(instance, Belief::Undecided);
            return;
        }
        match primary_of(&self.world.journal()) {
            Some((term, primary)) if primary == id(instance).as_str() => {
                observer.believes(instance, Belief::Primary { term });
            }
            other => {
                observer.violate(format!("{} believes to be primary, the journal says {other:?}", id(instance)));
            }
        }
    }
}

/// Who is primary of which term, read naively: what was registered is kept in a list, in the order of the journal.
fn primary_of(journal: &[u8]) -> Option<(u64, String)> {
    let mut candidates = Vec::new();
    let mut term = 1;
    let mut primary: Option<String> = None;
    for line in String::from_utf8_lossy(journal).lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(kind), Some(of), Some(id)) = (fields.get(1), fields.get(2), fields.get(3)) else { continue };
        let is_of_term = of.parse() == Ok(term);
        match *kind {
            "begin" if candidates.is_empty() => term = of.parse().unwrap_or(term),
            "register" => candidates.push((*id).to_owned()),
            "seal" if is_of_term && primary.is_none() => primary = candidates.iter().min().cloned(),
            "depose" if is_of_term && primary.is_some() => {
                candidates.retain(|candidate| Some(candidate) != primary.as_ref());
                primary = None;
                term += 1;
            }
            "leave" => {
                candidates.retain(|candidate| candidate != id);
                if primary.as_deref() == Some(*id) {
                    primary = None;
                    term += 1;
                }
            }
            _ => {}
        }
    }
    primary.map(|primary| (term, primary))
}
