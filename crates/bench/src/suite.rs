//! The whole bench: every scenario, over every server, in rounds.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use dualcast_nats_server::HOW_TO_GET;

use crate::broker::Broker;
use crate::numbers;
use crate::report::{Report, Section};
use crate::scenarios::{ALL_SIDES, Scenario, Sizes};
use crate::server::Server;
use crate::target::Transport;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Suite {
    /// Only these scenarios
    #[arg(long, value_delimiter = ',', value_enum)]
    scenarios: Vec<Scenario>,
    /// Only these servers, by their names in the table. The scenarios over NATS have sides of their own, all of which run
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Also the servers that these JSON files describe
    #[arg(long, value_name = "FILE")]
    peer: Vec<PathBuf>,
    /// Only this transport
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_parser = numbers::positive)]
    rounds: usize,
    /// Small and short: to see whether it runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Where to write everything that was measured
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
    /// A document to put the table into
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

impl Suite {
    /// Measures, and prints the table. Servers take turns within a round, so that what the machine does meanwhile meets all of them;
    /// and each round begins with another one.
    pub(crate) fn run(self) -> Result<()> {
        let sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        let servers = self.servers()?;
        let names = servers.iter().map(|server| server.name.clone());
        let names = names.chain(ALL_SIDES.map(Into::into)).collect();
        for scenario in &self.scenarios {
            ensure!(
                !scenario.is_over_nats() || Broker::is_there(),
                "{scenario:?} can't run: {HOW_TO_GET}"
            );
        }
        let mut report = Report::new(self.rounds, names);
        // Whatever can't be written is found before an hour has passed.
        report.write_json(&self.json)?;
        if let Some(document) = &self.document {
            Report::find_table(document)?;
        }
        for scenario in Scenario::ALL {
            if !self.scenarios.is_empty() && !self.scenarios.contains(&scenario) {
                continue;
            }
            if scenario.is_over_nats() && !Broker::is_there() {
                eprintln!("{scenario:?} is left out: {HOW_TO_GET}");
                continue;
            }
            let section = report.begin(scenario.title(&sizes), scenario.limits());
            for round in 0..self.rounds {
                if scenario.is_over_nats() {
                    self.compare(scenario, round, &sizes, section);
                } else {
                    self.round(scenario, round, &servers, &sizes, section);
                }
            }
            report.write_json(&self.json)?;
        }
        std::io::stdout().write_all(report.table().as_bytes())?;
        if let Some(document) = &self.document {
            report.write_into(document)?;
        }
        ensure!(
            report.is_whole(),
            "something was refused: the table says what, and why"
        );
        Ok(())
    }

    fn round(
        &self,
        scenario: Scenario,
        round: usize,
        servers: &[Server],
        sizes: &Sizes,
        section: &mut Section,
    ) {
        for transport in self.transports(scenario) {
            let wire = transport.map_or("", Transport::name);
            for at in 0..servers.len() {
                let server = &servers[(at + round) % servers.len()];
                if !scenario.suits(server, transport) {
                    continue;
                }
                let (number, all, name) = (round + 1, self.rounds, &server.name);
                eprintln!("{scenario:?}, round {number} of {all}: {name} {wire}");
                match scenario.run(server, transport, sizes) {
                    Ok(figures) => section.add(round, name, transport, figures),
                    Err(error) => {
                        eprintln!("refused: {error:#}");
                        section.refuse(name, transport, &error);
                    }
                }
            }
        }
    }

    fn compare(&self, scenario: Scenario, round: usize, sizes: &Sizes, section: &mut Section) {
        for transport in self.transports(scenario) {
            let wire = transport.map_or("", Transport::name);
            eprintln!("{scenario:?}, round {} of {}: {wire}", round + 1, self.rounds);
            match scenario.compare(transport, round, sizes) {
                Ok(sides) => {
                    for (name, figures) in sides {
                        section.add(round, name, transport, figures);
                    }
                }
                Err(error) => {
                    eprintln!("refused: {error:#}");
                    for name in scenario.sides() {
                        section.refuse(name, transport, &error);
                    }
                }
            }
        }
    }

    fn transports(&self, scenario: Scenario) -> impl Iterator<Item = Option<Transport>> {
        let only = self.transport;
        let all = scenario.transports().iter().copied();
        all.filter(move |transport| transport.is_none() || only.is_none() || *transport == only)
    }

    fn servers(&self) -> Result<Vec<Server>> {
        let mut servers = Server::built_in()?;
        servers.extend(Server::installed_peers()?);
        for peer in &self.peer {
            servers.push(Server::described(peer)?);
        }
        for (at, server) in servers.iter().enumerate() {
            let is_new = servers[..at].iter().all(|other| other.name != server.name);
            ensure!(is_new, "two servers are called {}", server.name);
        }
        if !self.servers.is_empty() {
            for name in &self.servers {
                ensure!(
                    servers.iter().any(|server| server.name == *name),
                    "no server is called {name}"
                );
            }
            servers.retain(|server| self.servers.contains(&server.name));
        }
        Ok(servers)
    }
}
