//! Many clients of both kinds that come and go at random, while whatever happens happens.
//!
//! `SOAK_SECONDS`, `SOAK_CLIENTS` and `SOAK_SEED` change how long, how many, and what happens when.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use dualcast::NatsOptions;
use dualcast_nats_server::{Link, NatsServer};
use fastrand::Rng;
use tokio::time::{self, Instant};

use crate::nodes::{Addresses, Node, Start};
use crate::traffic::{Size, Traffic};

const PREFIX: &str = "soak";

struct Scene {
    server: NatsServer,
    link: Link,
    start: Start,
    nodes: Vec<Node>,
    addresses: Addresses,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whatever_happens() {
    let seconds = from_env("SOAK_SECONDS", 60);
    let clients = from_env("SOAK_CLIENTS", 200);
    let seed = from_env("SOAK_SEED", fastrand::u64(..));
    println!("SOAK_SECONDS={seconds} SOAK_CLIENTS={clients} SOAK_SEED={seed}");
    let server = NatsServer::start().await;
    let link = Link::to(server.address()).await;
    let start = Start::new(link.url(), PREFIX).env("MAX_RECORDS", 1_000);
    let mut scene = Scene {
        nodes: vec![start.start(), start.start()],
        addresses: Addresses::default(),
        server,
        link,
        start,
    };
    scene.addresses.set(&scene.nodes);
    let mut options = NatsOptions::new([scene.link.url()]);
    options.prefix = PREFIX.into();
    let size = Size {
        publishers: 4,
        pause: Duration::from_millis(100),
        clients,
        stay: Duration::from_secs(10),
        seed,
    };
    let traffic = Traffic::begin(options, &scene.addresses, size).await;
    let mut chance = Rng::with_seed(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        scene.something_happens(&mut chance).await;
        time::sleep(Duration::from_millis(chance.u64(1_000..8_000))).await;
    }
    for node in &scene.nodes {
        node.is_well().await;
    }
    let summary = traffic.end(&scene.server.url(), PREFIX).await;
    println!("{summary}");
}

impl Scene {
    async fn something_happens(&mut self, chance: &mut Rng) {
        let a_while = Duration::from_millis(chance.u64(200..6_000));
        match chance.u32(..7) {
            0 => {
                self.server.kill();
                time::sleep(a_while).await;
                self.server.restart().await;
            }
            1 => {
                self.server.freeze();
                time::sleep(a_while).await;
                self.server.thaw();
            }
            2 => {
                self.link.swallow();
                time::sleep(a_while).await;
                self.link.pass();
            }
            3 => {
                self.link.hold();
                time::sleep(a_while).await;
                self.link.pass();
            }
            4 => self.link.reset(),
            5 => self.link.reset_after(chance.usize(1..20_000)),
            _ => {
                let mut killed = self.nodes.remove(0);
                self.addresses.set(&self.nodes);
                killed.kill();
                self.nodes.push(self.start.start());
                self.addresses.set(&self.nodes);
            }
        }
    }
}

fn from_env<T: FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok();
    value.map_or(default, |value| value.parse().ok().expect("a number"))
}
