//! Publishing to a channel without followers, in one process and one thread: what a message costs before anybody gets it.
//!
//! The floor is what a log can't do without: a lock, a copy of the payload, and a ring that forgets the oldest. By hand, `broadcast`
//! has no receivers and drops the message.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dualcast::{Hub, LogLimits, Message};
use futures::FutureExt;
use tokio::sync::broadcast::Sender;

use super::Sizes;
use crate::figure::{self, Figure};
use crate::server::{self, Server};

pub(super) fn run(server: &Server, sizes: &Sizes) -> Result<Vec<Figure>> {
    let text = "x".repeat(sizes.message_bytes);
    let began = Instant::now();
    match &*server.name {
        server::FLOOR => ring(&text, sizes.publishes),
        server::BY_HAND => broadcast(&text, sizes.publishes),
        server::DUALCAST => channel(&text, sizes.publishes)?,
        other => bail!("{other} is no library"),
    }
    let rate = sizes.publishes as f64 / began.elapsed().as_secs_f64() / 1e6;
    Ok(vec![Figure::new("", figure::PUBLISHES, rate)])
}

fn ring(text: &str, count: u64) {
    let kept = LogLimits::default().max_records;
    let ring = Mutex::new(VecDeque::<Arc<str>>::new());
    for _ in 0..count {
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push_back(black_box(text).into());
        if ring.len() > kept {
            ring.pop_front();
        }
    }
}

fn broadcast(text: &str, count: u64) {
    let sender = Sender::<Arc<str>>::new(1_024);
    for _ in 0..count {
        // Nobody receives it.
        drop(sender.send(black_box(text).into()));
    }
}

fn channel(text: &str, count: u64) -> Result<()> {
    let channel = Hub::new().channel("bench")?;
    let before = channel.hub().position();
    for _ in 0..count {
        let published = channel.publish(Message::text("message", black_box(text)));
        black_box(published.now_or_never().context("publishing had to wait")??);
    }
    let kept = channel.subscribe().after(before).open()?.read(usize::MAX);
    let kept = kept.unwrap_or_default();
    // The gap for those that were trimmed, and the others.
    ensure!(
        kept.len() == LogLimits::default().max_records + 1,
        "the log kept {}",
        kept.len()
    );
    Ok(())
}
