//! The reductions leave out no class and no end: held against all executions of small programs. `PROPTEST_CASES` says how many.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::dpor::{Exploration, Reduction};
use super::rules::{FaultKind, Rules, Threads, Timers};
use super::run::Ended;
use super::toy::{Op, State, Toy};

/// Programs with more executions than that are passed over.
const EXECUTIONS_MAX: u64 = 200;

/// What a search has seen.
#[derive(Debug, Default)]
struct Seen {
    executions: u64,
    classes: BTreeSet<String>,
    ends: BTreeSet<State>,
}

/// All that a search sees; nothing where that is more than so many executions.
fn search(toy: &Toy, rules: &Rules, bound: Option<u32>, reduction: Reduction, executions_max: u64) -> Option<Seen> {
    let mut exploration = Exploration::new(rules.clone(), bound, reduction, 0);
    let mut seen = Seen::default();
    while let Some(ended) = exploration.next(&mut toy.clone()).expect("it repeats itself") {
        match ended {
            Ended::Whole(end) => {
                seen.executions += 1;
                seen.classes.insert(format!("{:?}", exploration.trace().class()));
                seen.ends.insert(end);
            }
            Ended::Asleep => {}
            Ended::TooLong(_) => panic!("no program is so long"),
        }
        if seen.executions > executions_max {
            return None;
        }
    }
    Some(seen)
}

/// Compares the reduced searches with one of every order.
fn compare(toy: &Toy, rules: &Rules, bound: Option<u32>) -> Result<(), TestCaseError> {
    let Some(all) = search(toy, rules, bound, Reduction::None, EXECUTIONS_MAX) else {
        return Err(TestCaseError::reject("too many executions"));
    };
    for reduction in [Reduction::SleepSets, Reduction::SourceSets] {
        let reduced = search(toy, rules, bound, reduction, u64::MAX).expect("no limit");
        let missing: Vec<_> = all.classes.difference(&reduced.classes).collect();
        prop_assert!(
            missing.is_empty(),
            "{reduction:?} misses {} of {}: {missing:#?}",
            missing.len(),
            all.classes.len()
        );
        prop_assert!(all.ends.is_subset(&reduced.ends), "{reduction:?} misses ends");
        if bound.is_none() {
            prop_assert_eq!(&reduced.classes, &all.classes);
            if !has_choices(toy, rules) {
                prop_assert_eq!(reduced.executions, all.classes.len() as u64, "{:?} repeats a class", reduction);
            }
        }
    }
    Ok(())
}

/// Whether an actor may have two things to choose from. Then a class may be run more than once.
fn has_choices(toy: &Toy, rules: &Rules) -> bool {
    let has_time_out = |op: &Op| matches!(op, Op::LockFor(..));
    rules.fault_budget > 0 && !rules.faults.is_empty()
        || toy.copies.iter().any(|copy| copy.len() > 1 || copy[0].iter().any(has_time_out))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..2u8).prop_map(Op::Read),
        (0..2u8).prop_map(Op::ReadMore),
        (0..2u8, 1..3u8).prop_map(|(variable, number)| Op::Write(variable, number)),
        (0..2u8).prop_map(Op::WriteBack),
        (0..2u8, 1..3u8).prop_map(|(variable, number)| Op::Count(variable, number)),
        (0..3u8, 1..3u8).prop_map(|(number, skipped)| Op::Unless(number, skipped)),
        (0..2u8).prop_map(Op::Lock),
        (0..2u8).prop_map(Op::TryLock),
        (0..2u8, 1..4u8).prop_map(|(lock, time)| Op::LockFor(lock, time)),
        (0..2u8).prop_map(Op::Unlock),
        (1..4u8).prop_map(Op::Sleep),
        Just(Op::Clock),
    ]
}

fn toy() -> impl Strategy<Value = Toy> {
    let thread = || proptest::collection::vec(op(), 1..5);
    let copy = prop_oneof![4 => proptest::collection::vec(thread(), 1), 1 => proptest::collection::vec(thread(), 2)];
    (proptest::collection::vec(copy, 2..4), any::<bool>()).prop_map(|(copies, fails)| Toy { copies, fails })
}

fn rules() -> impl Strategy<Value = Rules> {
    let timers = prop_oneof![Just(Timers::Any), Just(Timers::Idle)];
    let threads = prop_oneof![Just(Threads::Every), Just(Threads::First)];
    let faults = proptest::sample::subsequence(vec![FaultKind::Crash, FaultKind::Error], 0..3);
    (timers, threads, faults, 0..3u32, 1..4u32).prop_map(|(timers, threads, faults, fault_budget, timers_max)| Rules {
        timers,
        threads,
        faults,
        fault_budget,
        timers_max,
        steps_max: 100,
    })
}

fn config() -> ProptestConfig {
    let (max_global_rejects, rng_seed) = (1_000_000, RngSeed::Fixed(1));
    ProptestConfig { max_global_rejects, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_class_of_an_arbitrary_program_is_left_out(toy in toy(), rules in rules()) {
        compare(&toy, &rules, None)?;
    }

    #[test]
    fn no_class_within_a_bound_is_left_out(toy in toy(), rules in rules(), bound in 0..3u32) {
        compare(&toy, &rules, Some(bound))?;
    }
}

/// What each reduction looks at of programs whose numbers of classes are known by thought.
#[test]
fn known_numbers_of_classes() {
    let check = |copy: &[Op], copies: usize, bound, every_order, classes| {
        let toy = Toy { copies: vec![vec![copy.to_vec()]; copies], fails: false };
        let (timers, threads, faults) = (Timers::Any, Threads::First, Vec::new());
        let rules = Rules { timers, threads, faults, fault_budget: 0, timers_max: 9, steps_max: 100 };
        let executions = |reduction| search(&toy, &rules, bound, reduction, u64::MAX).expect("no limit").executions;
        let seen = [Reduction::None, Reduction::SleepSets, Reduction::SourceSets].map(executions);
        assert_eq!(seen, [every_order, classes, classes], "{copies} copies of {copy:?}");
    };
    // Who only reads, or only counts, meets nobody.
    check(&[Op::Read(0), Op::Read(1)], 2, None, 6, 1);
    check(&[Op::Count(0, 1), Op::Count(1, 1)], 2, None, 6, 1);
    // Two writes to one variable: in either order.
    check(&[Op::Write(0, 1)], 2, None, 2, 2);
    check(&[Op::Write(0, 1)], 4, None, 24, 24);
    // A look and a write: six orders, of which the two looks may change places in two pairs.
    check(&[Op::Read(0), Op::WriteBack(0)], 2, None, 6, 4);
    // Who comes to the lock first.
    check(&[Op::Lock(0), Op::Read(0), Op::WriteBack(0), Op::Unlock(0)], 3, None, 6, 6);
    // Locks of their own.
    check(&[Op::Lock(0), Op::Unlock(0), Op::Lock(1), Op::Unlock(1)], 2, Some(0), 2, 2);
}
