//! What a connection costs to which nothing comes, and what is left of it after one message.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, kibibytes_each};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet};
use crate::server::Server;
use crate::target::Transport;

/// How long a server gets to come to rest.
const REST: Duration = Duration::from_secs(1);

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    let before = running.process.resident()?;
    fleet.connect(Crowd::of(sizes.idle_connections))?;
    fleet.rest(REST)?;
    let idle = running.process.resident()?;
    fleet.publish_once(sizes.message_bytes)?;
    fleet.rest(REST)?;
    let used = running.process.resident()?;
    let each = |now: u64| kibibytes_each(now as i64 - before as i64, sizes.idle_connections);
    Ok(vec![
        Figure::new("never used", figure::MEMORY_PER_CONNECTION, each(idle)),
        Figure::new("after a message", figure::MEMORY_PER_CONNECTION, each(used)),
    ])
}
