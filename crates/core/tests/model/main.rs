//! Sequences of operations on a hub, its channels and subscriptions, against a naive model.
//!
//! The model keeps everything that was ever published and knows what retention should have dropped ([`model`]).
//! Each subscription has a [`ledger`] of what it was told, and is held to the one promise after each read: every logged
//! message after its cursor, in order, once; or a gap that names it; or it was merged, and counted. And whatever id
//! it was shown by then, a second subscription that comes back with that id gets exactly the rest.
//!
//! 10,000 sequences, or as many as `PROPTEST_CASES` says.

#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)]

mod ledger;
mod model;
mod ops;
mod told;
mod world;

#[path = "../support/mod.rs"]
mod support;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use ops::Plan;
use world::World;

/// Half of the sequences: there are two tests, which run at the same time.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.map_or(10_000, |cases| cases.parse().unwrap()) / 2,
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/model/regressions.txt",
        ))),
        ..ProptestConfig::default()
    }
}

fn run(plan: &Plan) {
    let mut world = World::new(&plan.bounds);
    for op in &plan.ops {
        world.apply(op);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_untold_doubled_or_out_of_order_on_one_channel(plan in ops::plan(1)) {
        run(&plan);
    }

    #[test]
    fn nothing_is_lost_untold_doubled_or_out_of_order_on_several_channels(plan in ops::plan(3)) {
        run(&plan);
    }
}
