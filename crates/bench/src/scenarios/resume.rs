//! A storm: everybody is cut off, misses some messages, and comes back at once with a cursor.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet};
use crate::server::{Running, Server};
use crate::target::Transport;

/// How many messages everybody missed.
pub(super) const MISSED: u64 = 20;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let running = server.start()?;
    storm(&running, transport, sizes, || Ok(0)).map(|(figures, _)| figures)
}

/// The storm over a server that runs. Answers by how much something grew meanwhile, too.
pub(super) fn storm(
    running: &Running,
    transport: Transport,
    sizes: &Sizes,
    count: impl Fn() -> Result<u64>,
) -> Result<(Vec<Figure>, u64)> {
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    let crowd = Crowd::of(sizes.resuming);
    fleet.connect(crowd)?;
    fleet.publish_once(sizes.message_bytes)?;
    let (cursor, seen) = (fleet.cursor()?, fleet.last_published());
    fleet.cut_all();
    fleet.publish_to_nobody(MISSED, sizes.message_bytes)?;
    // The server has let go of those that were cut off before it is watched.
    fleet.rest(Duration::from_millis(500))?;
    let (before, count_before) = (running.process.cpu()?, count()?);
    let back = fleet.resume(crowd, &cursor, seen, MISSED)?;
    let cpu = running.process.cpu_since(before)?;
    let grown = count()? - count_before;
    // Where what was missed meets what is new, something may come twice.
    fleet.publish_once(sizes.message_bytes)?;
    fleet.rest(super::LISTEN_ON)?;
    let case = "";
    let figures = vec![
        Figure::new(case, figure::LATENCY_P50, milliseconds(&back.until_whole, 0.5)),
        Figure::new(case, figure::LATENCY_P95, milliseconds(&back.until_whole, 0.95)),
        Figure::new(case, figure::LATENCY_P99, milliseconds(&back.until_whole, 0.99)),
        Figure::new(
            case,
            figure::RESUMES,
            sizes.resuming as f64 / back.took.as_secs_f64() / 1e3,
        ),
        Figure::new(
            case,
            figure::CPU_PER_RESUME,
            microseconds_each(cpu, sizes.resuming as u64),
        ),
    ];
    Ok((figures, grown))
}
