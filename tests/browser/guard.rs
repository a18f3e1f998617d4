//! Who may listen on `/guarded`: whoever shows a token that begins with `good`.

use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use dualcast::Error;

/// Lets in who shows a good token, and answers 401 to others.
pub(crate) async fn check(request: Request, next: Next) -> Result<Response, Error> {
    if !shown(request.headers()).is_some_and(|token| is_good(&token)) {
        return Err(refused());
    }
    Ok(next.run(request).await)
}

/// What a new token gives to a session: so long, from now on.
pub(crate) async fn renew(token: String, lifetime: Duration) -> Result<SystemTime, Error> {
    if !is_good(&token) {
        return Err(refused());
    }
    Ok(SystemTime::now() + lifetime)
}

/// The token of a request: in its header, or, on a WebSocket of a page, among the subprotocols.
pub(crate) fn shown(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(header::AUTHORIZATION);
    let bearer = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer
        .or_else(|| dualcast::subprotocol_token(headers))
        .map(Into::into)
}

fn is_good(token: &str) -> bool {
    token.starts_with("good")
}

fn refused() -> Error {
    Error::new(StatusCode::UNAUTHORIZED, "unauthenticated", "show a good token")
}
