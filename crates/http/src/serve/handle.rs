//! What a session may ask of the server that its request came to.

use std::fmt;
use std::sync::Arc;

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

    /// Whether a session may have the socket, or the stream, that the request came by.
    #[must_use]
    pub fn hands_over(&self) -> bool {
        self.hands_over
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
