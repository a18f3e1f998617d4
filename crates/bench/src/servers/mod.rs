//! The servers that stand beside Dualcast: the limit, and what one would write by hand.
//!
//! All listen on the address in `ADDR`, say where on standard error, and have the routes `/{channel}/sse`, `/{channel}/ws` and
//! `POST /{channel}/publish`.

pub(crate) mod by_hand;
pub(crate) mod compared;
pub(crate) mod floor;
pub(crate) mod rooms;
pub(crate) mod streams;

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;

/// What stands before the number in an id, so that ids are as long as Dualcast's.
const EPOCH: &str = "0k3f9x2abz-";

/// Where a server listens.
fn address() -> String {
    std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into())
}

/// Runs a server on tokio's threads, until the process is ended.
fn run(
    app: impl AsyncFnOnce() -> Result<Router>,
    serve: impl AsyncFnOnce(TcpListener, Router) -> std::io::Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = app().await?;
        let listener = TcpListener::bind(address()).await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        serve(listener, app).await?;
        Ok(())
    })
}
