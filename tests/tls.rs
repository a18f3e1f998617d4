//! TLS for the tests: a server's certificate, made at the moment, and a client that trusts no other.

use std::fmt;
use std::io;
use std::sync::Arc;

use dualcast::rustls::pki_types::{PrivateKeyDer, ServerName};
use dualcast::rustls::{ClientConfig, RootCertStore, ServerConfig};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::matrix::HttpVersion;
use crate::socket::Socket;

/// A server's certificate, and who trusts it.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    roots: Arc<RootCertStore>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned()]).expect("a certificate is made");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("the key is the certificate's");
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).expect("it is a certificate");
        Self {
            server: Arc::new(server),
            roots: Arc::new(roots),
        }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Connects, and offers to speak one version of HTTP; which has to be agreed to.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn connect(&self, socket: Socket, version: HttpVersion) -> io::Result<TlsStream<Socket>> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        let protocol: &[u8] = match version {
            HttpVersion::Http1 => b"http/1.1",
            HttpVersion::Http2 => b"h2",
        };
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from(NAME).expect("it is a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        Ok(stream)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

const NAME: &str = "localhost";
