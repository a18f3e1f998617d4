//! What a delivery costs the server: the suite's fan-out, over each transport.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::row;
use super::setting::Setting;
use crate::figure::Figure;
use crate::scenarios::Scenario;
use crate::target::Transport;

#[derive(Serialize)]
struct Case {
    transport: Transport,
    connections: usize,
    round: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.transport.name())
    }
}

#[derive(Debug, Serialize)]
struct Figures {
    figures: Vec<Figure>,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let sizes = &setting.sizes.scenarios;
    for round in 0..setting.sizes.rounds {
        for transport in Transport::ALL {
            let figures = Scenario::FanOut.run(&setting.hello, Some(transport), sizes);
            let case = Case {
                transport,
                connections: sizes.connections,
                round,
            };
            rows.push(row(case, figures.map(|figures| Figures { figures }))?);
        }
    }
    Ok(rows)
}
