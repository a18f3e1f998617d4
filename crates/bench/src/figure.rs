//! Figures: what a scenario answers.

use serde::Serialize;

/// What is measured, and in which unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) direction: Direction,
}

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Less,
    More,
    /// It says what happened: a ratio means nothing.
    Neither,
}

const fn less(name: &'static str) -> Metric {
    Metric {
        name,
        direction: Direction::Less,
    }
}

const fn more(name: &'static str) -> Metric {
    Metric {
        name,
        direction: Direction::More,
    }
}

const fn told(name: &'static str) -> Metric {
    Metric {
        name,
        direction: Direction::Neither,
    }
}

pub(crate) const CPU_PER_DELIVERY: Metric = less("server CPU, µs a delivery");
pub(crate) const DELIVERIES: Metric = more("1,000 deliveries a second");
pub(crate) const LATENCY_P50: Metric = less("p50, ms");
pub(crate) const LATENCY_P95: Metric = less("p95, ms");
pub(crate) const LATENCY_P99: Metric = less("p99, ms");
pub(crate) const MEMORY_PER_CONNECTION: Metric = told("KiB each");
pub(crate) const MEMORY_PER_CHANNEL: Metric = less("KiB a quiet channel");
pub(crate) const CONNECTIONS: Metric = more("1,000 connections a second");
pub(crate) const CPU_PER_CONNECTION: Metric = less("server CPU, µs a connection");
pub(crate) const CPU_PER_POST: Metric = less("server CPU, µs a POST that nobody hears");
pub(crate) const SLOW: Metric = told("connections slower than 0.9 s");
pub(crate) const GENERATOR: Metric = told("the generator's share of a core, %");
pub(crate) const RESUMES: Metric = more("1,000 resumes a second");
pub(crate) const CPU_PER_RESUME: Metric = less("server CPU, µs a resume");
pub(crate) const LATE: Metric = told("deliveries later than 5 s");
pub(crate) const SHARE: Metric = told("%");
pub(crate) const PUBLISHES: Metric = more("million messages a second");

pub(crate) const ACKED: Metric = more("1,000 messages a second");
pub(crate) const CPU_PER_MESSAGE: Metric = less("CPU, µs a message");
pub(crate) const BROKER_CPU_PER_MESSAGE: Metric = less("the broker's CPU, µs a message");
pub(crate) const RECORDS: Metric = more("1,000 records a second");
pub(crate) const CPU_PER_RECORD: Metric = less("CPU, µs a record");
pub(crate) const BROKER_REQUESTS: Metric = told("messages that the broker got meanwhile");

/// One measured value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What sets it apart from others of the scenario: "32 in flight".
    pub(crate) case: String,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

impl Figure {
    pub(crate) fn new(case: &str, metric: Metric, value: f64) -> Self {
        Self {
            case: case.into(),
            metric,
            value,
        }
    }
}
