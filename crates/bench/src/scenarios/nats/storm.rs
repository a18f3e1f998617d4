//! The storm of `resume`, over NATS: what the clients missed is in the node's memory, or it has to be read from the stream.
//!
//! One node is compared with itself over `Local`. How many messages the broker gets meanwhile tells whether what one reads is read for all.

use anyhow::{Context, Result};

use super::{LOCAL, NATS, NATS_FORGETFUL, Sides};
use crate::broker::Broker;
use crate::figure::{self, Figure};
use crate::scenarios::{Sizes, resume};
use crate::server::Server;
use crate::servers::rooms;
use crate::target::Transport;

const PREFIX: &str = "storm";

pub(in crate::scenarios) fn run(transport: Transport, round: usize, sizes: &Sizes) -> Result<Sides> {
    let mut sides = [LOCAL, NATS, NATS_FORGETFUL].map(|name| (name, Vec::new()));
    for turn in 0..sides.len() {
        let at = (turn + round) % sides.len();
        let (name, figures) = &mut sides[at];
        *figures = drive(name, transport, sizes).context(*name)?;
    }
    Ok(sides.into())
}

fn drive(side: &str, transport: Transport, sizes: &Sizes) -> Result<Vec<Figure>> {
    if side == LOCAL {
        let running = Server::node(Vec::new())?.start()?;
        let (figures, _) = resume::storm(&running, transport, sizes, || Ok(0))?;
        return Ok(figures);
    }
    let broker = Broker::start()?;
    let mut environment = vec![
        (rooms::NATS_URL, broker.url()),
        (rooms::NATS_PREFIX, PREFIX.into()),
    ];
    if side == NATS_FORGETFUL {
        environment.push((rooms::MAX_RECORDS, "1".into()));
    }
    let running = Server::node(environment)?.start()?;
    let (mut figures, messages) = resume::storm(&running, transport, sizes, || broker.messages())?;
    figures.push(Figure::new("", figure::BROKER_REQUESTS, messages as f64));
    Ok(figures)
}
