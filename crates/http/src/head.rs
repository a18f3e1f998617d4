//! Writing a response's head where hyper no longer does.

use std::time::SystemTime;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;

/// The head of an HTTP/1.1 response whose body, if it has one, is chunked and ends with the connection.
pub(crate) fn write(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        // A layer, or axum for a body that it takes for empty, may have said how long that is; how the connection goes on is for
        // us to say, but for a switch of protocols.
        let is_ours = match name.as_str() {
            "content-length" | "transfer-encoding" => true,
            "connection" | "keep-alive" => status != StatusCode::SWITCHING_PROTOCOLS,
            _ => false,
        };
        if !is_ours {
            line(&mut head, name.as_str(), value.as_bytes());
        }
    }
    if !headers.contains_key(header::DATE) {
        line(
            &mut head,
            "date",
            httpdate::fmt_http_date(SystemTime::now()).as_bytes(),
        );
    }
    if status != StatusCode::SWITCHING_PROTOCOLS {
        line(&mut head, "transfer-encoding", b"chunked");
        // The connection ends with the body, but this must not say `close`: to undici, which is Node's `fetch`, a body of such
        // a response is whole wherever it is cut. Instead nobody is to use the connection again.
        line(&mut head, "connection", b"keep-alive");
        line(&mut head, "keep-alive", b"timeout=0");
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_stream_is_chunked_whatever_a_layer_said_of_its_length() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        headers.insert(header::DATE, HeaderValue::from_static("now"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("b=2"));
        let expected = "HTTP/1.1 200 OK\r\ndate: now\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
                        transfer-encoding: chunked\r\nconnection: keep-alive\r\nkeep-alive: timeout=0\r\n\r\n";
        assert_eq!(write(StatusCode::OK, &headers), expected);
    }

    #[test]
    fn a_switch_of_protocols_has_no_body() {
        let head = write(StatusCode::SWITCHING_PROTOCOLS, &HeaderMap::new());
        let head = std::str::from_utf8(&head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\ndate: "));
        assert!(!head.contains("chunked"));
    }
}
