//! cargo run --release -p dualcast-bench
//!
//! Measures Dualcast against the machine's limit and against what one writes by hand. `docs/performance.md` says how to read it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod board;
mod broker;
mod child;
mod compare;
mod cores;
mod figure;
mod load;
mod numbers;
mod process;
mod report;
mod scenarios;
mod server;
mod servers;
mod single;
mod suite;
mod target;

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Measures how a server fans out to Server-Sent Events and WebSocket clients.
///
/// Without a command it runs every scenario over every server, and prints a table. Those of several nodes (across, acked, tail, storm)
/// need a nats-server: the one that NATS_SERVER names, or `tests/run nats-server` has installed, or the PATH has.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    suite: suite::Suite,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Drives one server once, whatever it is
    Load(Box<single::Single>),
    /// Puts examples/whiteboard under load: editors who point and draw, viewers who look on, one of them on a slow link
    Board(board::BoardLoad),
    /// Compares Server-Sent Events over HTTP/1.1 and HTTP/2, and WebSocket, over the same server and channel: for docs/comparison.md
    Compare(compare::Compare),
    /// Runs one of the servers that Dualcast is compared with, at the address in ADDR
    Serve {
        #[arg(value_enum)]
        role: Role,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// One thread, one system call for each delivery
    Floor,
    /// One thread, one system call for all that one wake brought
    Joined,
    /// h2 with nothing around it: event streams over HTTP/2 alone
    Streams,
    /// tokio's broadcast behind axum's own Server-Sent Events and WebSocket
    ByHand,
    /// Dualcast, with a channel for each path; with NATS_URL and NATS_PREFIX it is a node
    Rooms,
    /// Dualcast, with all that the comparison of the transports needs; with CERTIFICATE and KEY over TLS
    Compared,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => {
            child::end_with_us()?;
            cli.suite.run()
        }
        Some(Command::Load(single)) => {
            std::io::stdout().write_all(single.run()?.as_bytes())?;
            Ok(())
        }
        Some(Command::Board(load)) => {
            child::end_with_us()?;
            std::io::stdout().write_all(load.run()?.as_bytes())?;
            Ok(())
        }
        Some(Command::Compare(compare)) => {
            child::end_with_us()?;
            compare.run()
        }
        Some(Command::Serve { role }) => match role {
            Role::Floor => servers::floor::run(servers::floor::Writing::Each),
            Role::Joined => servers::floor::run(servers::floor::Writing::Joined),
            Role::Streams => servers::streams::run(),
            Role::ByHand => servers::by_hand::run(),
            Role::Rooms => servers::rooms::run(),
            Role::Compared => servers::compared::run(),
        },
    }
}
