//! Streams that the application takes over by itself (RFC 8441), by axum's `WebSocketUpgrade` or any `hyper::upgrade::on`.
//!
//! What it waits for only hyper can make, and hyper has no part in this connection. So a small one of HTTP/1.1 is held with it in memory, where a
//! request asks for an upgrade: whoever is granted that has one end of the memory, and the stream is joined to the other.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use axum::http::{Request, Response, StatusCode, header};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::sync::oneshot;
use tokio::time;

use super::GOODBYE;
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

    /// Grants it, and carries what is said to and fro until both have ended, or the application has and the client takes too long over it.
    pub(super) async fn carry(self, stream: StreamSocket) {
        let Self {
            connection,
            grant,
            mut outside,
        } = self;
        if grant.send(()).is_err() {
            return;
        }
        connection.await;
        if skip_head(&mut outside).await.is_err() {
            return;
        }
        let (mut from_app, mut to_app) = split(outside);
        let (mut from_client, mut to_client) = split(stream);
        let out = async {
            copy(&mut from_app, &mut to_client).await?;
            to_client.shutdown().await
        };
        let back = async {
            copy(&mut from_client, &mut to_app).await?;
            to_app.shutdown().await
        };
        let (mut out, mut back) = (pin!(out), pin!(back));
        tokio::select! {
            said = &mut out => if said.is_ok() {
                drop(time::timeout(GOODBYE, back).await);
            },
            heard = &mut back => if heard.is_ok() {
                drop(out.await);
            },
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
