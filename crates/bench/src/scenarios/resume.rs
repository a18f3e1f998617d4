//! A storm: everybody is cut off, misses some messages, and comes back at once with a cursor.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::server::Server;
use crate::target::Transport;

/// How many messages everybody missed.
pub(super) const MISSED: u64 = 20;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    let crowd = Crowd::of(sizes.resuming);
    fleet.connect(crowd)?;
    let load = Load {
        bytes: sizes.message_bytes,
        channels: 1,
    };
    fleet.closed_loop(load, 1, Duration::from_millis(1))?;
    let (cursor, seen) = (fleet.cursor()?, fleet.seen());
    fleet.cut_all();
    fleet.publish_to_nobody(MISSED, load.bytes)?;
    let before = running.process.cpu()?;
    let back = fleet.resume(crowd, &cursor, seen, MISSED)?;
    let cpu = running.process.cpu()? - before;
    let case = "";
    Ok(vec![
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
    ])
}
