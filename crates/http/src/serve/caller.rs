//! Callers: what every request of a connection is told about where it came from.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::http::uri::Scheme;

use crate::socket::Socket;

/// Who is at the other end, and how it came.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    address: SocketAddr,
    is_encrypted: bool,
}

impl Caller {
    pub(super) fn new(address: SocketAddr, socket: &Socket) -> Self {
        Self {
            address,
            is_encrypted: socket.is_encrypted(),
        }
    }

    /// Tells a request. Without encryption nothing is said of the scheme: a proxy may have taken it off.
    pub(super) fn introduce(self, request: &mut Extensions) {
        request.insert(ConnectInfo(self.address));
        if self.is_encrypted {
            request.insert(Scheme::HTTPS);
        }
    }
}
