//! Connections, as fast as they can be made: one after another, which shows how soon the first byte comes, a few hundred at a time,
//! and a crowd that overflows a short backlog.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet};
use crate::server::Server;
use crate::target::Transport;

const AT_ONCE: [usize; 3] = [1, 200, 2_000];
/// TCP sends the first packet again after a second. Who waited this long had to, unless the server is slow.
const LONG: Duration = Duration::from_millis(900);

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for at_once in AT_ONCE {
        let running = server.start()?;
        let mut fleet = Fleet::new(&running.target, transport, 1)?;
        let before = running.process.cpu()?;
        let connected = fleet.connect(Crowd {
            at_once,
            ..Crowd::of(sizes.connecting)
        })?;
        let cpu = running.process.cpu_since(before)?;
        // They are connected indeed.
        fleet.publish_once(sizes.message_bytes)?;
        let slow = connected.opening.count_between(LONG.as_nanos() as u64, u64::MAX);
        let case = format!("{at_once} at a time");
        figures.extend([
            Figure::new(
                &case,
                figure::CONNECTIONS,
                sizes.connecting as f64 / connected.took.as_secs_f64() / 1e3,
            ),
            Figure::new(
                &case,
                figure::CPU_PER_CONNECTION,
                microseconds_each(cpu, sizes.connecting as u64),
            ),
            Figure::new(&case, figure::LATENCY_P50, milliseconds(&connected.opening, 0.5)),
            Figure::new(&case, figure::LATENCY_P99, milliseconds(&connected.opening, 0.99)),
            Figure::new(&case, figure::SLOW, slow as f64),
        ]);
    }
    Ok(figures)
}
