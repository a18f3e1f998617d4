//! The server: like `axum::serve`, but a session gets the socket, or over HTTP/2 the stream, that its request came by.
//!
//! hyper parses the requests and writes the ordinary responses. When a response is a session's, hyper has nothing left
//! to do for it but would keep its buffers, hold up a shutdown, and never give up on a client that stalls. So the
//! socket is taken back from it. Over HTTP/2 many requests share a socket: h2 has that to the end, and each request's stream is ours.

mod answer;
mod caller;
mod exchange;
mod gathering;
mod handle;
mod handoff;
mod http1;
mod http2;
mod loan;
mod lull;
mod options;
mod places;
mod prefix;
mod request_body;
mod requests;
mod running;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod traffic;
mod upgrades;

use std::future::{self, IntoFuture};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::FutureExt;
use futures::future::BoxFuture;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time;

pub use handle::ServerHandle;
pub use options::{Http2Options, ServerOptions};
pub(crate) use server::lock;

use server::Server;

use crate::socket;

/// Serves an application, over HTTP/1.1 and HTTP/2.
///
/// ```no_run
/// # async fn run(app: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// dualcast_http::serve(listener, app).await
/// # }
/// ```
pub fn serve(listener: TcpListener, app: Router) -> Serve {
    Serve {
        listener,
        app,
        options: ServerOptions::default(),
        #[cfg(feature = "tls")]
        tls: None,
        shutdown: future::pending().boxed(),
    }
}

/// A server about to run: `await` it.
#[must_use = "a server runs when it is awaited"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    options: ServerOptions,
    #[cfg(feature = "tls")]
    tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    shutdown: BoxFuture<'static, ()>,
}

impl Serve {
    /// Shuts down in good order once `signal` is done: accepts no more, tells every session why it ends, lets ordinary requests
    /// finish, and returns with nothing left behind. What the application upgraded by itself is not waited for: its sockets are shut
    /// at the end.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = signal.boxed();
        self
    }

    /// Changes its [bounds](ServerOptions): `.options(|o| o.backlog = 1_024)`.
    pub fn options(mut self, change: impl FnOnce(&mut ServerOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Encrypts every connection, and lets its client choose between HTTP/2 and HTTP/1.1 (ALPN) where the configuration names no
    /// protocols. With the feature `tls`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<tokio_rustls::rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    async fn run(self) -> io::Result<()> {
        let Self {
            listener,
            app,
            options,
            #[cfg(feature = "tls")]
            tls,
            shutdown,
        } = self;
        SockRef::from(&listener).listen(options.backlog)?;
        let server = Server::new(app, options);
        #[cfg(feature = "tls")]
        let server = server.with_tls(tls.map(tls::Tls::new));
        let server = Arc::new(server);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => match prepare(&stream, &server.options) {
                        Ok(()) => server.accept(stream, address),
                        Err(error) => tracing::debug!(%error, "a connection was gone before it was served"),
                    },
                    Err(error) => rest_after(&error).await,
                },
            }
        }
        drop(listener);
        server.drain().await;
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = BoxFuture<'static, io::Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

fn prepare(stream: &TcpStream, options: &ServerOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket::give_up_after(stream, options.write_timeout);
    SockRef::from(stream).set_send_buffer_size(options.send_buffer_bytes)
}

/// A connection may be gone before it is accepted, which is nothing; without file descriptors there is nothing to do but wait.
async fn rest_after(error: &io::Error) {
    let is_connections_own = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !is_connections_own {
        tracing::error!(%error, "can't accept connections");
        time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_prepared_before_it_is_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (_client, accepted) = tokio::join!(connecting, listener.accept());
        let (stream, _) = accepted.unwrap();
        let options = ServerOptions::default();
        prepare(&stream, &options).unwrap();
        let socket = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap());
        assert!(socket.send_buffer_size().unwrap() >= options.send_buffer_bytes);
        assert!(socket.send_buffer_size().unwrap() <= 2 * options.send_buffer_bytes);
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(2 * options.write_timeout)
        );
    }
}
