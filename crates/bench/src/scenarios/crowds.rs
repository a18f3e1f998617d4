//! One channel with more and more followers: what each delivery costs then.

use anyhow::Result;

use super::{Sizes, microseconds_each, milliseconds};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::server::Server;
use crate::target::Transport;

/// How many streams of HTTP/2 share a connection: as many as servers and proxies allow at the least (RFC 9113 section 6.5.2).
const STREAMS: usize = 100;
const IN_FLIGHT: usize = 1;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let (crowds, streams) = match transport {
        Transport::SseHttp2 => (sizes.crowds_of_streams, STREAMS),
        Transport::Sse | Transport::Ws => (sizes.crowds, 1),
    };
    let load = Load::of(sizes.message_bytes);
    let mut figures = Vec::new();
    for &followers in crowds {
        let running = server.start()?;
        let mut fleet = Fleet::new(&running.target, transport, 1)?.with_streams(streams);
        fleet.connect(Crowd::of(followers / streams))?;
        fleet.closed_loop(load, IN_FLIGHT, sizes.warm_up)?;
        let before = running.process.cpu()?;
        let run = fleet.closed_loop(load, IN_FLIGHT, sizes.measured)?;
        let cpu = running.process.cpu_since(before)?;
        fleet.rest(super::LISTEN_ON)?;
        let case = format!("{followers} followers");
        let each = microseconds_each(cpu, run.tally.deliveries);
        figures.extend([
            Figure::new(&case, figure::CPU_PER_DELIVERY, each),
            Figure::new(&case, figure::LATENCY_P99, milliseconds(&run.tally.latency, 0.99)),
        ]);
    }
    Ok(figures)
}
