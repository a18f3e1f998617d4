//! The transports, side by side: over the same server and the same channel, Server-Sent Events over HTTP/1.1 and HTTP/2, and WebSocket.
//!
//! A question a file. Each answers rows, and a row has its figures or says why it has none: a message that was lost, doubled or out of order
//! refuses it. `docs/comparison.md` shows them.

mod binary;
mod burst;
mod bytes;
mod client;
mod compression;
mod cpu;
mod cut;
mod endpoint;
mod first;
mod http;
mod latency;
mod manners;
mod memory;
mod opening;
mod said;
mod seen;
mod setting;
mod silence;
mod slow;
mod socket;
mod upstream;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::report::Machine;

use setting::{Setting, Sizes};
use silence::Silence;

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Where to write everything that was measured
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Only these questions; what the file has of others is kept
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Question>,
    /// Small and short: to see whether it runs, not what is better
    #[arg(long)]
    quick: bool,
}

/// What is asked, in the order of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Question {
    /// What goes over the wire for a message
    Bytes,
    /// What it takes until a stream is open
    Opening,
    /// What goes over the wire while there is nothing to say
    Silence,
    /// How soon a newcomer has what it missed
    FirstMessage,
    /// How late a message is, at fixed rates
    Latency,
    /// What a delivery costs the server
    Cpu,
    /// What an idle connection costs the server
    Memory,
    /// A thousand messages at once
    Burst,
    /// One client on a slow link, beside others
    Slow,
    /// From a client to the server
    Upstream,
    /// Bytes that are no text
    Binary,
    /// What clients lose whose connection is cut
    Cut,
    /// What compression would save
    Compression,
}

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    machine: Value,
    versions: Value,
    is_quick: bool,
    questions: BTreeMap<Question, Answer>,
}

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// When it was asked, as HTTP writes dates.
    at: String,
    took_seconds: f64,
    /// As they are written: a number that is read and written once more may differ in its last digit.
    rows: Vec<Box<RawValue>>,
}

impl Compare {
    /// Asks everything, one question after the other, and listens to silent streams meanwhile.
    pub(crate) fn run(self) -> Result<()> {
        let sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        let setting = Setting::new(sizes)?;
        let mut report = self.report()?;
        // Whatever can't be written is found before minutes have passed.
        report.write(&self.json)?;
        let silence = match self.asks(Question::Silence) {
            true => Some((SystemTime::now(), Instant::now(), Silence::begin(&setting)?)),
            false => None,
        };
        let mut questions: Vec<_> = Question::value_variants().to_vec();
        questions.retain(|question| self.asks(*question) && *question != Question::Silence);
        for question in questions {
            eprintln!("{question:?}");
            let (at, began) = (SystemTime::now(), Instant::now());
            let rows = question.ask(&setting)?;
            report.answer(question, at, began, &rows)?;
            report.write(&self.json)?;
        }
        if let Some((at, began, silence)) = silence {
            eprintln!("{:?}", Question::Silence);
            report.answer(Question::Silence, at, began, &silence.end()?)?;
            report.write(&self.json)?;
        }
        ensure!(
            report.is_whole(),
            "something was refused: {} says what, and why",
            self.json.display()
        );
        Ok(())
    }

    fn asks(&self, question: Question) -> bool {
        self.only.is_empty() || self.only.contains(&question)
    }

    /// A new one, or the one that is there, of which some questions are asked again.
    fn report(&self) -> Result<Report> {
        let machine = serde_json::to_value(Machine::this())?;
        let mut questions = BTreeMap::new();
        if !self.only.is_empty() && self.json.exists() {
            let text = fs::read_to_string(&self.json)?;
            let before: Report = serde_json::from_str(&text)
                .with_context(|| format!("{} is none of ours", self.json.display()))?;
            ensure!(
                before.is_quick == self.quick,
                "{} was measured with another size: with --quick, or without",
                self.json.display()
            );
            ensure!(
                before.machine == machine,
                "{} was measured on another machine",
                self.json.display()
            );
            questions = before.questions;
        }
        Ok(Report {
            machine,
            versions: serde_json::to_value(versions())?,
            is_quick: self.quick,
            questions,
        })
    }
}

impl Question {
    fn ask(self, setting: &Setting) -> Result<Vec<Value>> {
        match self {
            Self::Bytes => bytes::ask(setting),
            Self::Opening => opening::ask(setting),
            Self::Silence => Silence::begin(setting)?.end(),
            Self::FirstMessage => first::ask(setting),
            Self::Latency => latency::ask(setting),
            Self::Cpu => cpu::ask(setting),
            Self::Memory => memory::ask(setting),
            Self::Burst => burst::ask(setting),
            Self::Slow => slow::ask(setting),
            Self::Upstream => upstream::ask(setting),
            Self::Binary => binary::ask(setting),
            Self::Cut => cut::ask(setting),
            Self::Compression => compression::ask(setting),
        }
    }
}

impl Report {
    fn answer(&mut self, question: Question, at: SystemTime, began: Instant, rows: &[Value]) -> Result<()> {
        let answer = Answer {
            at: httpdate::fmt_http_date(at),
            took_seconds: began.elapsed().as_secs_f64(),
            rows: rows.iter().map(to_raw_value).collect::<Result<_, _>>()?,
        };
        self.questions.insert(question, answer);
        Ok(())
    }

    fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.text()?).with_context(|| format!("can't write {}", path.display()))
    }

    /// As JSON, a row a line: so a difference shows what was measured otherwise.
    fn text(&self) -> Result<String> {
        let json = |value: &Value| serde_json::to_string(value);
        let mut questions = Vec::new();
        for (question, answer) in &self.questions {
            let rows: Vec<_> = answer.rows.iter().map(|row| row.get()).collect();
            questions.push(format!(
                "    {}: {{\n      \"at\": {},\n      \"took_seconds\": {:.1},\n      \"rows\": [\n        {}\n      ]\n    }}",
                serde_json::to_string(question)?,
                serde_json::to_string(&answer.at)?,
                answer.took_seconds,
                rows.join(",\n        ")
            ));
        }
        Ok(format!(
            "{{\n  \"machine\": {},\n  \"versions\": {},\n  \"is_quick\": {},\n  \"questions\": {{\n{}\n  }}\n}}\n",
            json(&self.machine)?,
            json(&self.versions)?,
            self.is_quick,
            questions.join(",\n")
        ))
    }

    /// Whether every row has figures.
    fn is_whole(&self) -> bool {
        let mut rows = self.questions.values().flat_map(|answer| &answer.rows);
        rows.all(|row| serde_json::from_str::<Value>(row.get()).is_ok_and(|row| row.get(REFUSED).is_none()))
    }
}

const REFUSED: &str = "refused";

/// A row: what sets it apart from others, with its figures or the reason why it has none.
fn row<T: Serialize>(case: impl Serialize + Display, figures: Result<T>) -> Result<Value> {
    let mut row = serde_json::to_value(&case)?;
    let figures = match figures {
        Ok(figures) => serde_json::to_value(figures)?,
        Err(error) => {
            eprintln!("refused: {case}: {error:#}");
            serde_json::json!({ REFUSED: format!("{error:#}") })
        }
    };
    let (Value::Object(row_fields), Value::Object(figures)) = (&mut row, figures) else {
        anyhow::bail!("a row is an object");
    };
    row_fields.extend(figures);
    Ok(row)
}

/// What was measured, by the lock file of the build, and what it was built with.
fn versions() -> BTreeMap<&'static str, String> {
    const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));
    let mut versions: BTreeMap<_, _> = ["dualcast", "tokio", "axum", "hyper", "h2", "rustls", "flate2"]
        .into_iter()
        .filter_map(|name| Some((name, locked(LOCK, name)?)))
        .collect();
    let rustc = Command::new("rustc").arg("--version").output();
    if let Ok(rustc) = rustc {
        versions.insert("rustc", String::from_utf8_lossy(&rustc.stdout).trim().into());
    }
    versions
}

/// The version of a package in a lock file: of the only one, or of the first.
fn locked(lock: &str, name: &str) -> Option<String> {
    let (_, package) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    Some(package.split('"').next()?.into())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::compare::client::Way;
    use crate::target::Transport;

    #[test]
    fn a_row_has_its_figures_or_the_reason_why_it_has_none() {
        #[derive(Serialize)]
        struct Figures {
            p50: f64,
        }
        let way = Way {
            transport: Transport::SseHttp2,
            tls: true,
        };
        let measured = row(way, Ok(Figures { p50: 0.5 })).unwrap();
        let expected = serde_json::json!({ "transport": "sse-http2", "tls": true, "p50": 0.5 });
        assert_eq!(measured, expected);
        let refused = row::<Figures>(way, Err(anyhow!("message 6 after 4"))).unwrap();
        assert_eq!(refused[REFUSED], "message 6 after 4");
        let mut report = Report {
            machine: Value::Null,
            versions: Value::Null,
            is_quick: true,
            questions: BTreeMap::new(),
        };
        let (at, began) = (SystemTime::now(), Instant::now());
        report.answer(Question::Bytes, at, began, &[measured]).unwrap();
        assert!(report.is_whole());
        let rows = [refused];
        report.answer(Question::FirstMessage, at, began, &rows).unwrap();
        assert!(!report.is_whole());
        let again: Report = serde_json::from_str(&report.text().unwrap()).unwrap();
        assert_eq!(again.text().unwrap(), report.text().unwrap());
        assert!(!again.is_whole());
    }

    #[test]
    fn the_versions_are_those_of_the_build() {
        let versions = versions();
        assert_eq!(versions["dualcast"], env!("CARGO_PKG_VERSION"));
        for name in ["hyper", "h2", "rustls"] {
            assert!(versions[name].contains('.'), "{versions:?}");
        }
    }
}
