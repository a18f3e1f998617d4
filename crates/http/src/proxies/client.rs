//! The address of the client, for whoever counts, limits or logs by it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::way::Way;
use crate::error::Error;

/// The address that a request came from: that of its connection, or of the client behind [trusted
/// proxies](crate::TrustedProxies). A proxy that hides its client stands for it.
///
/// ```
/// use dualcast_http::ClientAddress;
///
/// async fn hello(ClientAddress(address): ClientAddress) -> String {
///     format!("Hello {address}")
/// }
/// ```
///
/// As an extractor it fails where the server doesn't tell the address of its connections. `dualcast::serve` does; under
/// `axum::serve` use `app.into_make_service_with_connect_info::<SocketAddr>()`. As an `Option` it is None there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// The address that a request came from, as [`ClientAddress`] says. None where the server doesn't tell.
#[must_use]
pub fn client_address(parts: &Parts) -> Option<IpAddr> {
    Way::of(parts).client
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let address = client_address(parts).ok_or_else(|| {
            tracing::error!(
                "the address of a connection is unknown: use `dualcast::serve`, or \
                 `into_make_service_with_connect_info::<SocketAddr>()`"
            );
            let message = "something failed on the server";
            Error::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
        })?;
        Ok(Self(address))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(client_address(parts).map(Self))
    }
}
