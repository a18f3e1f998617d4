//! What a session may ask of the server that its request came to, and what of the stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dualcast_core::{CloseReason, SessionHandle};

use crate::cut::{self, Cut};
use crate::serve::server::Server;

/// Stands in a request's extensions where `dualcast::serve` is the server.
#[derive(Clone)]
pub struct ServerHandle {
    server: Arc<Server>,
    hands_over: bool,
}

impl ServerHandle {
    pub(super) fn new(server: Arc<Server>, hands_over: bool) -> Self {
        Self { server, hands_over }
    }

    /// Whether a session may have the socket that the request came by.
    #[must_use]
    pub fn hands_over(&self) -> bool {
        self.hands_over
    }

    /// Runs a session on a connection that hyper keeps: the server tells it of a shutdown, and is not over before it is.
    pub fn spawn(&self, session: Option<SessionHandle>, run: impl Future<Output = ()> + Send + 'static) {
        self.server.spawn(session, run);
    }

    /// The stream of HTTP/2 that the request came by.
    #[must_use]
    pub fn stream(&self) -> Option<Stream> {
        let cut = cut::current()?;
        let server = Arc::clone(&self.server);
        Some(Stream { server, cut })
    }

    /// Lets something go on that its session began and did not live to see. The server is not over before it is, but waits no longer
    /// than [`ServerOptions::handler_grace`](crate::ServerOptions::handler_grace) after its drain.
    pub fn let_finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.server.let_finish(work);
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("hands_over", &self.hands_over)
            .finish_non_exhaustive()
    }
}

/// A stream of HTTP/2, which hyper keeps for as long as its client takes nothing.
pub struct Stream {
    server: Arc<Server>,
    cut: Cut,
}

impl Stream {
    /// From now on it ends with the session that has it.
    #[must_use]
    pub fn held(self) -> HeldStream {
        HeldStream {
            server: self.server,
            cut: Some(self.cut),
        }
    }
}

/// A stream that a session has. Dropped, it is reset, and what is not sent is lost.
pub struct HeldStream {
    server: Arc<Server>,
    /// None where its session is over.
    cut: Option<Cut>,
}

impl HeldStream {
    /// Its session is over. What hyper took before its client still gets, unless it takes too long over it.
    pub fn ended(mut self, reason: CloseReason) {
        if reason == CloseReason::Stalled {
            return;
        }
        // With its connection it is over at once.
        if let Some(cut) = self.cut.take() {
            self.server.tasks.spawn(cut.cut_after(LINGER));
        }
    }
}

impl Drop for HeldStream {
    fn drop(&mut self) {
        if let Some(cut) = &self.cut {
            cut.cut();
        }
    }
}

/// For how long a client of HTTP/2 may take what was sent to it when its session is over already. The kernel does the same for a
/// socket that is closed.
const LINGER: Duration = Duration::from_secs(5);
