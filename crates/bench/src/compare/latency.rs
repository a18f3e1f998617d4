//! How late a message is at a fixed rate, and what a delivery costs then. An open loop: the time counts from when a message was due.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::row;
use super::setting::Setting;
use crate::load::{Crowd, Fleet, Load};
use crate::process::Process;
use crate::scenarios::{LISTEN_ON, microseconds_each, milliseconds};
use crate::target::Transport;

const RATES: [u32; 3] = [10, 100, 1_000];
const PAYLOAD: usize = 128;

#[derive(Serialize)]
struct Case {
    transport: Transport,
    rate: u32,
    round: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} a second", self.transport.name(), self.rate)
    }
}

/// Milliseconds, and microseconds of CPU a delivery.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    p50: f64,
    p95: f64,
    p99: f64,
    server_cpu: f64,
    /// The generator's share of a core: near 1 it is the generator that is measured.
    generator: f64,
    deliveries: u64,
}

/// The transports take turns within a round, so that what the machine does meanwhile meets all of them.
pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for round in 0..setting.sizes.rounds {
        for rate in RATES {
            for transport in Transport::ALL {
                let case = Case {
                    transport,
                    rate,
                    round,
                };
                rows.push(row(case, measure(setting, transport, rate))?);
            }
        }
    }
    Ok(rows)
}

fn measure(setting: &Setting, transport: Transport, rate: u32) -> Result<Figures> {
    let running = setting.hello.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    fleet.connect(Crowd::of(setting.sizes.connections))?;
    let load = Load::of(PAYLOAD);
    fleet.open_loop(load, rate.into(), setting.sizes.latency / 4)?;
    let (before, own_before) = (running.process.cpu()?, Process::own().cpu()?);
    let run = fleet.open_loop(load, rate.into(), setting.sizes.latency)?;
    let cpu = running.process.cpu_since(before)?;
    let own_cpu = Process::own().cpu_since(own_before)?;
    fleet.rest(LISTEN_ON)?;
    let latency = |quantile| milliseconds(&run.tally.latency, quantile);
    Ok(Figures {
        p50: latency(0.5),
        p95: latency(0.95),
        p99: latency(0.99),
        server_cpu: microseconds_each(cpu, run.tally.deliveries),
        generator: own_cpu.as_secs_f64() / run.took.as_secs_f64(),
        deliveries: run.tally.deliveries,
    })
}
