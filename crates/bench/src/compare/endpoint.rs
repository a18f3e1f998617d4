//! Where clients connect to: an address, and who vouches for it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use dualcast::rustls::client::Resumption;
use dualcast::rustls::pki_types::{CertificateDer, ServerName};
use dualcast::rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::socket::Socket;

/// Whatever a client speaks over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A server: where it listens, and who vouches for it where it has TLS.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    trust: Option<Arc<RootCertStore>>,
}

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, certificate: Option<&CertificateDer<'static>>) -> Result<Self> {
        let mut trust = None;
        if let Some(certificate) = certificate {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone())?;
            trust = Some(Arc::new(roots));
        }
        Ok(Self { address, trust })
    }

    /// The same server, by another address: through a relay.
    pub(crate) fn by(&self, address: SocketAddr) -> Self {
        Self {
            address,
            trust: self.trust.clone(),
        }
    }

    pub(crate) fn origin(&self) -> String {
        let scheme = if self.trust.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What TLS is spoken with, if it is. Nothing of an earlier session helps: each handshake is a first one.
    pub(crate) fn connector(&self, is_http2: bool) -> Option<TlsConnector> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(Arc::clone(self.trust.as_ref()?))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![if is_http2 {
            b"h2".into()
        } else {
            b"http/1.1".into()
        }];
        Some(TlsConnector::from(Arc::new(config)))
    }

    pub(crate) async fn speak_over(
        &self,
        socket: Socket,
        connector: Option<&TlsConnector>,
    ) -> Result<Box<dyn Io>> {
        let Some(connector) = connector else {
            return Ok(Box::new(socket));
        };
        let stream = connector.connect(ServerName::try_from(NAME)?, socket).await?;
        let session = stream.get_ref().1;
        ensure!(
            session.protocol_version() == Some(dualcast::rustls::ProtocolVersion::TLSv1_3),
            "the server spoke {:?}",
            session.protocol_version()
        );
        ensure!(session.alpn_protocol().is_some(), "no protocol was agreed on");
        Ok(Box::new(stream))
    }
}
