//! The request by which a subscriber opens its stream, and the head of the answer.

use anyhow::{Context, Result, ensure};

use crate::load::framing::{Chunked, Frames, Framing};
use crate::load::http2::{self, Http2};
use crate::target::{Target, Transport};

/// The largest head of an answer that is read, in bytes.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// A request that follows a channel, from a cursor if there is one; so many of them, where one connection has many streams.
pub(crate) fn request(
    target: &Target,
    transport: Transport,
    streams: usize,
    channel: usize,
    cursor: Option<&str>,
) -> Result<Vec<u8>> {
    let path = path(&target.path(transport, channel)?, transport, cursor);
    let authority = target.address().to_string();
    let mut headers = headers(transport, cursor);
    for header in target.headers(channel) {
        let (name, value) = header.split_once(':').context("a header without a colon")?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    Ok(match transport {
        Transport::SseHttp2 => http2::request(streams, &authority, &path, &headers),
        Transport::Sse | Transport::Ws => http1(&authority, &path, &headers),
    })
}

/// Where a stream is asked for: on WebSocket the path has the cursor.
pub(crate) fn path(path: &str, transport: Transport, cursor: Option<&str>) -> String {
    match (transport, cursor) {
        (Transport::Ws, Some(cursor)) => {
            let joint = if path.contains('?') { '&' } else { '?' };
            format!("{path}{joint}last-event-id={cursor}")
        }
        _ => path.into(),
    }
}

/// The headers of the request, beside that for the host.
pub(crate) fn headers(transport: Transport, cursor: Option<&str>) -> Vec<(String, String)> {
    let mut headers = match transport {
        Transport::Sse | Transport::SseHttp2 => vec![("accept", "text/event-stream")],
        Transport::Ws => vec![
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "MDEyMzQ1Njc4OWFiY2RlZg=="),
        ],
    };
    if let (Transport::Sse | Transport::SseHttp2, Some(cursor)) = (transport, cursor) {
        headers.push(("last-event-id", cursor));
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    headers.into_iter().map(owned).collect()
}

/// A request of HTTP/1.1 that has no body.
pub(crate) fn http1(authority: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n");
    for (name, value) in headers {
        request = format!("{request}{name}: {value}\r\n");
    }
    (request + "\r\n").into_bytes()
}

/// Reads the head of the answer, or of so many answers: how long it is, and how its body is framed. None if it isn't whole yet.
pub(crate) fn answer(bytes: &[u8], transport: Transport, streams: usize) -> Result<Option<(usize, Framing)>> {
    if transport == Transport::SseHttp2 {
        // No byte of it is behind us yet: the frames before the head have something to say, too.
        return Ok(http2::is_answered(streams, bytes)?.then(|| (0, Framing::Http2(Http2::new(streams)))));
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).context("the answer is not HTTP")? else {
        ensure!(
            bytes.len() < MAX_HEAD,
            "the head of the answer has more than {MAX_HEAD} bytes"
        );
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let expected = match transport {
        Transport::Sse | Transport::SseHttp2 => 200,
        Transport::Ws => 101,
    };
    ensure!(
        status == expected,
        "the server answered {status}: {}",
        String::from_utf8_lossy(&bytes[length..])
    );
    let header = |name: &str| {
        let mut headers = response.headers.iter();
        headers.find_map(|header| header.name.eq_ignore_ascii_case(name).then_some(header.value))
    };
    let content_type = header("content-type").unwrap_or_default().to_ascii_lowercase();
    ensure!(
        transport == Transport::Ws || content_type.starts_with(b"text/event-stream"),
        "the server answered {:?}, which is no event stream",
        String::from_utf8_lossy(&content_type)
    );
    let is_chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    let framing = match transport {
        Transport::Ws => Framing::WebSocket(Frames::default()),
        Transport::Sse if is_chunked => Framing::Chunked(Chunked::default()),
        Transport::Sse | Transport::SseHttp2 => Framing::Plain,
    };
    Ok(Some((length, framing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_its_head_is_whole() {
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(answer(&head[..20], Transport::Sse, 1).unwrap().is_none());
        let (length, framing) = answer(head, Transport::Sse, 1).unwrap().unwrap();
        assert_eq!(length, head.len());
        assert!(matches!(framing, Framing::Chunked(_)));
    }

    #[test]
    fn a_refusal_is_told_with_its_text() {
        let refused = answer(b"HTTP/1.1 403 Forbidden\r\n\r\nno origin", Transport::Ws, 1).unwrap_err();
        assert_eq!(refused.to_string(), "the server answered 403: no origin");
        let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>";
        assert!(answer(page, Transport::Sse, 1).is_err());
    }
}
