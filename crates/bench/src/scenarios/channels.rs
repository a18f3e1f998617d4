//! The same traffic on a few busy channels, beside more and more others that only keep a message each.

use std::time::Duration;

use anyhow::Result;

use super::{Sizes, kibibytes_each, microseconds_each};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::server::Server;
use crate::target::Transport;

/// How many channels have followers and messages.
pub(super) const BUSY: usize = 10;
const IN_FLIGHT: usize = 4;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for &channels in sizes.channels {
        let running = server.start()?;
        let mut fleet = Fleet::new(&running.target, transport, channels)?;
        let crowd = Crowd {
            channels: BUSY,
            ..Crowd::of(sizes.connections)
        };
        fleet.connect(crowd)?;
        let before = running.process.resident()?;
        fleet.publish_to_each(BUSY..channels, sizes.message_bytes)?;
        let grown = running.process.resident()? as i64 - before as i64;
        let load = Load {
            bytes: sizes.message_bytes,
            channels: BUSY,
        };
        fleet.closed_loop(load, IN_FLIGHT, sizes.warm_up.max(Duration::from_millis(100)))?;
        let before = running.process.cpu()?;
        let run = fleet.closed_loop(load, IN_FLIGHT, sizes.measured)?;
        let cpu = running.process.cpu()? - before;
        let case = format!("{channels} channels");
        figures.push(Figure::new(
            &case,
            figure::CPU_PER_DELIVERY,
            microseconds_each(cpu, run.tally.deliveries),
        ));
        if channels > BUSY {
            let each = kibibytes_each(grown, channels - BUSY);
            figures.push(Figure::new(&case, figure::MEMORY_PER_CHANNEL, each));
        }
    }
    Ok(figures)
}
