//! Taking the socket back: how a session gets it once every layer has had its say on the response's head.
//!
//! A response bears a [`Takeover`] in its extensions. Our server finds it, writes the head, takes the socket from hyper and
//! hands it over. Under any other server nobody looks, and the session goes out another way: so whatever is to be
//! handed over once, body or takeover, waits in a [`Slot`] for whoever comes first.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dualcast_core::SessionHandle;
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use crate::line::Line;

/// A value that one of several takes.
pub struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    /// A slot with a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    /// The value, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A socket taken back from hyper.
pub struct Taken {
    /// The way out, on which the response's head is staged already.
    pub line: Line<TcpStream>,
    /// What the client sent behind its request.
    pub read_ahead: Bytes,
}

type Start = Box<dyn FnOnce(Taken) -> BoxFuture<'static, ()> + Send>;

/// What a response says to a server that can hand over sockets. Goes into the response's extensions.
#[derive(Clone)]
pub struct Takeover {
    start: Slot<Start>,
    session: Option<SessionHandle>,
}

impl Takeover {
    /// A session that begins when it gets its socket.
    pub fn new<F>(
        session: Option<SessionHandle>,
        start: impl FnOnce(Taken) -> Option<F> + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let start: Start = Box::new(move |taken| match start(taken) {
            Some(session) => Box::pin(session),
            None => Box::pin(async {}),
        });
        Self {
            start: Slot::new(start),
            session,
        }
    }

    /// The session that will run, to tell it of a shutdown.
    #[must_use]
    pub fn session(&self) -> Option<&SessionHandle> {
        self.session.as_ref()
    }

    /// The session's start, for the first who asks.
    pub(crate) fn take(&self) -> Option<Start> {
        self.start.take()
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Stands in a request's extensions where the server hands over sockets.
#[derive(Debug, Clone, Copy)]
pub struct HandsOver;
