//! Whether some run goes on for ever without a primary.
//!
//! A state at rest is judged where it is found. What is left are cycles: runs in which something keeps happening. Crashes,
//! starts, errors and departures are counted in the state, so that no cycle has one of them, and a look that finds nothing
//! new leads nowhere. What is left to happen in a cycle is that instances go on by themselves.
//!
//! Then each instance comes back to what it was. So it is enough to look at the instances one by one: from what to what an
//! instance went on by itself, wherever it did, with whatever it found there. If these turns lead no instance that is not
//! primary back to what it was, no run without a primary has a cycle, and every one comes to rest. That is so for the
//! journal. It is no more than sufficient: where they do lead back, the states themselves are looked at. Those without a
//! primary are divided into strongly connected components, and one of them breaks the promise if every living instance
//! gets its turn in it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::PoisonError;

use petgraph::algo::{is_cyclic_directed, kosaraju_scc};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::participant::Participant;
use crate::states::action::Action;
use crate::states::actor::Wants;
use crate::states::model::Model;
use crate::states::promise::{self, takes_part};
use crate::states::state::State;

/// What a search for endless runs came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Termination {
    /// Every run comes to rest, or has a primary again and again.
    Complete,
    /// A run that goes on for ever without a primary: how it comes to the first state of its cycle.
    Endless {
        /// The actions from the beginning.
        path: Vec<Action>,
    },
    /// The search was told to stop.
    Stopped,
}

/// Looks for an endless run in a model all of whose states have been looked at. `progress` is told how many were looked at
/// again, and says whether to go on.
pub(super) fn endless<P: Participant + 'static>(
    model: &Model<P>,
    progress: &mut impl FnMut(u64) -> bool,
) -> Termination {
    if no_instance_comes_back(model) { Termination::Complete } else { endless_by_states(model, progress) }
}

/// Whether no instance that is not primary ever goes back to what it was.
fn no_instance_comes_back<P: Participant + 'static>(model: &Model<P>) -> bool {
    let turns = model.turns.lock().unwrap_or_else(PoisonError::into_inner);
    let is_primary = |actor: u32| model.actors.glance(actor).primary.is_some();
    let turns = turns.iter().filter(|(from, to)| !is_primary(*from) && !is_primary(*to));
    !is_cyclic_directed(&DiGraph::<(), ()>::from_edges(turns))
}

/// Looks for the shortest way into a cycle without a primary in which every living instance gets its turn.
fn endless_by_states<P: Participant + 'static>(
    model: &Model<P>,
    progress: &mut impl FnMut(u64) -> bool,
) -> Termination {
    let mut graph: DiGraph<(State, Option<(NodeIndex, Action)>), Action> = DiGraph::new();
    let mut found: HashMap<State, NodeIndex> = HashMap::new();
    let initial = model.initial();
    let first = graph.add_node((initial, None));
    found.insert(initial, first);
    let mut queue = VecDeque::from([first]);
    let mut actions = Vec::new();
    while let Some(node) = queue.pop_front() {
        if node.index().is_multiple_of(4096) && !progress(node.index() as u64) {
            return Termination::Stopped;
        }
        let state = graph[node].0;
        actions.clear();
        model.possible(&state, &mut actions);
        for action in &actions {
            // A look that finds nothing new is a turn as well.
            let next = model.after(&state, *action).unwrap_or(state);
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
        |node, (state, _)| (!model.has_primary(state) && state.breach().is_none()).then_some((node, *state)),
        |_, action| action.goes_on_by_itself().then_some(*action),
    );
    let fair =
        kosaraju_scc(&without_primary).into_iter().find(|component| is_endless(model, &without_primary, component));
    let Some(mut at) = fair.and_then(|component| component.into_iter().map(|node| without_primary[node].0).min())
    else {
        return Termination::Complete;
    };
    let mut path = Vec::new();
    while let Some((from, action)) = predecessors[at.index()] {
        path.push(action);
        at = from;
    }
    path.reverse();
    Termination::Endless { path }
}

/// Whether a run can stay in the component for ever, with every instance that wants to go on getting its turn.
fn is_endless<P: Participant + 'static>(
    model: &Model<P>,
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
    let is_promised = |state: &State| !state.ledger.is_displaced() && !promise::are_elections_stopped(model, state);
    let someone = component.iter().any(|node| {
        let state = &graph[*node].1;
        is_promised(state) && model.slots().any(|slot| takes_part(model, state, slot))
    });
    // One state without anything new is at rest, and judged as such.
    let moves = component.len() > 1;
    someone
        && moves
        && model.slots().all(|slot| {
            let has_turn =
                inner.iter().any(|action| matches!(action, Action::Go(at) | Action::Over(at) if *at == slot));
            // Not where others are looked at first: that is no reason for it to stand still.
            let is_held_up = component.iter().any(|node| model.own_steps(&graph[*node].1, slot).next().is_none());
            let has_ended = component.iter().all(|node| model.glance(&graph[*node].1, slot).wants == Wants::Nothing);
            has_turn || is_held_up || has_ended
        })
        && component.iter().all(|node| promise::broken(model, &graph[*node].1).is_none())
}
