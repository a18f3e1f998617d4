//! What all questions have in common: the servers, a certificate, and how large everything is.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use dualcast::rustls::pki_types::CertificateDer;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::endpoint::{Endpoint, NAME};
use super::http::{Http1, Post};
use crate::process::Process;
use crate::scenarios;
use crate::server::{Running, Server};
use crate::servers::compared;

/// How large everything is.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// Of those that are measured one at a time.
    pub(crate) messages: u64,
    /// How many connections are opened, one after the other.
    pub(crate) openings: usize,
    /// How often what depends on the machine is measured.
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) latency: Duration,
    /// Of the scenarios that the suite has, too.
    pub(crate) scenarios: scenarios::Sizes,
    /// Connections of HTTP/2 that are idle, each with a hundred streams.
    pub(crate) idle_http2: usize,
    pub(crate) burst: usize,
    pub(crate) bursts: usize,
    pub(crate) slow: Duration,
    pub(crate) slow_rounds: usize,
    pub(crate) upstream: usize,
    /// Half the time a message wakes a core that sleeps, and half the time it doesn't, for a whole round: hence many short ones.
    pub(crate) upstream_rounds: usize,
    pub(crate) binary: usize,
    pub(crate) cuts: usize,
    pub(crate) corpus: usize,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        messages: 200,
        openings: 500,
        rounds: 3,
        connections: 100,
        latency: Duration::from_secs(4),
        scenarios: scenarios::Sizes::FULL,
        idle_http2: 90,
        burst: 1_000,
        bursts: 10,
        slow: Duration::from_secs(5),
        slow_rounds: 2,
        upstream: 800,
        upstream_rounds: 15,
        binary: 500,
        cuts: 20,
        corpus: 5_000,
    };

    pub(crate) const QUICK: Self = Self {
        messages: 10,
        openings: 10,
        rounds: 1,
        connections: 20,
        latency: Duration::from_millis(300),
        scenarios: scenarios::Sizes::QUICK,
        idle_http2: 5,
        burst: 100,
        bursts: 2,
        slow: Duration::from_secs(1),
        slow_rounds: 1,
        upstream: 50,
        upstream_rounds: 1,
        binary: 10,
        cuts: 2,
        corpus: 300,
    };
}

/// The servers, and the rest.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) sizes: Sizes,
    /// `examples/hello`.
    pub(crate) hello: Server,
    pub(crate) by_hand: Server,
    plain: Server,
    with_tls: Server,
    certificate: CertificateDer<'static>,
    /// Where the certificate's files are.
    _directory: TempDir,
}

/// A server that runs, and where.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) endpoint: Endpoint,
    pub(crate) process: Process,
    _running: Running,
}

impl Setting {
    pub(crate) fn new(sizes: Sizes) -> Result<Self> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned(), "127.0.0.1".to_owned()])?;
        let directory = tempfile::tempdir()?;
        let file = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, bytes)?;
            Ok::<_, anyhow::Error>(path.to_str().context("a path that is no text")?.to_owned())
        };
        let environment = vec![
            (compared::CERTIFICATE, file("certificate.der", cert.der())?),
            (compared::KEY, file("key.der", &signing_key.serialize_der())?),
        ];
        Ok(Self {
            sizes,
            hello: Server::hello()?,
            by_hand: Server::by_hand()?,
            plain: Server::compared(Vec::new())?,
            with_tls: Server::compared(environment)?,
            certificate: cert.der().clone(),
            _directory: directory,
        })
    }

    /// Starts the server that has everything, with TLS or without.
    pub(crate) fn start(&self, tls: bool) -> Result<Up> {
        let server = if tls { &self.with_tls } else { &self.plain };
        let running = server.start()?;
        Ok(Up {
            endpoint: Endpoint::new(running.target.address(), tls.then_some(&self.certificate))?,
            process: running.process,
            _running: running,
        })
    }

    /// The certificate's size, in bytes. A real one comes with that of who vouches for it.
    pub(crate) fn certificate_bytes(&self) -> usize {
        self.certificate.len()
    }
}

impl Up {
    /// Publishes so many messages, so that ids have as many digits as those of a hub that isn't new: four.
    pub(crate) async fn fill(&self) -> Result<Http1> {
        let mut publisher = Http1::connect(&self.endpoint).await?;
        for _ in 0..FILL {
            publisher.post(&Post::text("/publish", "-")).await?;
        }
        Ok(publisher)
    }
}

const FILL: usize = 1_000;

/// One thread for clients, as the generator has it.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
