//! What this machine does: its counters, read and published a few times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use sysinfo::{Networks, System};
use tokio::time::{self, MissedTickBehavior};

use crate::journal::Journal;

const INTERVAL: Duration = Duration::from_millis(250);

/// This machine, as far as the channel hears of it.
#[derive(Default)]
pub(crate) struct Machine {
    is_silent: AtomicBool,
}

impl Machine {
    /// Whether its counters are published.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    pub(crate) fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// Publishes a `machine` message every [`INTERVAL`], unless it is silent.
    pub(crate) async fn tell(self: Arc<Self>, journal: Arc<Journal>) {
        let mut counters = Counters::new();
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there was no time yet to count anything in.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let reading = counters.read();
            if !self.is_silent()
                && let Err(error) = journal.publish("machine", reading).await
            {
                eprintln!("a reading of the machine could not be published: {error}");
            }
        }
    }
}

/// A reading. Network counters are over all interfaces, the loopback included.
#[derive(Serialize)]
struct Reading {
    cpu_percent: f32,
    memory_used_bytes: u64,
    memory_total_bytes: u64,
    load_1_minute: f64,
    received_bytes_per_second: u64,
    sent_bytes_per_second: u64,
}

struct Counters {
    system: System,
    networks: Networks,
    read_at: Instant,
}

impl Counters {
    fn new() -> Self {
        let mut counters = Self {
            system: System::new(),
            networks: Networks::new(),
            read_at: Instant::now(),
        };
        counters.read();
        counters
    }

    /// What the counters say, and since the last reading where they count on and on. A few short system calls.
    fn read(&mut self) -> Reading {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        let seconds = self.read_at.elapsed().as_secs_f64();
        self.read_at = Instant::now();
        let (received, sent) = self
            .networks
            .values()
            .map(|network| (network.received(), network.transmitted()))
            .fold((0, 0), |sum, network| (sum.0 + network.0, sum.1 + network.1));
        Reading {
            cpu_percent: self.system.global_cpu_usage(),
            memory_used_bytes: self.system.used_memory(),
            memory_total_bytes: self.system.total_memory(),
            load_1_minute: System::load_average().one,
            received_bytes_per_second: (received as f64 / seconds) as u64,
            sent_bytes_per_second: (sent as f64 / seconds) as u64,
        }
    }
}
