//! What a connection costs to which nothing comes, and what is left of it after one message.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Sizes, kibibytes_each};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::process::Process;
use crate::server::Server;
use crate::target::Transport;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    let before = running.process.resident()?;
    fleet.connect(Crowd::of(sizes.idle_connections))?;
    let idle = settled(&mut fleet, running.process)?;
    let load = Load {
        bytes: sizes.message_bytes,
        channels: 1,
    };
    fleet.closed_loop(load, 1, Duration::ZERO)?;
    fleet.open_loop(load, 1_000.0, Duration::from_nanos(1))?;
    let used = settled(&mut fleet, running.process)?;
    let each = |now: u64| kibibytes_each(now as i64 - before as i64, sizes.idle_connections);
    Ok(vec![
        Figure::new("never used", figure::MEMORY_PER_CONNECTION, each(idle)),
        Figure::new("after a message", figure::MEMORY_PER_CONNECTION, each(used)),
    ])
}

/// What a server has in memory when it has come to rest.
fn settled(fleet: &mut Fleet, process: Process) -> Result<u64> {
    const REST: Duration = Duration::from_millis(1_000);
    let began = Instant::now();
    while began.elapsed() < REST {
        fleet.turn(Duration::from_millis(100))?;
    }
    process.resident()
}
