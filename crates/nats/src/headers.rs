//! Headers as bytes: as a server hands them out where it doesn't make a message of them.
//!
//! A server passes on whatever a publisher put there, and NATS' client can't take all of it: at bytes that aren't UTF-8 it gives its
//! connection up, at a lone CR its task panics. So there has to be a way to look at such a record that doesn't lead through it.

use std::str::FromStr;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};

/// Reads a block of headers by the rules of NATS' client. `None` where it would fail.
pub(crate) fn parse(block: &[u8]) -> Option<HeaderMap> {
    let mut lines = std::str::from_utf8(block).ok()?.lines().peekable();
    lines.next()?.strip_prefix("NATS/1.0")?;
    let mut headers = HeaderMap::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        let name = HeaderName::from_str(name).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim_end()).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_the_client_does() {
        let headers = parse(b"NATS/1.0 100 Idle\r\nA: 1\r\na:2\r\nA:  3 \r\n folded\r\n\r\n").unwrap();
        let all: Vec<_> = headers.get_all("A").map(HeaderValue::as_str).collect();
        assert_eq!(all, ["1", "3  folded"]);
        assert_eq!(headers.get("a").unwrap().as_str(), "2");
        assert!(parse(b"NATS/1.0\r\n\r\n").unwrap().is_empty());
    }

    #[test]
    fn what_the_client_cannot_take_is_none() {
        for block in [
            &b""[..],
            b"HTTP/1.1\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nA: \xff\r\n\r\n",
            b"NATS/1.0\r\nA: a\rb\r\n\r\n",
            b"NATS/1.0\r\nb\xc3\xa4d: 1\r\n\r\n",
            b"NATS/1.0\r\na b: 1\r\n\r\n",
        ] {
            assert!(parse(block).is_none(), "{}", block.escape_ascii());
        }
    }
}
