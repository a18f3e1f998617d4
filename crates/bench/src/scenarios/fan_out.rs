//! Fan-out in a closed loop: so many messages are always in flight, and each goes to all connections.

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::process::Process;
use crate::server::Server;
use crate::target::Transport;

const IN_FLIGHT: [usize; 3] = [1, 4, 32];

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    fleet.connect(Crowd::of(sizes.connections))?;
    let load = Load::of(sizes.message_bytes);
    let mut figures = Vec::new();
    for in_flight in IN_FLIGHT {
        fleet.closed_loop(load, in_flight, sizes.warm_up)?;
        let (before, own_before) = (running.process.cpu()?, Process::own().cpu()?);
        let run = fleet.closed_loop(load, in_flight, sizes.measured)?;
        let cpu = running.process.cpu_since(before)?;
        let own_cpu = Process::own().cpu_since(own_before)?;
        let deliveries = run.tally.deliveries;
        let case = format!("{in_flight} in flight");
        figures.extend([
            Figure::new(
                &case,
                figure::CPU_PER_DELIVERY,
                microseconds_each(cpu, deliveries),
            ),
            Figure::new(
                &case,
                figure::DELIVERIES,
                deliveries as f64 / run.took.as_secs_f64() / 1e3,
            ),
            Figure::new(&case, figure::LATENCY_P50, milliseconds(&run.tally.latency, 0.5)),
            Figure::new(&case, figure::LATENCY_P99, milliseconds(&run.tally.latency, 0.99)),
            Figure::new(
                &case,
                figure::GENERATOR,
                100.0 * own_cpu.as_secs_f64() / run.took.as_secs_f64(),
            ),
        ]);
    }
    fleet.rest(super::LISTEN_ON)?;
    Ok(figures)
}
