//! What is sent with a request: what it needs, or what a browser sends.

use serde::Serialize;

/// What is sent with a request, beyond what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Manners {
    /// Nothing.
    Bare,
    /// What a page in Chromium 156 on a desktop sends to its own origin, as it was captured, with one cookie of 43 characters, as a session has it.
    Browser,
}

/// What is asked for: browsers send something else with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    WebSocket,
    Post,
}

const ALWAYS: &[(&str, &str)] = &[
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cookie", "session=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
];
const FETCH: &[(&str, &str)] = &[
    ("sec-ch-ua-platform", "\"Linux\""),
    ("sec-ch-ua", "\"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
];
const UNCACHED: &[(&str, &str)] = &[("pragma", "no-cache"), ("cache-control", "no-cache")];

pub(crate) type Headers = Vec<(String, String)>;

impl Manners {
    /// The headers that it adds to a request to this origin. `is_http2`: where a connection isn't spoken of.
    pub(crate) fn headers(self, kind: Kind, origin: &str, is_http2: bool) -> Headers {
        if self == Self::Bare {
            return Vec::new();
        }
        let referer = format!("{origin}/");
        let mut headers = ALWAYS.to_vec();
        if kind != Kind::WebSocket {
            headers.extend(FETCH);
            headers.push(("referer", &referer));
            if !is_http2 {
                headers.push(("connection", "keep-alive"));
            }
        }
        match kind {
            Kind::Stream => headers.extend(UNCACHED),
            Kind::Post => headers.extend([("accept", "*/*"), ("origin", origin)]),
            Kind::WebSocket => {
                headers.extend(UNCACHED);
                headers.extend([
                    ("origin", origin),
                    (
                        "sec-websocket-extensions",
                        "permessage-deflate; client_max_window_bits",
                    ),
                ]);
            }
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        headers.into_iter().map(owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads that Chromium 156 sent, without what each request needs by itself, had so many bytes; it calls itself
    /// `HeadlessChrome` where it is.
    #[test]
    fn a_browsers_headers_are_as_long_as_they_were_captured() {
        let length = |kind| {
            let headers = Manners::Browser.headers(kind, "http://127.0.0.1:39023", false);
            let all = headers.iter();
            all.map(|(name, value)| name.len() + value.len() + ": \r\n".len())
                .sum::<usize>()
        };
        let without = |whole: usize, own: &str| whole - "Headless".len() - own.len();
        let stream = "GET /sse HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nAccept: text/event-stream\r\n\r\n";
        assert_eq!(length(Kind::Stream), without(608, stream));
        let post = "POST /say HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nContent-Length: 2\r\n\
                    content-type: application/json\r\n\r\n";
        assert_eq!(length(Kind::Post), without(635, post));
        let socket = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: 0QCR4xx02Nnf/5MVJBv4kA==\r\n\
                      Sec-WebSocket-Protocol: dualcast.v1\r\n\r\n";
        assert_eq!(length(Kind::WebSocket), without(597, socket));
        assert!(Manners::Bare.headers(Kind::Post, "http://a", false).is_empty());
    }
}
