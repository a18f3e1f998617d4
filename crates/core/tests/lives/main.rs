//! Sequences of operations on a broker, a node of it and that node's subscriptions, against the naive truth.
//!
//! The broker stores, forgets, loses, is made anew or put back; the node mirrors it, gives some of it up, begins again, and starts
//! anew; answers come late, in any order, or not at all. Each subscription has a [`ledger`] of what it was told, and is held to
//! the one promise after each read: every logged message after its cursor, in order, once; or a gap that names it, for a reason
//! that there was. And no id that it was shown hides anything from whoever comes back with it.
//!
//! 4,000 sequences, or as many as `PROPTEST_CASES` says.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)]

mod ledger;
mod live;
mod ops;
mod truth;
mod world;

#[path = "../support/broker.rs"]
mod broker;
#[path = "../support/mod.rs"]
mod support;
// Items, and a wire, in words that both worlds use; not all of them here.
#[allow(dead_code)]
#[path = "../model/told.rs"]
mod told;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use ops::Plan;
use world::World;

/// Half of the sequences: there are two tests, which run at the same time.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.map_or(4_000, |cases| cases.parse().unwrap()) / 2,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/lives/regressions.txt",
        ))),
        ..ProptestConfig::default()
    }
}

fn run(plan: &Plan) {
    let mut world = World::new(&plan.bounds);
    for op in &plan.ops {
        world.apply(op);
    }
    world.settle();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_untold_or_doubled_over_lives_on_one_channel(plan in ops::plan(1)) {
        run(&plan);
    }

    #[test]
    fn nothing_is_lost_untold_or_doubled_over_lives_on_several_channels(plan in ops::plan(3)) {
        run(&plan);
    }
}
