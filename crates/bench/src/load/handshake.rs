//! The request by which a subscriber opens its stream, and the head of the answer.

use anyhow::{Context, Result, ensure};

use crate::load::framing::{Chunked, Frames, Framing};
use crate::target::{Target, Transport};

/// The largest head of an answer that is read, in bytes.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// A request that follows a channel, from a cursor if there is one.
pub(crate) fn request(
    target: &Target,
    transport: Transport,
    channel: usize,
    cursor: Option<&str>,
) -> Result<String> {
    let mut path = target.path(transport, channel)?;
    let mut headers = String::new();
    match (transport, cursor) {
        (Transport::Sse, Some(cursor)) => headers = format!("last-event-id: {cursor}\r\n"),
        (Transport::Ws, Some(cursor)) => {
            let joint = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{joint}last-event-id={cursor}");
        }
        (_, None) => {}
    }
    headers += match transport {
        Transport::Sse => "accept: text/event-stream\r\n",
        Transport::Ws => {
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        }
    };
    for header in target.headers(channel) {
        headers = format!("{headers}{header}\r\n");
    }
    Ok(format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n",
        target.address()
    ))
}

/// Reads the head of the answer: how long it is, and how its body is framed. None if it isn't whole yet.
pub(crate) fn answer(bytes: &[u8], transport: Transport) -> Result<Option<(usize, Framing)>> {
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
        Transport::Sse => 200,
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
        Transport::Sse => Framing::Plain,
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
        assert!(answer(&head[..20], Transport::Sse).unwrap().is_none());
        let (length, framing) = answer(head, Transport::Sse).unwrap().unwrap();
        assert_eq!(length, head.len());
        assert!(matches!(framing, Framing::Chunked(_)));
    }

    #[test]
    fn a_refusal_is_told_with_its_text() {
        let refused = answer(b"HTTP/1.1 403 Forbidden\r\n\r\nno origin", Transport::Ws).unwrap_err();
        assert_eq!(refused.to_string(), "the server answered 403: no origin");
        let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>";
        assert!(answer(page, Transport::Sse).is_err());
    }
}
