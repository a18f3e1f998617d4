//! cargo run -p completions
//!
//! AI completions: a POST starts a run and streams it, to any client that reads OpenAI's API. A run outlives its client: who was
//! cut goes on with a GET, over Server-Sent Events or WebSocket, and gets every word once.
//!
//! curl -N http://127.0.0.1:3000/v1/chat/completions -H 'content-type: application/json' \
//!   -d '{"model":"parrot","stream":true,"messages":[{"role":"user","content":"to be or not to be"}]}'

mod chunk;
mod failure;
mod model;
mod routes;
mod run;

use std::error::Error;
use std::time::Duration;

use dualcast::Hub;
use tokio::net::TcpListener;

use run::Runs;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A run is read from its start by whoever comes late: so the log keeps all of the longest.
    let hub = Hub::builder()
        .log(|log| log.max_records = run::MAX_WORDS + 2)
        .build()?;
    let pace = std::env::var("PACE_MS")
        .ok()
        .and_then(|millis| millis.parse().ok());
    let runs = Runs::new(hub, Duration::from_millis(pace.unwrap_or(50)));

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, routes::router(runs))
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
