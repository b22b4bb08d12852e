//! Threads that share instances of the journal: what one thread does, another sees or is woken by.

use std::sync::Arc;

use single_primary::call::Name;
use single_primary::{Cause, Election};

use crate::states::oracle;
use crate::threads::bounds::Bounds;
use crate::threads::engine::Engine;
use crate::threads::execution::{Execution, Scenario, id};
use crate::threads::kernel::{DIRECTORY, ThreadKernel, own_next_word};
use crate::threads::observer::Observation;
use crate::zoo::Protocol;

/// What the threads do. There are two instances: the first is primary, the second knows it, and a thread waits for the
/// second to be primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The first leaves, and another thread asks the second and then the first whether it is primary: never are both.
    HandOver,
    /// The same, asked the other way round: then both can have been, one after the other, so that a check must object.
    HandOverAskedInReverse,
    /// The first is dropped.
    Drop,
    /// The first leaves while another thread records an event with the second: whoever takes over writes it, once.
    Record,
    /// The first leaves while two threads wait: both waits end.
    TwoWait,
    /// Both leave: the wait ends, with the second primary for a while or not.
    BothLeave,
    /// The second leaves: the wait ends.
    LeaveEndsWait,
    /// Nobody leaves: the wait has no end, so that a check must object.
    NobodyLeaves,
}

impl Sharing {
    /// Whether a wait may end because the second has left.
    fn may_leave(self) -> bool {
        matches!(self, Self::LeaveEndsWait | Self::BothLeave)
    }

    /// Whether a wait may end because the second is primary.
    fn may_succeed(self) -> bool {
        self != Self::LeaveEndsWait
    }
}

type Shared<E> = Arc<Election<ThreadKernel<E>>>;

/// Runs it once, on the checker's threads.
pub(crate) fn share<E: Engine>(
    protocol: &'static Protocol,
    bounds: &Bounds,
    sharing: Sharing,
    told: bool,
) -> Observation {
    let scenario = Scenario {
        protocol,
        bounds: bounds.clone(),
        faults: Vec::new(),
        by_chance: false,
        patience: 0,
        names_apart: true,
        keeps_moments: told,
    };
    let execution = Arc::new(Execution::<E>::new(&scenario));
    let kernels = [ThreadKernel::new(&execution, 0), ThreadKernel::new(&execution, 1)];
    let locals = [kernels[0].local(), kernels[1].local()];
    let [first, second]: [Shared<E>; 2] = {
        let mut instance = 0;
        kernels.map(|kernel| {
            own_next_word(execution.clone(), instance);
            let options = Election::options(DIRECTORY).id(id(instance)).window(std::time::Duration::ZERO);
            instance += 1;
            Arc::new(options.start_on(kernel).expect("nothing keeps an instance from joining"))
        })
    };

    let waits = if sharing == Sharing::TwoWait { 2 } else { 1 };
    let waiting: Vec<E::Thread> = (0..waits).map(|_| wait(&execution, &second, sharing)).collect();
    let beside = beside(&execution, &first, &second, sharing);
    let left = match sharing {
        Sharing::LeaveEndsWait => second.leave(),
        Sharing::NobodyLeaves | Sharing::Drop => Ok(()),
        _ => first.leave(),
    };
    if let Err(error) = left {
        execution.world.observer.violate(format!("leaving fails: {error}"));
    }
    let first = Some(first).filter(|_| sharing != Sharing::Drop);
    waiting.into_iter().chain(beside).for_each(E::join);
    if sharing == Sharing::Record {
        let entries = oracle::entries(&execution.world.contents(&Name::Log(0)));
        if entries.of(EVENT) != 1 || entries.garbled > 0 {
            execution.world.observer.violate(format!("the event has {} entries in realtime.log", entries.of(EVENT)));
        }
    }
    for local in locals {
        local.put_out();
    }
    drop((first, second));
    execution.world.observer.conclude(execution.end())
}

/// The event that is recorded.
const EVENT: &str = "e0";

/// A thread that waits for the second to be primary.
fn wait<E: Engine>(execution: &Arc<Execution<E>>, second: &Shared<E>, sharing: Sharing) -> E::Thread {
    let (execution, second) = (execution.clone(), second.clone());
    E::spawn(move || {
        let ended = second.wait();
        let is_right = match &ended {
            Ok(term) => sharing.may_succeed() && *term == 2,
            Err(error) => sharing.may_leave() && *error.cause() == Cause::Left,
        };
        if !is_right {
            execution.world.observer.violate(format!("the wait ends with {ended:?}"));
        }
    })
}

/// A thread that does something beside it, if one does.
fn beside<E: Engine>(
    execution: &Arc<Execution<E>>,
    first: &Shared<E>,
    second: &Shared<E>,
    sharing: Sharing,
) -> Option<E::Thread> {
    let (execution, second) = (execution.clone(), second.clone());
    match sharing {
        Sharing::HandOver | Sharing::HandOverAskedInReverse => {
            let first = first.clone();
            Some(E::spawn(move || {
                let (earlier, later) = if sharing == Sharing::HandOver { (second, first) } else { (first, second) };
                if earlier.is_primary() && later.is_primary() {
                    execution.world.observer.violate("another thread sees two primaries".into());
                }
            }))
        }
        Sharing::Record => Some(E::spawn(move || {
            if let Err(error) = second.record(EVENT, "1") {
                execution.world.observer.violate(format!("recording fails: {error}"));
            }
        })),
        Sharing::BothLeave => Some(E::spawn(move || {
            if let Err(error) = second.leave() {
                execution.world.observer.violate(format!("leaving fails: {error}"));
            }
        })),
        Sharing::Drop | Sharing::TwoWait | Sharing::LeaveEndsWait | Sharing::NobodyLeaves => None,
    }
}
