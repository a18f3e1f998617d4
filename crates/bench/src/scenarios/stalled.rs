//! Clients that don't read, beside some that do: what those notice, what the server holds, and what becomes of the stalled.
//!
//! The healthy are compared with themselves in a run in which everybody reads, since a thousand readers cost more than two hundred.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, kibibytes_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load, Run};
use crate::server::Server;
use crate::target::Transport;

pub(super) const MESSAGES_PER_SECOND: f64 = 50.0;
pub(super) const MESSAGE_BYTES: usize = 1_024;
/// Who gets a message this late could as well have polled.
const LATE: Duration = Duration::from_secs(5);

/// How many of the connections stall: all but each fifth.
pub(super) fn count(sizes: &Sizes) -> usize {
    sizes.connections * 4 / 5
}

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let stalled = count(sizes);
    let reading = drive(server, transport, sizes, Fleet::overlook)?;
    let beside = drive(server, transport, sizes, Fleet::stall)?;
    let late = beside
        .run
        .tally
        .latency
        .count_between(LATE.as_nanos() as u64, u64::MAX);
    let p99 = |driven: &Driven| milliseconds(&driven.run.tally.latency, 0.99);
    let share = |count: usize| 100.0 * count as f64 / stalled as f64;
    let more = kibibytes_each(beside.grown - reading.grown, stalled);
    Ok(vec![
        Figure::new("the others, when all read", figure::LATENCY_P99, p99(&reading)),
        Figure::new(
            "the others, beside the stalled",
            figure::LATENCY_P99,
            p99(&beside),
        ),
        Figure::new("the others", figure::LATE, late as f64),
        Figure::new("a stalled client", figure::MEMORY_PER_CONNECTION, more),
        Figure::new("stalled, cut off", figure::SHARE, share(beside.cut)),
        Figure::new(
            "stalled, whole once they read again",
            figure::SHARE,
            share(beside.whole),
        ),
    ])
}

struct Driven {
    run: Run,
    /// By how much the server's memory grew, in bytes.
    grown: i64,
    cut: usize,
    whole: usize,
}

/// A run, before which this is done to the clients that stall, or don't.
fn drive(server: &Server, transport: Transport, sizes: &Sizes, stalled: fn(&mut Fleet)) -> Result<Driven> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?.clamped();
    fleet.connect(Crowd::of(sizes.connections))?;
    let load = Load::of(MESSAGE_BYTES);
    fleet.open_loop(load, MESSAGES_PER_SECOND, sizes.warm_up)?;
    let before = running.process.resident()?;
    stalled(&mut fleet);
    let run = fleet.open_loop(load, MESSAGES_PER_SECOND, sizes.stalled)?;
    let grown = running.process.resident()? as i64 - before as i64;
    let (whole, cut) = fleet.go_on()?;
    Ok(Driven {
        run,
        grown,
        cut,
        whole,
    })
}
