//! One measurement of any server, described by options.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::load::{Crowd, Fleet, Load};
use crate::numbers;
use crate::process::Process;
use crate::scenarios::{LISTEN_ON, kibibytes_each, microseconds_each, milliseconds};
use crate::target::{Dialect, Target, Transport};

/// What to drive, and how. In every text `{channel}` stands for the number of a channel.
#[derive(Debug, Args)]
pub(crate) struct Single {
    /// What subscribers open: http://HOST:PORT/PATH for Server-Sent Events, h2c://HOST:PORT/PATH for the same over HTTP/2 without TLS,
    /// ws://HOST:PORT/PATH for WebSocket
    url: String,
    /// The path to publish to, by POST, on the same host
    #[arg(long, default_value = "/publish")]
    publish: String,
    /// The body of that POST; `{message}` stands for what is published
    #[arg(long, default_value = "{message}")]
    publish_body: String,
    /// A header of that POST, `name: value`
    #[arg(long)]
    publish_header: Vec<String>,
    /// A header of a subscriber's request, `name: value`
    #[arg(long)]
    header: Vec<String>,
    /// A text that a WebSocket client sends once it is open
    #[arg(long)]
    hello: Option<String>,
    /// Publish the next message when the last was answered: for servers that don't take requests ahead
    #[arg(long)]
    no_pipelining: bool,
    /// The server's process, to learn what it takes
    #[arg(long)]
    pid: Option<u32>,
    /// How many connections
    #[arg(long, default_value_t = 1_000, value_parser = numbers::positive)]
    connections: usize,
    /// How many streams on each of them; more than one only over HTTP/2
    #[arg(long, default_value_t = 1, value_parser = numbers::positive)]
    streams: usize,
    /// How many of them connect at a time
    #[arg(long, default_value_t = 200, value_parser = numbers::positive)]
    at_once: usize,
    /// Over how many channels they and the messages spread
    #[arg(long, default_value_t = 1, value_parser = numbers::positive)]
    channels: usize,
    /// The size of a message, in bytes; at least 16
    #[arg(long, default_value_t = 128, value_parser = numbers::positive)]
    bytes: usize,
    /// How many messages are in flight
    #[arg(long, default_value_t = 1, value_parser = numbers::positive, conflicts_with = "rate")]
    in_flight: usize,
    /// How many messages to publish a second, instead
    #[arg(long, value_parser = numbers::rate)]
    rate: Option<f64>,
    /// For how long, in seconds
    #[arg(long, default_value = "5", value_parser = numbers::seconds)]
    seconds: Duration,
    /// For how long before that, unmeasured, in seconds
    #[arg(long, default_value = "0.5", value_parser = numbers::seconds)]
    warm_up: Duration,
}

impl Single {
    pub(crate) fn run(self) -> Result<String> {
        ensure!(
            self.channels <= self.connections,
            "{} connections can't follow {} channels: each follows one",
            self.connections,
            self.channels
        );
        let (transport, rest) = match self.url.split_once("://") {
            Some(("http", rest)) => (Transport::Sse, rest),
            Some(("h2c", rest)) => (Transport::SseHttp2, rest),
            Some(("ws", rest)) => (Transport::Ws, rest),
            _ => bail!("{} begins with none of http://, h2c:// and ws://", self.url),
        };
        ensure!(
            self.streams == 1 || transport == Transport::SseHttp2,
            "a connection has one stream, but over HTTP/2: h2c://"
        );
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = Some(format!("/{path}"));
        let dialect = Dialect {
            sse: path.clone(),
            ws: path,
            ws_hello: self.hello,
            headers: self.header,
            publish: self.publish,
            publish_body: self.publish_body,
            publish_headers: self.publish_header,
            pipelining: !self.no_pipelining,
            resumes: false,
            many_channels: self.channels > 1,
        };
        let target = Target::new(address, dialect)?;
        let process = self.pid.map(Process);
        let resident = || process.map(Process::resident).transpose();

        let mut fleet = Fleet::new(&target, transport, self.channels)?.with_streams(self.streams);
        let memory = resident()?;
        let crowd = Crowd {
            connections: self.connections,
            at_once: self.at_once,
            channels: self.channels,
        };
        let connected = fleet.connect(crowd)?;
        let memory = memory.zip(resident()?);
        let load = Load {
            bytes: self.bytes,
            channels: self.channels,
        };
        let drive = |fleet: &mut Fleet, duration| match self.rate {
            None => fleet.closed_loop(load, self.in_flight, duration),
            Some(rate) => fleet.open_loop(load, rate, duration),
        };
        drive(&mut fleet, self.warm_up)?;
        let before = process.map(Process::cpu).transpose()?;
        let run = drive(&mut fleet, self.seconds)?;
        let took = process.zip(before);
        let took = took
            .map(|(process, before)| process.cpu_since(before))
            .transpose()?;
        fleet.rest(LISTEN_ON)?;

        let mut said = String::new();
        let deliveries = run.tally.deliveries;
        let latency = |quantile| milliseconds(&run.tally.latency, quantile);
        let rate = |count: f64, time: Duration| count / time.as_secs_f64();
        writeln!(
            said,
            "connected  {:.0} a second",
            rate(self.connections as f64, connected.took)
        )?;
        writeln!(
            said,
            "messages   {}, {:.0} a second",
            run.tally.messages,
            rate(run.tally.messages as f64, run.took)
        )?;
        writeln!(
            said,
            "delivered  {deliveries}, {:.0} a second, none missing",
            rate(deliveries as f64, run.took)
        )?;
        let (p50, p95, p99) = (latency(0.5), latency(0.95), latency(0.99));
        writeln!(
            said,
            "latency    p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, most {:.2} ms",
            latency(1.0)
        )?;
        if let Some(took) = took {
            let each = microseconds_each(took, deliveries);
            writeln!(said, "CPU        {each:.4} µs a delivery")?;
        }
        if let Some((before, after)) = memory {
            let each = kibibytes_each(after as i64 - before as i64, self.connections * self.streams);
            writeln!(said, "memory     {each:.2} KiB a follower")?;
        }
        Ok(said)
    }
}
