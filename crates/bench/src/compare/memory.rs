//! What an idle connection costs the server: the suite's scenario over each transport, and HTTP/2 as a proxy has it, with many streams a
//! connection.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use h2::RecvStream;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::client::Asked;
use super::endpoint::Endpoint;
use super::http::{Http1, Http2, Post};
use super::row;
use super::said::Reader;
use super::setting::{Setting, runtime};
use crate::load::{PATIENCE, payload};
use crate::scenarios::{Scenario, kibibytes_each};
use crate::target::Transport;

/// How many streams share a connection.
const STREAMS: usize = 100;
/// How long a server gets to come to rest.
const REST: Duration = Duration::from_secs(1);
const PAYLOAD: usize = 128;

#[derive(Serialize)]
struct Case {
    transport: Transport,
    streams_a_connection: usize,
    streams: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} a connection",
            self.transport.name(),
            self.streams_a_connection
        )
    }
}

/// KiB a stream.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    never_used: f64,
    after_a_message: f64,
}

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let sizes = &setting.sizes.scenarios;
    for transport in Transport::ALL {
        let case = Case {
            transport,
            streams_a_connection: 1,
            streams: sizes.idle_connections,
        };
        let measured = Scenario::Idle.run(&setting.hello, Some(transport), sizes);
        let figures = measured.and_then(|figures| {
            let [idle, used] = &figures[..] else {
                anyhow::bail!("the scenario has other figures by now");
            };
            Ok(Figures {
                never_used: idle.value,
                after_a_message: used.value,
            })
        });
        rows.push(row(case, figures)?);
    }
    let case = Case {
        transport: Transport::SseHttp2,
        streams_a_connection: STREAMS,
        streams: setting.sizes.idle_http2 * STREAMS,
    };
    rows.push(row(case, shared(setting))?);
    Ok(rows)
}

fn shared(setting: &Setting) -> Result<Figures> {
    let running = setting.hello.start()?;
    let endpoint = Endpoint::new(running.target.address(), None)?;
    let connections = setting.sizes.idle_http2;
    runtime()?.block_on(async {
        let before = running.process.resident()?;
        let (mut held, mut streams) = (Vec::new(), Vec::new());
        for _ in 0..connections {
            let (connection, _) = Http2::connect(&endpoint).await?;
            for _ in 0..STREAMS {
                let asked = Asked::bare(Transport::SseHttp2);
                streams.push((
                    connection.stream(&endpoint, &asked).await?,
                    Reader::of(Transport::SseHttp2),
                ));
            }
            held.push(connection);
        }
        sleep(REST).await;
        let idle = running.process.resident()?;
        let mut publisher = Http1::connect(&endpoint).await?;
        let text = payload(1, PAYLOAD);
        publisher.post(&Post::text("/publish", &text)).await?;
        for (stream, reader) in &mut streams {
            timeout(PATIENCE, message(stream, reader, &text))
                .await
                .context("a stream was not told")??;
        }
        sleep(REST).await;
        let used = running.process.resident()?;
        let each = |now: u64| kibibytes_each(now as i64 - before as i64, connections * STREAMS);
        Ok(Figures {
            never_used: each(idle),
            after_a_message: each(used),
        })
    })
}

async fn message(stream: &mut RecvStream, reader: &mut Reader, expected: &str) -> Result<()> {
    loop {
        while let Some(said) = reader.next()? {
            if !said.is_notice {
                ensure!(said.text == expected, "something else came: {:?}", said.text);
                return Ok(());
            }
        }
        let piece = stream.data().await.context("the stream is over")??;
        stream.flow_control().release_capacity(piece.len())?;
        reader.feed(&piece);
    }
}
