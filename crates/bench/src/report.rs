//! The report: a table of medians with their ratios to the limit, and everything that was measured, as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::figure::{Direction, Figure, Metric};
use crate::target::Transport;

/// Everything that was measured in one run of the bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rounds: usize,
    /// In the order of the table's columns.
    servers: Vec<String>,
    scenarios: Vec<Section>,
}

/// One scenario's part of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    title: String,
    /// Whom the others are compared with: with the better of them.
    limits: &'static [&'static str],
    rounds: usize,
    rows: Vec<Row>,
    /// Who has no figures, and why.
    refused: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Refused {
    server: String,
    transport: Option<Transport>,
    /// In how many rounds.
    rounds: usize,
    /// What was wrong the first time.
    why: String,
}

#[derive(Debug, Serialize)]
struct Row {
    transport: Option<Transport>,
    case: String,
    metric: Metric,
    /// Each server's values, one a round; none where it was refused.
    values: BTreeMap<String, Vec<Option<f64>>>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

impl Report {
    pub(crate) fn new(rounds: usize, servers: Vec<String>) -> Self {
        Self {
            machine: Machine::this(),
            rounds,
            servers,
            scenarios: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, title: String, limits: &'static [&'static str]) -> &mut Section {
        self.scenarios.push(Section {
            title,
            limits,
            rounds: self.rounds,
            rows: Vec::new(),
            refused: Vec::new(),
        });
        let at = self.scenarios.len() - 1;
        &mut self.scenarios[at]
    }

    /// The table, in Markdown.
    pub(crate) fn table(&self) -> String {
        let Machine {
            processor,
            cores,
            kernel,
        } = &self.machine;
        let rounds = match self.rounds {
            1 => "one round".into(),
            rounds => format!("the median of {rounds} rounds"),
        };
        let mut table = format!("{processor}, {cores} cores, Linux {kernel}; each figure is {rounds}.\n");
        for section in &self.scenarios {
            table += &section.table(&self.servers);
        }
        table
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("can't create {}", directory.display()))?;
        }
        fs::write(path, json + "\n").with_context(|| format!("can't write {}", path.display()))
    }

    /// Whether every measurement is reported.
    pub(crate) fn is_whole(&self) -> bool {
        self.scenarios.iter().all(|section| section.refused.is_empty())
    }

    /// What stands in a document before its table and after it: the table stands between two marks.
    pub(crate) fn find_table(path: &Path) -> Result<(String, String)> {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let marks = || format!("{} has no lines `{BEGIN}` and `{END}`", path.display());
        let (before, rest) = text.split_once(BEGIN).with_context(marks)?;
        let (_, after) = rest.split_once(END).with_context(marks)?;
        Ok((before.into(), after.into()))
    }

    /// Puts the table into a document.
    pub(crate) fn write_into(&self, path: &Path) -> Result<()> {
        let (before, after) = Self::find_table(path)?;
        let whole = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.table());
        fs::write(path, whole).with_context(|| format!("can't write {}", path.display()))
    }
}

const BEGIN: &str = "<!-- the table begins -->";
const END: &str = "<!-- the table ends -->";

impl Section {
    /// Adds what one server did in one round, counted from 0.
    pub(crate) fn add(
        &mut self,
        round: usize,
        server: &str,
        transport: Option<Transport>,
        figures: Vec<Figure>,
    ) {
        for Figure { case, metric, value } in figures {
            let is_row = |row: &Row| row.transport == transport && row.case == case && row.metric == metric;
            let at = self.rows.iter().position(is_row).unwrap_or_else(|| {
                self.rows.push(Row {
                    transport,
                    case,
                    metric,
                    values: BTreeMap::new(),
                });
                self.rows.len() - 1
            });
            let values = self.rows[at].values.entry(server.into());
            values.or_insert_with(|| vec![None; self.rounds])[round] = Some(value);
        }
    }

    /// Notes that a server was refused in a round: it lost something, or failed. Then it has no figures at all: who loses in one round
    /// of five is not fast in the others.
    pub(crate) fn refuse(&mut self, server: &str, transport: Option<Transport>, why: &anyhow::Error) {
        let is_known = |refused: &&mut Refused| refused.server == server && refused.transport == transport;
        match self.refused.iter_mut().find(is_known) {
            Some(refused) => refused.rounds += 1,
            None => self.refused.push(Refused {
                server: server.into(),
                transport,
                rounds: 1,
                why: format!("{why:#}"),
            }),
        }
    }

    fn is_refused(&self, server: &str, transport: Option<Transport>) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|refused| refused.server == server && refused.transport == transport)
    }

    fn table(&self, servers: &[String]) -> String {
        let columns: Vec<_> = servers
            .iter()
            .filter(|name| self.rows.iter().any(|row| row.values.contains_key(*name)))
            .collect();
        let mut table = format!("\n### {}\n\n| ", self.title);
        for name in &columns {
            table += &format!("| {name} ");
        }
        table += "| spread |\n|---|";
        table += &"---:|".repeat(columns.len() + 1);
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.transport);
        for row in rows {
            table += &format!("\n| {} ", row.label());
            for name in &columns {
                let cell = if self.is_refused(name, row.transport) {
                    "refused".into()
                } else {
                    row.cell(name, self.limits)
                };
                table += &format!("| {cell} ");
            }
            table += &format!("| {} |", row.spread());
        }
        table += "\n";
        for Refused {
            server,
            transport,
            rounds,
            why,
        } in &self.refused
        {
            let transport = transport.map_or(String::new(), |transport| format!(", {}", transport.name()));
            let all = self.rounds;
            table += &format!("\nRefused: {server}{transport}, in {rounds} of {all} rounds: {why}.\n");
        }
        table
    }
}

impl Row {
    fn label(&self) -> String {
        let transport = self.transport.map(Transport::name);
        let parts = [transport, Some(&self.case), Some(self.metric.name)];
        let parts: Vec<_> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(", ")
    }

    fn cell(&self, server: &str, limits: &[&str]) -> String {
        let Some(values) = self.values.get(server) else {
            return "–".into();
        };
        let value = rounded(median(values.iter().flatten().copied()));
        let is_limit = limits.contains(&server);
        match self.ratio(values, limits) {
            Some(ratio) if !is_limit => format!("{value} ({ratio:.2} x)"),
            _ => value,
        }
    }

    /// How a server compares with the limit. Each round is compared with itself: whatever else the machine had to do then, it had to
    /// do for both.
    fn ratio(&self, values: &[Option<f64>], limits: &[&str]) -> Option<f64> {
        let better = match self.metric.direction {
            Direction::Less => f64::min,
            Direction::More => f64::max,
            Direction::Neither => return None,
        };
        let limits: Vec<_> = limits.iter().filter_map(|name| self.values.get(*name)).collect();
        let limit = |round: usize| limits.iter().filter_map(|values| values[round]).reduce(better);
        let rounds = values.iter().enumerate();
        let ratios = rounds.filter_map(|(round, value)| Some((*value)? / limit(round)?));
        Some(median(ratios)).filter(|ratio| ratio.is_finite())
    }

    /// By how much the rounds differ: the widest of the servers, as a share of its median, half to either side.
    fn spread(&self) -> String {
        let spread = |values: &Vec<Option<f64>>| {
            let values: Vec<f64> = values.iter().flatten().copied().collect();
            let least = values.iter().copied().reduce(f64::min)?;
            let most = values.iter().copied().reduce(f64::max)?;
            let middle = median(values.iter().copied());
            (values.len() > 1 && middle != 0.0).then(|| (most - least) / 2.0 / middle.abs())
        };
        match self.values.values().filter_map(spread).reduce(f64::max) {
            Some(share) if self.metric.direction != Direction::Neither => format!("±{:.0} %", share * 100.0),
            _ => String::new(),
        }
    }
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: name.map_or("an unnamed processor", |(_, name)| name).into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .into(),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// Three digits, as many as can be believed.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 99.5 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.95 => format!("{value:.1}"),
        size if size >= 0.095 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure;
    use crate::server::{FLOOR, JOINED};

    fn report() -> Report {
        let mut report = Report::new(3, vec![FLOOR.into(), JOINED.into(), "Dualcast".into()]);
        let section = report.begin("Fan-out".into(), &[FLOOR, JOINED]);
        let rounds = [(3.0, 4.0, 6.0), (2.0, 1.0, 2.0), (5.0, 9.0, 20.0)];
        for (round, (floor, joined, dualcast)) in rounds.into_iter().enumerate() {
            for (server, value) in [(FLOOR, floor), (JOINED, joined), ("Dualcast", dualcast)] {
                let figure = Figure::new("4 in flight", figure::CPU_PER_DELIVERY, value);
                section.add(round, server, Some(Transport::Ws), vec![figure]);
            }
        }
        report
    }

    #[test]
    fn each_round_is_compared_with_its_own_limit() {
        let table = report().table();
        let row = table.lines().last().unwrap();
        let expected =
            "| WebSocket, 4 in flight, server CPU, µs a delivery | 3.00 | 4.00 | 6.00 (2.00 x) | ±150 % |";
        assert_eq!(row, expected);
        assert!(
            table.contains("| | floor | joined | Dualcast | spread |"),
            "{table}"
        );
    }

    #[test]
    fn a_server_that_was_refused_once_has_no_figures() {
        let mut report = report();
        let lost = anyhow::anyhow!("a message is missing");
        report.scenarios[0].refuse("Dualcast", Some(Transport::Ws), &lost);
        report.scenarios[0].refuse("Dualcast", Some(Transport::Ws), &lost);
        let table = report.table();
        assert!(table.contains("| 3.00 | 4.00 | refused | "), "{table}");
        let refused = "Refused: Dualcast, WebSocket, in 2 of 3 rounds: a message is missing.\n";
        assert!(table.ends_with(refused), "{table}");
        assert!(!report.is_whole());
    }

    #[test]
    fn figures_have_three_digits() {
        let texts = [1234.5, 99.4, 9.876, 0.5, 0.0123, 0.0].map(rounded);
        assert_eq!(texts, ["1234", "99.4", "9.88", "0.50", "0.012", "0"]);
    }
}
