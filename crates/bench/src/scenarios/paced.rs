//! A fixed rate, as an application has it: how late is a message, and what does it cost, when the server has time.
//!
//! The generator has a core of its own. Both sides sleep most of the time, and a scheduler that puts them on one core now and then makes a message as late as
//! a crowd takes to read: on two cores that decides the highest percentile, whoever serves.

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::cores::Apart;
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::server::Server;
use crate::target::Transport;

pub(super) const MESSAGES_PER_SECOND: f64 = 50.0;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let (_apart, running) = Apart::start(|| server.start())?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    fleet.connect(Crowd::of(sizes.connections))?;
    let load = Load::of(sizes.message_bytes);
    fleet.open_loop(load, MESSAGES_PER_SECOND, sizes.warm_up)?;
    let before = running.process.cpu()?;
    let run = fleet.open_loop(load, MESSAGES_PER_SECOND, sizes.paced)?;
    let cpu = running.process.cpu_since(before)?;
    fleet.rest(super::LISTEN_ON)?;
    let case = "";
    Ok(vec![
        Figure::new(
            case,
            figure::CPU_PER_DELIVERY,
            microseconds_each(cpu, run.tally.deliveries),
        ),
        Figure::new(case, figure::LATENCY_P50, milliseconds(&run.tally.latency, 0.5)),
        Figure::new(case, figure::LATENCY_P99, milliseconds(&run.tally.latency, 0.99)),
    ])
}
