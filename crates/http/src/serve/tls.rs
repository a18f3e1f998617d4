//! TLS: the handshake, and what is agreed on in it.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::serve::prefix::Prefix;
use crate::serve::server::Opened;
use crate::socket::Socket;

/// Accepts TLS connections.
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    /// A configuration that names no protocol is given ours (RFC 7301): browsers speak HTTP/2 only where they were told to.
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        let mut config = config;
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP_2.into(), HTTP_1_1.into()];
        }
        Self(config.into())
    }

    /// None where there is no agreement, or the client is gone before.
    pub(super) async fn open(&self, stream: TcpStream) -> Option<Opened> {
        let stream = match self.0.accept(stream).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return None;
            }
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Some(Opened {
            socket: Socket::from(stream),
            prefix: Prefix::default(),
            is_http2,
        })
    }
}

const HTTP_2: &[u8] = b"h2";

const HTTP_1_1: &[u8] = b"http/1.1";
