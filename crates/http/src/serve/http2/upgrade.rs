//! Streams that the application takes over by itself (RFC 8441), by axum's `WebSocketUpgrade` or any `hyper::upgrade::on`.
//!
//! What it waits for only hyper can make, and hyper has no part in this connection. So a small one of HTTP/1.1 is held with it in memory, where a
//! request asks for an upgrade: whoever is granted that has one end of the memory, and the stream is joined to the other.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Request, Response, StatusCode, header};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, copy, duplex, split};
use tokio::sync::oneshot;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::stream::StreamSocket;

/// An upgrade that the application may wait for, and that can be granted.
pub(super) struct Upgrade {
    /// The connection with hyper.
    connection: BoxFuture<'static, ()>,
    grant: oneshot::Sender<()>,
    outside: DuplexStream,
}

impl Upgrade {
    /// What goes into the request, and what grants it.
    pub(super) async fn offer() -> Option<(OnUpgrade, Self)> {
        let (inside, mut outside) = duplex(MAX_WAITING_BYTES);
        let ((ask, asked), (grant, granted)) = (oneshot::channel(), oneshot::channel());
        let once = Mutex::new(Some((ask, granted)));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let once = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            let granted = once.map(|(ask, granted)| {
                drop(ask.send(hyper::upgrade::on(&mut request)));
                granted
            });
            async { respond(granted).await }
        });
        let mut connection = http1::Builder::new()
            .serve_connection(TokioIo::new(inside), service)
            .with_upgrades()
            .map(drop)
            .boxed();
        outside.write_all(REQUEST).await.ok()?;
        let on_upgrade = tokio::select! {
            asked = asked => asked.ok()?,
            () = &mut connection => return None,
        };
        let upgrade = Self {
            connection,
            grant,
            outside,
        };
        Some((on_upgrade, upgrade))
    }

    /// Grants it, and carries what is said to and fro until both have ended, or the client is gone.
    pub(super) async fn carry(self, stream: StreamSocket) {
        let Self {
            connection,
            grant,
            mut outside,
        } = self;
        let lane = Arc::clone(stream.lane());
        let gone = poll_fn(|cx| lane.outlet().poll_reset(cx));
        let carried = async {
            if grant.send(()).is_err() {
                return;
            }
            connection.await;
            if skip_head(&mut outside).await.is_err() {
                return;
            }
            let (mut from_app, to_app) = split(outside);
            let (from_client, mut to_client) = split(stream);
            let has_said_all = CancellationToken::new();
            let said = async {
                if copy(&mut from_app, &mut to_client).await.is_ok() {
                    drop(lane.outlet().end());
                }
                has_said_all.cancel();
            };
            // An error of the one is no end of the other: what the application said last is to arrive, though it hears no more.
            tokio::join!(said, hear(from_client, to_app, &has_said_all));
        };
        tokio::select! {
            () = gone => {}
            () = carried => {}
        }
    }
}

/// Carries what the client says, until it says no more, or the application is gone: whether that is, once it has said its last, is to be found out
/// by writing to it.
async fn hear(
    mut client: ReadHalf<StreamSocket>,
    mut app: WriteHalf<DuplexStream>,
    has_said_all: &CancellationToken,
) {
    let mut looks = time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = vec![0; 4 << 10];
    loop {
        let count = tokio::select! {
            read = client.read(&mut heard) => match read {
                Ok(0) | Err(_) => break drop(app.shutdown().await),
                Ok(count) => count,
            },
            _ = has_said_all.cancelled().then(|()| looks.tick()) => 0,
        };
        let written = match count {
            0 => app.write(&[]).await.map(drop),
            _ => app.write_all(&heard[..count]).await,
        };
        if written.is_err() {
            return;
        }
    }
}

async fn respond(granted: Option<oneshot::Receiver<()>>) -> io::Result<Response<String>> {
    let is_granted = match granted {
        Some(granted) => granted.await.is_ok(),
        None => false,
    };
    if !is_granted {
        return Err(ErrorKind::ConnectionAborted.into());
    }
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for name in [header::CONNECTION, header::UPGRADE] {
        response.headers_mut().insert(name, header::UPGRADE.into());
    }
    Ok(response)
}

/// Behind hyper's answer comes what the application says.
async fn skip_head(stream: &mut DuplexStream) -> io::Result<()> {
    let mut last = [0; 4];
    while last != *b"\r\n\r\n" {
        last.rotate_left(1);
        last[3] = stream.read_u8().await?;
    }
    Ok(())
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: upgrade\r\n\r\n";

/// How much may wait on its way to the application, and on its way from it, in bytes.
const MAX_WAITING_BYTES: usize = 16 << 10;

/// How often it is looked whether an application is still there that has said its last.
const LOOK: Duration = Duration::from_secs(1);
