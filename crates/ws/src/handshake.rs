//! The handshake, of our own: axum's brings buffers of 128 KiB for each connection. Over HTTP/1.1 it is an upgrade (RFC 6455 section
//! 4.2), over HTTP/2 a `CONNECT` of one stream (RFC 8441).

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use dualcast_http::Error;
use hyper::ext::Protocol;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocol that says: the messages are Dualcast's. Chosen where the client offers it.
pub const SUBPROTOCOL: &str = "dualcast.v1";

/// What stands before a token among the subprotocols.
const TOKEN_PREFIX: &str = "dualcast.token.";

/// Why there was no upgrade.
#[derive(Debug)]
pub struct NoUpgrade(Error);

impl NoUpgrade {
    fn new(status: StatusCode, message: &'static str) -> Self {
        Self(Error::new(status, "bad-handshake", message))
    }

    /// The request came by a connection that can't become anything else: HTTP/1.0, or a test's.
    pub(crate) fn impossible() -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "this connection can't be upgraded")
    }
}

impl From<Error> for NoUpgrade {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for NoUpgrade {
    fn into_response(self) -> Response {
        let is_upgrade_required = self.0.status() == StatusCode::UPGRADE_REQUIRED;
        let mut response = self.0.into_response();
        if is_upgrade_required {
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

/// Whether a request asks for a WebSocket, however badly. A key alone tells, too: no page can set that header on any other request,
/// and a proxy that knows nothing of upgrades takes away all the rest.
pub(crate) fn is_begun(parts: &Parts) -> bool {
    parts.method == Method::CONNECT
        || has_token(&parts.headers, &header::UPGRADE, "websocket")
        || parts.headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Checks a request, and makes the response that accepts it.
pub(crate) fn accept(parts: &Parts) -> Result<Response, NoUpgrade> {
    if parts.version == Version::HTTP_2 {
        accept_stream(parts)
    } else {
        accept_upgrade(parts)
    }
}

/// RFC 8441 section 5: what HTTP/1.1 says by headers stands in `:protocol`, and there is no key to answer.
fn accept_stream(parts: &Parts) -> Result<Response, NoUpgrade> {
    let protocol = parts.extensions.get::<Protocol>().map(Protocol::as_str);
    // Some proxies send it as `WebSocket`.
    if parts.method != Method::CONNECT || !protocol.is_some_and(|name| name.eq_ignore_ascii_case("websocket"))
    {
        return Err(NoUpgrade::new(
            StatusCode::BAD_REQUEST,
            "over HTTP/2 a WebSocket begins with CONNECT and the protocol `websocket`",
        ));
    }
    check_version(&parts.headers)?;
    Ok(Response::new(Body::empty()))
}

fn accept_upgrade(parts: &Parts) -> Result<Response, NoUpgrade> {
    if parts.method != Method::GET {
        return Err(NoUpgrade::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket begins with GET",
        ));
    }
    let headers = &parts.headers;
    if !has_token(headers, &header::CONNECTION, "upgrade")
        || !has_token(headers, &header::UPGRADE, "websocket")
    {
        return Err(NoUpgrade::new(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket: expected an upgrade",
        ));
    }
    check_version(headers)?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    // 16 bytes in base64.
    let key = key.filter(|key| key.len() == 24 && key.ends_with(b"=="));
    let Some(key) = key else {
        return Err(NoUpgrade::new(
            StatusCode::BAD_REQUEST,
            "expected a Sec-WebSocket-Key of 16 bytes in base64",
        ));
    };
    let accepted = HeaderValue::try_from(derive_accept_key(key))
        .map_err(|_| NoUpgrade::new(StatusCode::BAD_REQUEST, "the Sec-WebSocket-Key can't be answered"))?;

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    Ok(response)
}

fn check_version(headers: &HeaderMap) -> Result<(), NoUpgrade> {
    match headers.get(header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(()),
        _ => Err(NoUpgrade::new(
            StatusCode::UPGRADE_REQUIRED,
            "expected Sec-WebSocket-Version: 13",
        )),
    }
}

/// The subprotocols that a client offers (RFC 6455 section 11.3.4), in its own letter case: a browser refuses an answer that it
/// did not offer.
pub(crate) fn offered(headers: &HeaderMap) -> Vec<String> {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .map(ToOwned::to_owned)
        .collect()
}

/// The token that a client hands over among its subprotocols, since a browser can't set a header on a WebSocket: behind
/// `dualcast.token.`, beside the protocol that it wants to speak.
///
/// ```js
/// new WebSocket(url, ["dualcast.v1", "dualcast.token." + token])
/// ```
///
/// It is never echoed. A token has to be written in the characters of a subprotocol's name, as a JWT and anything in
/// base64url is.
#[must_use]
pub fn subprotocol_token(headers: &HeaderMap) -> Option<&str> {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(|offered| offered.strip_prefix(TOKEN_PREFIX))
        .filter(|token| !token.is_empty())
}

/// Whether a comma-separated header has a token, in any letter case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// The example of RFC 6455 section 1.3, with one header changed.
    fn answer(change: (&'static str, &'static str)) -> Result<Response, StatusCode> {
        let mut request = Request::builder().uri("/chat").body(()).unwrap();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            change,
        ] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        accept(&request.into_parts().0).map_err(|refused| refused.0.status())
    }

    #[test]
    fn the_rfcs_example_is_accepted() {
        let response = answer(("x", "y")).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let name = header::SEC_WEBSOCKET_PROTOCOL;
        let values = values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_static(value)));
        values.collect()
    }

    #[test]
    fn subprotocols_are_read_from_one_header_or_several() {
        assert_eq!(
            offered(&headers(&["a, dualcast.v1", "B"])),
            ["a", "dualcast.v1", "B"]
        );
        assert!(offered(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn a_token_is_found_among_the_subprotocols() {
        let found = |value: &'static str| subprotocol_token(&headers(&[value])).map(ToOwned::to_owned);
        assert_eq!(
            found("dualcast.v1, dualcast.token.a.b-c_d").as_deref(),
            Some("a.b-c_d")
        );
        assert_eq!(found("dualcast.v1"), None);
        assert_eq!(found("dualcast.token."), None);
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_missing() {
        assert_eq!(answer(("connection", "close")).unwrap_err(), 426);
        assert_eq!(answer(("upgrade", "h2c")).unwrap_err(), 426);
        assert_eq!(answer(("sec-websocket-version", "8")).unwrap_err(), 426);
        assert_eq!(answer(("sec-websocket-key", "short")).unwrap_err(), 400);
    }

    #[test]
    fn a_handshake_is_told_from_a_request_for_anything_else_also_where_a_proxy_broke_it() {
        let is_begun = |method: Method, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            super::is_begun(&request.body(()).unwrap().into_parts().0)
        };
        for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
            assert!(is_begun(Method::GET, &[("upgrade", upgrade)]));
        }
        assert!(is_begun(Method::GET, &[("sec-websocket-key", "short")]));
        assert!(is_begun(Method::CONNECT, &[]));
        assert!(!is_begun(Method::GET, &[]));
        for (name, value) in [
            ("upgrade", "h2c"),
            ("connection", "upgrade"),
            ("accept", "websocket"),
        ] {
            assert!(!is_begun(Method::GET, &[(name, value)]));
        }
    }

    fn stream_answer(
        method: Method,
        protocol: Option<&'static str>,
        version: &str,
    ) -> Result<Response, StatusCode> {
        let request = Request::builder()
            .method(method)
            .version(Version::HTTP_2)
            .uri("https://a.example/chat")
            .header("sec-websocket-version", version);
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.extend(
            protocol
                .map(|name| {
                    let mut extensions = axum::http::Extensions::new();
                    extensions.insert(Protocol::from_static(name));
                    extensions
                })
                .unwrap_or_default(),
        );
        accept(&parts).map_err(|refused| refused.0.status())
    }

    #[test]
    fn a_stream_of_http_2_is_accepted_in_any_letter_case() {
        for protocol in ["websocket", "WebSocket", "WEBSOCKET"] {
            let response = stream_answer(Method::CONNECT, Some(protocol), "13").unwrap();
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key("sec-websocket-accept"));
            assert!(!response.headers().contains_key("upgrade"));
        }
        assert_eq!(stream_answer(Method::GET, None, "13").unwrap_err(), 400);
        assert_eq!(stream_answer(Method::CONNECT, None, "13").unwrap_err(), 400);
        assert_eq!(
            stream_answer(Method::CONNECT, Some("connect-udp"), "13").unwrap_err(),
            400
        );
        assert_eq!(
            stream_answer(Method::CONNECT, Some("websocket"), "8").unwrap_err(),
            426
        );
    }
}
