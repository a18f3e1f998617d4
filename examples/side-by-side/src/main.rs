//! cargo run -p side-by-side
//!
//! One page, one channel, three panes: the browser's own Server-Sent Events and WebSocket, and Dualcast's client, side by side, and buttons
//! that do to them what networks do.

mod clock;
mod journal;
mod machine;
mod notes;
mod page;
mod pane;
mod routes;
mod wire;
mod wires;

use std::error::Error;
use std::sync::Arc;

use dualcast::Hub;
use tokio::net::TcpListener;

use clock::HurriedClock;
use journal::Journal;
use machine::Machine;
use routes::App;
use wires::Wires;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = HurriedClock::default();
    let hub = Hub::builder()
        .clock(clock.clone())
        .log(|log| {
            log.max_records = 5_000;
            log.max_age = clock::MAX_AGE;
        })
        .build()?;
    let journal = Arc::new(Journal::new(hub.channel("side-by-side")?));
    let machine = Arc::new(Machine::default());
    let wires = Wires::default();
    tokio::spawn(Arc::clone(&machine).tell(Arc::clone(&journal)));

    // The public address is the relay's; behind it the server listens where only this machine gets to.
    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    let inner = TcpListener::bind("127.0.0.1:0").await?;
    let server_address = inner.local_addr()?;
    eprintln!("listening on http://{}", listener.local_addr()?);

    let app = App {
        journal,
        machine,
        wires: wires.clone(),
        clock,
    };
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    let server = dualcast::serve(inner, routes::router(app))
        .options(|server| server.send_buffer_bytes = wire::BUFFER_BYTES)
        .with_graceful_shutdown(ctrl_c);
    tokio::select! {
        ended = server => ended?,
        () = wires.relay(listener, server_address) => {}
    }
    wires.finish().await;
    Ok(())
}
