//! The same traffic on more and more channels: on ten, beside others that only keep a message each; and on so many that each has one
//! follower.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Sizes, kibibytes_each, microseconds_each};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, Load};
use crate::server::Server;
use crate::target::Transport;

/// How many channels have followers and messages, where the others are quiet.
pub(super) const BUSY: usize = 10;
/// How many messages are in flight where ten channels are busy. Over more, each with fewer followers, there are as many deliveries.
const IN_FLIGHT: usize = 4;

pub(super) fn run(server: &Server, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for &channels in sizes.channels {
        let case = format!("{BUSY} of {channels} busy");
        let beside = Spread { channels, busy: BUSY };
        figures.extend(drive(server, transport, sizes, &case, beside)?);
    }
    let all = sizes.connections;
    let case = format!("all of {all} busy");
    let each_followed_once = Spread {
        channels: all,
        busy: all,
    };
    figures.extend(drive(server, transport, sizes, &case, each_followed_once)?);
    figures.push(post_to_nobody(server, transport, sizes, &case)?);
    Ok(figures)
}

/// What of a message with one follower is its POST.
fn post_to_nobody(server: &Server, transport: Transport, sizes: &Sizes, case: &str) -> Result<Figure> {
    let running = server.start()?;
    let channels = 0..sizes.connections;
    let mut fleet = Fleet::new(&running.target, transport, channels.len())?;
    let warm = Instant::now() + sizes.warm_up;
    while Instant::now() < warm {
        fleet.publish_to_each(channels.clone(), sizes.message_bytes)?;
    }
    let mut posts = 0;
    let (before, end) = (running.process.cpu()?, Instant::now() + sizes.measured);
    while Instant::now() < end {
        fleet.publish_to_each(channels.clone(), sizes.message_bytes)?;
        posts += channels.len() as u64;
    }
    let each = microseconds_each(running.process.cpu_since(before)?, posts);
    Ok(Figure::new(case, figure::CPU_PER_POST, each))
}

/// Over which channels the traffic is spread.
struct Spread {
    channels: usize,
    /// The first so many have followers and messages.
    busy: usize,
}

fn drive(
    server: &Server,
    transport: Transport,
    sizes: &Sizes,
    case: &str,
    Spread { channels, busy }: Spread,
) -> Result<Vec<Figure>> {
    let running = server.start()?;
    let mut fleet = Fleet::new(&running.target, transport, channels)?;
    let crowd = Crowd {
        channels: busy,
        ..Crowd::of(sizes.connections)
    };
    fleet.connect(crowd)?;
    let before = running.process.resident()?;
    fleet.publish_to_each(busy..channels, sizes.message_bytes)?;
    let grown = running.process.resident()? as i64 - before as i64;
    let load = Load {
        bytes: sizes.message_bytes,
        channels: busy,
    };
    let in_flight = IN_FLIGHT * busy / BUSY;
    fleet.closed_loop(load, in_flight, sizes.warm_up.max(Duration::from_millis(100)))?;
    let before = running.process.cpu()?;
    let run = fleet.closed_loop(load, in_flight, sizes.measured)?;
    let cpu = running.process.cpu_since(before)?;
    fleet.rest(super::LISTEN_ON)?;
    let each = microseconds_each(cpu, run.tally.deliveries);
    let mut figures = vec![Figure::new(case, figure::CPU_PER_DELIVERY, each)];
    if channels > busy {
        let each = kibibytes_each(grown, channels - busy);
        figures.push(Figure::new(case, figure::MEMORY_PER_CHANNEL, each));
    }
    Ok(figures)
}
