//! cargo run -p migrating
//!
//! One room, as an application has it before it moves from one transport to the other, while it moves, and afterwards: the stages of
//! docs/migrating.md, beside each other. In an application they have one address; here each has its own, and all of them one channel.

mod app;
mod both;
mod event_stream;
mod web_socket;

use axum::Router;
use axum::routing::get;
use dualcast::Hub;

use app::App;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App {
        room: Hub::new().channel("room")?,
    };
    let router = Router::new()
        .route("/", get("Open this page's console."))
        .merge(web_socket::routes())
        .merge(both::routes())
        .merge(event_stream::routes())
        .with_state(app)
        .merge(dualcast::client_js());

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, router)
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
