//! Taking the socket back: how a session gets it once every layer has had its say on the response's head.
//!
//! A response bears a [`Takeover`] in its extensions. Our server finds it, writes the head, takes the socket from hyper and
//! hands it over. Under any other server nobody looks, and the session goes out another way, as the response's body: so
//! what is to be said waits in a [`Slot`] for whoever comes first. A layer that throws the body away, or looks into it, has
//! emptied the slot, and the response is no session's any more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dualcast_core::{CloseReason, SessionHandle};
use futures::future::BoxFuture;

use crate::line::Line;
use crate::options::SessionOptions;
use crate::socket::Socket;

/// A value that one of several takes. Boxed, so that the slot is small when it is empty.
pub struct Slot<T>(Arc<Mutex<Option<Box<T>>>>);

impl<T> Slot<T> {
    /// A slot with a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(value)))))
    }

    /// The value, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.map(|value| *value)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The way out of a request, which its session has from now on.
pub struct Taken {
    /// The way out: a socket, with the response's head staged already, or a stream on which that was sent.
    pub line: Line<Socket>,
    /// What the client sent behind its request.
    pub read_ahead: Bytes,
}

impl Taken {
    /// Whether it is one of several streams that share a connection (HTTP/2).
    #[must_use]
    pub fn is_stream(&mut self) -> bool {
        self.line.io().stream().is_some()
    }

    /// Lets the kernel know the session's bounds, too.
    #[must_use]
    pub fn bounded(mut self, options: &SessionOptions) -> Self {
        self.line.io().give_up_after(options.write_timeout);
        self
    }
}

/// A session that waits for its socket. It answers why it ended.
pub(crate) type Start = Box<dyn FnOnce(Taken) -> BoxFuture<'static, CloseReason> + Send>;

/// What a response says to a server that can hand over sockets. Goes into the response's extensions.
#[derive(Clone)]
pub struct Takeover {
    claim: Arc<dyn Claim>,
    session: Option<SessionHandle>,
}

trait Claim: Send + Sync {
    fn claim(&self) -> Option<Start>;
}

/// What waits for its socket, and how it begins.
struct Waiting<T, F> {
    slot: Slot<T>,
    start: fn(T, Taken) -> F,
}

impl<T, F> Claim for Waiting<T, F>
where
    T: Send + 'static,
    F: Future<Output = CloseReason> + Send + 'static,
{
    fn claim(&self) -> Option<Start> {
        let (value, start) = (self.slot.take()?, self.start);
        Some(Box::new(move |taken| Box::pin(start(value, taken))))
    }
}

impl Takeover {
    /// A session that begins when it gets its socket, with what waits in the slot.
    pub fn new<T, F>(session: Option<SessionHandle>, slot: Slot<T>, start: fn(T, Taken) -> F) -> Self
    where
        T: Send + 'static,
        F: Future<Output = CloseReason> + Send + 'static,
    {
        Self {
            claim: Arc::new(Waiting { slot, start }),
            session,
        }
    }

    /// The session that will run, to tell it of a shutdown.
    #[must_use]
    pub fn session(&self) -> Option<&SessionHandle> {
        self.session.as_ref()
    }

    /// The session, for the first who asks, unless its body was taken or thrown away.
    pub(crate) fn claim(&self) -> Option<Start> {
        self.claim.claim()
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
