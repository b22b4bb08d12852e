//! Threads that share instances of the journal: what one thread does, another sees or is woken by.

use std::sync::Arc;

use single_primary::{Cause, Election};

use crate::threads::bounds::Bounds;
use crate::threads::engine::Engine;
use crate::threads::execution::{Execution, Scenario, id};
use crate::threads::kernel::{DIRECTORY, ThreadKernel, own_next_word};
use crate::threads::observer::Observation;
use crate::zoo::Protocol;

/// What the threads do. There are two instances: the first is primary, the second knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The first leaves while a thread waits for the second to be primary, and another asks the second and then the first
    /// whether it is: never are both.
    HandOver,
    /// The same, asked the other way round: then both can have been, one after the other, so that a check must object.
    HandOverAskedInReverse,
    /// The second leaves while another thread waits for it to be primary: the wait ends.
    LeaveEndsWait,
    /// Nobody leaves while a thread waits: it waits without end, so that a check must object.
    NobodyLeaves,
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

    let waiting = {
        let (execution, second) = (execution.clone(), second.clone());
        E::spawn(move || {
            let ended = second.wait();
            let is_right = match &ended {
                Ok(term) => sharing != Sharing::LeaveEndsWait && *term == 2,
                Err(error) => sharing == Sharing::LeaveEndsWait && *error.cause() == Cause::Left,
            };
            if !is_right {
                execution.world.observer.violate(format!("the wait ends with {ended:?}"));
            }
        })
    };
    let asking = matches!(sharing, Sharing::HandOver | Sharing::HandOverAskedInReverse).then(|| {
        let (execution, first, second) = (execution.clone(), first.clone(), second.clone());
        E::spawn(move || {
            let (earlier, later) = if sharing == Sharing::HandOver { (second, first) } else { (first, second) };
            if earlier.is_primary() && later.is_primary() {
                execution.world.observer.violate("another thread sees two primaries".into());
            }
        })
    });
    let left = match sharing {
        Sharing::HandOver | Sharing::HandOverAskedInReverse => first.leave(),
        Sharing::LeaveEndsWait => second.leave(),
        Sharing::NobodyLeaves => Ok(()),
    };
    if let Err(error) = left {
        execution.world.observer.violate(format!("leaving fails: {error}"));
    }
    E::join(waiting);
    asking.into_iter().for_each(E::join);
    for local in locals {
        local.put_out();
    }
    drop((first, second));
    execution.world.observer.conclude(execution.end())
}
