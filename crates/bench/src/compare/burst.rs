//! Many messages at once: how long until everybody has all of them, and how late one of them is.

use std::fmt;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::row;
use super::setting::Setting;
use crate::load::{Crowd, Fleet, Load, durations, record};
use crate::scenarios::{LISTEN_ON, milliseconds};
use crate::target::Transport;

const PAYLOAD: usize = 128;

#[derive(Serialize)]
struct Case {
    transport: Transport,
    connections: usize,
    messages: usize,
    bursts: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.transport.name())
    }
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    /// Until all have all of a burst: of the bursts.
    all_p50: f64,
    all_most: f64,
    /// Of a message of all the bursts.
    p50: f64,
    p99: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for transport in Transport::ALL {
        let case = Case {
            transport,
            connections: setting.sizes.connections,
            messages: setting.sizes.burst,
            bursts: setting.sizes.bursts,
        };
        rows.push(row(case, measure(setting, transport))?);
    }
    Ok(rows)
}

fn measure(setting: &Setting, transport: Transport) -> Result<Figures> {
    let running = setting.hello.start()?;
    let mut fleet = Fleet::new(&running.target, transport, 1)?;
    fleet.connect(Crowd::of(setting.sizes.connections))?;
    let load = Load::of(PAYLOAD);
    fleet.burst(load, setting.sizes.burst)?;
    let (mut all, mut each): (Histogram<u64>, _) = (durations(), durations());
    for _ in 0..setting.sizes.bursts {
        let run = fleet.burst(load, setting.sizes.burst)?;
        record(&mut all, run.took);
        each.add(&run.tally.latency)?;
    }
    fleet.rest(LISTEN_ON)?;
    Ok(Figures {
        all_p50: milliseconds(&all, 0.5),
        all_most: milliseconds(&all, 1.0),
        p50: milliseconds(&each, 0.5),
        p99: milliseconds(&each, 0.99),
    })
}
