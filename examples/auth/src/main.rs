//! cargo run -p auth
//!
//! One application whose users log in by cookie, by bearer token or by ticket, over either transport. Authentication is the
//! application's: its own extractor says who it is, and Dualcast is told whose session it is and until when.
//!
//! Users are `alice`, `bob` and `root`, who may do more; each has its name as its password. `LIFETIME_SECONDS` says how long a login is good
//! (300). Where TLS ends in front of it, set `SECURE_COOKIES`.

mod access;
mod accounts;
mod login;
mod page;
mod rooms;
mod user;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use dualcast::{Error, Hub, OriginPolicy, Rate, RateLimit};
use tokio::net::TcpListener;

use access::Access;

/// What the routes share.
#[derive(Clone)]
struct App {
    hub: Hub,
    access: Arc<Access>,
    /// How often a user may say something, over all its connections and POSTs.
    says: RateLimit,
    /// How often somebody may try a password for a name. So a stranger can keep a user from logging in by password, but not end a
    /// login; an application that knows its proxies counts by address, too.
    tries: RateLimit,
    are_cookies_secure: bool,
}

/// `Sse`, `Ws` and `Inbound` look at the origin themselves. What else changes something by a cookie has to do so, too.
async fn same_origin(request: Request, next: Next) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    OriginPolicy::same_origin().check(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::var("LIFETIME_SECONDS").unwrap_or("300".into());
    let hub = Hub::new();
    let access = Access::new(Duration::from_secs(seconds.parse()?));
    for (room, members) in accounts::ROOMS {
        let room = hub.channel(("room", room))?;
        for member in members {
            access.let_in(room.name(), member);
        }
    }
    let app = App {
        hub,
        access: Arc::new(access),
        says: RateLimit::new(Rate::per_second(20).burst(100)),
        tries: RateLimit::new(Rate::per_second(1).burst(20)),
        are_cookies_secure: std::env::var("SECURE_COOKIES").is_ok(),
    };
    let routes = Router::new()
        .merge(login::router())
        .merge(rooms::actions())
        .route_layer(middleware::from_fn(same_origin))
        .merge(rooms::streams())
        .merge(page::router())
        .with_state(app);

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, routes)
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
