//! The user: who a request comes from, in one extractor for every way of showing it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dualcast::{Error, Identity};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::accounts::ADMINISTRATOR;

/// The cookie's name.
pub(crate) const COOKIE: &str = "login";

/// How a user showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A cookie: a browser sends it by itself, with each request, whichever page asks for it. So origins have to be checked.
    Cookie,
    /// A token in a header, or, since a browser can't set one on a WebSocket, among its subprotocols.
    Token,
    /// A ticket in the query, for clients that can do neither: an `EventSource` of another site. Queries stand in logs and
    /// histories, so it is good once, and soon no more.
    Ticket,
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// Until when.
    pub(crate) expires_at: SystemTime,
    /// How often it had been logged out everywhere when it logged in.
    pub(crate) logouts: u64,
}

impl User {
    /// Whose its sessions and messages are, however it logged in.
    pub(crate) fn identity(&self) -> Identity {
        Identity::new(Arc::clone(&self.name))
    }

    /// For how long yet.
    pub(crate) fn expires_in(&self) -> Duration {
        let left = self.expires_at.duration_since(SystemTime::now());
        left.unwrap_or_default()
    }

    /// What stood in a query opens a stream and says a message, and nothing that lasts longer.
    pub(crate) fn check_not_by_ticket(&self) -> Result<(), Error> {
        if self.kind == Kind::Ticket {
            let message = "a ticket is not enough for this: show a cookie or a token";
            return Err(Error::new(StatusCode::FORBIDDEN, "forbidden", message));
        }
        Ok(())
    }

    /// Whether it may do this to others.
    pub(crate) fn check_administrator(&self) -> Result<(), Error> {
        self.check_not_by_ticket()?;
        if &*self.name == ADMINISTRATOR {
            return Ok(());
        }
        let message = "only an administrator may do this";
        Err(Error::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}

/// What a request shows. The first counts: who shows a token means that, whatever cookies come along.
fn shown(parts: &Parts) -> Option<(Kind, String)> {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text(header::AUTHORIZATION)?.strip_prefix("Bearer ");
    let token = || bearer().or_else(|| dualcast::subprotocol_token(&parts.headers));
    let cookie = || {
        let mut cookies = text(header::COOKIE)?.split(';');
        cookies.find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
    };
    #[derive(Deserialize)]
    struct Asked {
        ticket: String,
    }
    let ticket = || Some(Query::<Asked>::try_from_uri(&parts.uri).ok()?.0.ticket);
    token()
        .map(|token| (Kind::Token, token.to_owned()))
        .or_else(|| Some((Kind::Ticket, ticket()?)))
        .or_else(|| Some((Kind::Cookie, cookie()?.to_owned())))
}

impl FromRequestParts<App> for User {
    type Rejection = Unauthenticated;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Unauthenticated> {
        let (kind, secret) = shown(parts).ok_or(Unauthenticated)?;
        app.access.find(kind, &secret).ok_or(Unauthenticated)
    }
}

/// A request of nobody we know: 401, at which an `EventSource` stays away.
#[derive(Debug)]
pub(crate) struct Unauthenticated;

impl IntoResponse for Unauthenticated {
    fn into_response(self) -> Response {
        let message = "log in, or show a token or a ticket that is still good";
        let error = Error::new(StatusCode::UNAUTHORIZED, "unauthenticated", message);
        let mut response = error.into_response();
        // RFC 9110 section 11.6.1.
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    }
}
