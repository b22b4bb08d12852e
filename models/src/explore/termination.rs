//! A second look at all states, for what the order of the first does not show: whether some run goes on for ever without a
//! primary.
//!
//! A state at rest is judged where it is found. What is left are cycles: runs in which something keeps happening. Crashes,
//! starts, errors and departures are counted in the state, so that no cycle has one of them, and a look that finds nothing
//! new leads nowhere. Where there is no cycle at all, every run comes to rest. Where there is one, the states without a
//! primary are divided into strongly connected components, and one of them breaks the promise if every living instance gets
//! its turn in it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::explore::promise::{self, goes_on_by_itself, takes_part};
use crate::explore::world::{Action, State, World};
use crate::participant::{Participant, Step};

/// What a search for endless runs came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Termination {
    /// Every run comes to rest, or has a primary again and again; so many states were looked at.
    Complete {
        /// How many states there are.
        states: u64,
    },
    /// A run that goes on for ever without a primary: how it comes to the first state of its cycle.
    Endless {
        /// The actions from the beginning.
        path: Vec<Action>,
    },
    /// The search was told to stop.
    Stopped,
}

/// Looks at all states, depth first.
pub fn search<P: Participant + 'static>(world: &World<P>, stop: &AtomicBool, looked_at: &AtomicU64) -> Termination {
    let mut seen: HashSet<u64, Prehashed> = HashSet::default();
    let mut on_path: HashSet<u64, Prehashed> = HashSet::default();
    let initial = world.initial();
    let mut path = vec![Frame::new(world, initial)];
    seen.insert(path[0].key);
    on_path.insert(path[0].key);
    let mut cyclic = false;
    while let Some(frame) = path.last_mut() {
        let Some(next) = frame.next.pop() else {
            on_path.remove(&frame.key);
            path.pop();
            continue;
        };
        let key = key(&next);
        if seen.insert(key) {
            if seen.len().is_multiple_of(4096) {
                looked_at.store(seen.len() as u64, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    return Termination::Stopped;
                }
            }
            on_path.insert(key);
            path.push(Frame::new(world, next));
        } else {
            cyclic |= on_path.contains(&key);
        }
    }
    let states = seen.len() as u64;
    looked_at.store(states, Ordering::Relaxed);
    drop((seen, on_path));
    if !cyclic {
        return Termination::Complete { states };
    }
    match endless(world) {
        Some(path) => Termination::Endless { path },
        None => Termination::Complete { states },
    }
}

/// A state on the current path, with those behind it that are still to be looked at.
#[derive(Debug)]
struct Frame {
    key: u64,
    next: Vec<State>,
}

impl Frame {
    fn new<P: Participant + 'static>(world: &World<P>, state: State) -> Self {
        let mut actions = Vec::new();
        world.possible(&state, &mut actions);
        Self { key: key(&state), next: actions.into_iter().filter_map(|action| world.after(&state, action)).collect() }
    }
}

fn key(state: &State) -> u64 {
    // Another hash than that of the first search, so that a collision in one shows as a difference in the counts.
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// A hasher of what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

type Prehashed = BuildHasherDefault<Identity>;

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The shortest way into a cycle without a primary in which every living instance gets its turn.
fn endless<P: Participant + 'static>(world: &World<P>) -> Option<Vec<Action>> {
    let mut graph: DiGraph<(State, Option<(NodeIndex, Action)>), Action> = DiGraph::new();
    let mut found: HashMap<State, NodeIndex> = HashMap::new();
    let initial = world.initial();
    let first = graph.add_node((initial, None));
    found.insert(initial, first);
    let mut queue = VecDeque::from([first]);
    let mut actions = Vec::new();
    while let Some(node) = queue.pop_front() {
        let state = graph[node].0;
        actions.clear();
        world.possible(&state, &mut actions);
        for action in &actions {
            // A look that finds nothing new is a turn as well.
            let next = world.after(&state, *action).unwrap_or(state);
            let to = *found.entry(next).or_insert_with(|| {
                let new = graph.add_node((next, Some((node, *action))));
                queue.push_back(new);
                new
            });
            graph.add_edge(node, to, *action);
        }
    }
    // Before the others are left out, so that the way there may lead through them.
    let predecessors: Vec<_> = graph.node_weights().map(|(_, from)| *from).collect();
    let without_primary = graph.filter_map(
        |node, (state, _)| (!world.has_primary(state) && state.breach.is_none()).then_some((node, *state)),
        |_, action| goes_on_by_itself(*action).then_some(*action),
    );
    let fair =
        kosaraju_scc(&without_primary).into_iter().find(|component| is_endless(world, &without_primary, component))?;
    let mut at = fair.into_iter().map(|node| without_primary[node].0).min()?;
    let mut path = Vec::new();
    while let Some((from, action)) = predecessors[at.index()] {
        path.push(action);
        at = from;
    }
    path.reverse();
    Some(path)
}

/// Whether a run can stay in the component for ever, with every instance that wants to go on getting its turn.
fn is_endless<P: Participant + 'static>(
    world: &World<P>,
    graph: &DiGraph<(NodeIndex, State), Action>,
    component: &[NodeIndex],
) -> bool {
    let members: HashSet<NodeIndex> = component.iter().copied().collect();
    let inner: Vec<_> = component
        .iter()
        .flat_map(|node| graph.edges(*node))
        .filter(|edge| members.contains(&petgraph::visit::EdgeRef::target(edge)))
        .map(|edge| *edge.weight())
        .collect();
    let someone = component.iter().any(|node| world.slots().any(|slot| takes_part(world, &graph[*node].1, slot)));
    // One state without anything new is at rest, and judged as such.
    let moves = component.len() > 1;
    someone
        && moves
        && world.slots().all(|slot| {
            let has_turn =
                inner.iter().any(|action| matches!(action, Action::Go(at) | Action::Over(at) if *at == slot));
            let is_held_up = component.iter().any(|node| {
                let mut actions = Vec::new();
                world.possible(&graph[*node].1, &mut actions);
                !actions.iter().any(|action| matches!(action, Action::Go(at) | Action::Over(at) if *at == slot))
            });
            let has_ended =
                component.iter().all(|node| matches!(world.actor_of(&graph[*node].1, slot).1.step, Step::Ended));
            has_turn || is_held_up || has_ended
        })
        && component.iter().all(|node| promise::broken(world, &graph[*node].1).is_none())
}
