//! Streams that the application takes over by itself (RFC 8441), by axum's `WebSocketUpgrade` or any `hyper::upgrade::on`.
//!
//! What it waits for only hyper can make, and hyper has no part in this connection. So a small one of HTTP/1.1 is held with it in memory, where a
//! request asks for an upgrade: whoever is granted that has one end of the memory, and the stream is joined to the other.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::http::{Request, Response, StatusCode, header};
use futures::FutureExt;
use futures::future::BoxFuture;
use h2::Reason;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf, copy,
    duplex, split,
};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::serve::server::Server;
use crate::stream::StreamSocket;

/// An upgrade that the application may wait for, and that can be granted.
pub(super) struct Upgrade {
    /// The connection with hyper.
    connection: BoxFuture<'static, ()>,
    grant: oneshot::Sender<()>,
    outside: DuplexStream,
    /// The application has dropped the connection.
    dropped: CancellationToken,
}

impl Upgrade {
    /// What goes into the request, and what grants it.
    pub(super) async fn offer() -> Option<(OnUpgrade, Self)> {
        let (inside, mut outside) = duplex(MAX_WAITING_BYTES);
        let dropped = CancellationToken::new();
        let inside = Inside {
            stream: inside,
            _dropped: dropped.clone().drop_guard(),
        };
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
            dropped,
        };
        Some((on_upgrade, upgrade))
    }

    /// Grants it, and carries what is said to and fro until both have ended, or the application has dropped it, or the client or the server is gone.
    pub(super) async fn carry(self, stream: StreamSocket, server: &Server) {
        let Self {
            connection,
            grant,
            mut outside,
            dropped,
        } = self;
        let write_timeout = server.options.write_timeout;
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
            let (from_app, to_app) = split(outside);
            let (from_client, to_client) = split(stream);
            let too_late = async {
                dropped.cancelled().await;
                lane.outlet().stalled(write_timeout).await;
            };
            // An error of the one is no end of the other: what the application said last is to arrive, though it hears no more.
            let (is_whole, ()) = tokio::join!(
                say(from_app, to_client, too_late),
                hear(from_client, to_app, dropped.cancelled())
            );
            if !is_whole {
                lane.outlet().reset(Reason::CANCEL);
            }
        };
        tokio::select! {
            biased;
            // First: what a client has said that is gone is still heard.
            () = carried => {}
            () = gone => {}
            () = server.cut() => {}
        }
    }
}

/// The application's end, which tells when it is dropped.
struct Inside {
    stream: DuplexStream,
    _dropped: DropGuard,
}

impl AsyncRead for Inside {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Inside {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Carries what the application says, and answers whether all of it has left. Until when is the application's matter, as long as it has the connection.
async fn say(
    mut app: ReadHalf<DuplexStream>,
    mut client: WriteHalf<StreamSocket>,
    too_late: impl Future<Output = ()>,
) -> bool {
    let said = async {
        copy(&mut app, &mut client).await?;
        client.shutdown().await
    };
    tokio::select! {
        said = said => said.is_ok(),
        () = too_late => false,
    }
}

/// Carries what the client says, until it says no more, or nobody hears it.
async fn hear(
    mut client: ReadHalf<StreamSocket>,
    mut app: WriteHalf<DuplexStream>,
    dropped: impl Future<Output = ()>,
) {
    let heard = async {
        copy(&mut client, &mut app).await?;
        app.shutdown().await
    };
    tokio::select! {
        _ = heard => {}
        () = dropped => {}
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
