//! All states of a space, looked at for broken promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::explore::promise::{self, Promise};
use crate::explore::termination::{self, Termination};
use crate::explore::world::{Action, State, World};
use crate::participant::Participant;
use crate::verdict::Verdict;

/// States up to which the search is breadth first, so that a counterexample is the shortest. Beyond it goes depth first,
/// which takes a fraction of the memory.
const BREADTH_FIRST_STATES_MAX: usize = 1_000_000;

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether everything promised holds in the space.
    pub verdict: Verdict,
    /// Whether every state was looked at.
    pub complete: bool,
    /// How many distinct states were found.
    pub states: u64,
    /// The promise that is broken, and how.
    pub counterexample: Option<(Promise, Vec<Action>)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The model as the checkers of stateright take it.
#[derive(Debug)]
pub struct Checked<P>(pub Arc<World<P>>);

impl<P: Participant + 'static> Model for Checked<P> {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.0.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.0.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.0.after(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every promise is kept", |model: &Self, state| {
            promise::broken(&model.0, state).is_none()
        })]
    }
}

/// Looks at every state that a space has: `make` makes its model. `progress` is told the number of states found so far, a
/// few times a second, and says whether to go on.
pub fn search<P: Participant + 'static>(make: impl Fn() -> World<P>, mut progress: impl FnMut(u64) -> bool) -> Outcome {
    let started = Instant::now();
    let breadth_first = Checked(Arc::new(make()))
        .checker()
        .target_state_count(BREADTH_FIRST_STATES_MAX)
        .finish_when(HasDiscoveries::Any)
        .spawn_bfs();
    let watched = watch(breadth_first, &mut progress);
    let outcome = |verdict, complete, states, counterexample| Outcome {
        verdict,
        complete,
        states,
        counterexample,
        elapsed: started.elapsed(),
    };
    let world = make();
    if let Some(path) = watched.path {
        let broken = follow(&world, &path);
        return outcome(Verdict::Violated, false, watched.states, Some((broken, path)));
    }
    if !watched.complete {
        return outcome(Verdict::Inconclusive, false, watched.states, None);
    }
    let (stop, looked_at) = (AtomicBool::new(false), AtomicU64::new(0));
    let small = watched.generated < BREADTH_FIRST_STATES_MAX;
    let (deep, termination) = thread::scope(|scope| {
        let endless = scope.spawn(|| termination::search(&world, &stop, &looked_at));
        let deep = if small {
            let mut go_on = true;
            while go_on && !endless.is_finished() {
                thread::sleep(Duration::from_millis(5));
                go_on = progress(looked_at.load(Ordering::Relaxed));
            }
            stop.store(!go_on, Ordering::Relaxed);
            watched
        } else {
            let checker = Checked(Arc::new(make())).checker().finish_when(HasDiscoveries::Any).spawn_dfs();
            let deep = watch(checker, &mut progress);
            stop.store(deep.path.is_some() || !deep.complete, Ordering::Relaxed);
            deep
        };
        (deep, endless.join().expect("the search for endless runs does not panic"))
    });
    if let Some(path) = deep.path {
        let broken = follow(&world, &path);
        return outcome(Verdict::Violated, false, deep.states, Some((broken, path)));
    }
    match termination {
        Termination::Endless { path } => outcome(Verdict::Violated, false, deep.states, Some((Promise::Someone, path))),
        Termination::Complete { states } if deep.complete && states == deep.states => {
            outcome(Verdict::Holds, true, states, None)
        }
        // Two searches that do not agree on how many states there are have not both seen everything.
        Termination::Complete { .. } | Termination::Stopped => outcome(Verdict::Inconclusive, false, deep.states, None),
    }
}

/// What one checker of stateright came to.
#[derive(Debug)]
struct Watched {
    states: u64,
    /// How many states were generated, the same ones again included.
    generated: usize,
    /// Whether it was not told to stop.
    complete: bool,
    path: Option<Vec<Action>>,
}

fn watch<P: Participant + 'static>(
    mut checker: impl Checker<Checked<P>>,
    progress: &mut impl FnMut(u64) -> bool,
) -> Watched {
    let handles = checker.handles();
    let mut complete = true;
    while complete && !handles.iter().all(thread::JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(5));
        complete = progress(checker.unique_state_count() as u64);
    }
    if complete {
        for handle in handles {
            handle.join().expect("the checker does not panic");
        }
    }
    let path = checker.discoveries().into_values().next().map(stateright::Path::into_actions);
    Watched { states: checker.unique_state_count() as u64, generated: checker.state_count(), complete, path }
}

/// The promise that is broken at the end of a path.
fn follow<P: Participant + 'static>(world: &World<P>, path: &[Action]) -> Promise {
    let end = path.iter().fold(world.initial(), |state, action| {
        world.after(&state, *action).expect("a counterexample is a path of the model")
    });
    promise::broken(world, &end).expect("a counterexample ends in a broken promise")
}
