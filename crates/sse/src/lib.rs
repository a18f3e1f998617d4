//! Server-Sent Events for Dualcast: an axum extractor that answers with an event stream.
//!
//! What goes out is the event stream format of the HTML standard (section 9.2). Any client of it works: `curl -N`, a
//! browser's `EventSource`. It resumes by the standard's own `Last-Event-ID`.

//!
//! # Testing a route
//!
//! A stream of a channel has no end: finish the channel before you read it to there.
//!
//! ```
//! use axum::body::{Body, to_bytes};
//! use axum::{Router, extract::State, http::Request, response::Response, routing::get};
//! use dualcast_core::{Channel, Hub, Message};
//! use dualcast_sse::Sse;
//! use tower::ServiceExt;
//!
//! async fn prices(State(channel): State<Channel>, sse: Sse) -> Response {
//!     sse.subscribe(channel)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let channel = Hub::new().channel("prices")?;
//! let app = Router::new().route("/prices", get(prices)).with_state(channel.clone());
//! let response = app.oneshot(Request::get("/prices").body(Body::empty())?).await?;
//! channel.publish(Message::text("price", "1.1")).await?;
//! channel.finish().await?;
//! let stream = to_bytes(response.into_body(), usize::MAX).await?;
//! assert!(std::str::from_utf8(&stream)?.contains("event: price\ndata: 1.1\n\n"));
//! # Ok(())
//! # }
//! ```

mod extract;
mod field;
mod options;
mod peer;
mod wire;

pub use extract::Sse;
pub use options::{CHANNEL_HEADER, HeartbeatAs, SseOptions};
