//! Origins and authorities, read as strictly as browsers write them (RFC 6454 section 6.2, URL standard section 4.7).
//!
//! Two that are equal are one place to a browser, and no text that a browser would read as another place is read at all. So
//! userinfo, paths, zones of IPv6 and hosts that are not ASCII are none: a browser sends the last as punycode.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::uri::Scheme;

/// The longest host name: 253 bytes (RFC 1035 section 2.3.4), and a dot behind them.
const MAX_HOST_BYTES: usize = 254;

/// A scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) scheme: String,
    pub(super) host: Host,
    /// The scheme's default where the text had none.
    pub(super) port: Option<u16>,
}

/// A host. Names are in lower case; a dot at the end is part of the name, since `example.com.` is another origin than
/// `example.com` to every browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// A host and perhaps a port, as a `Host` header has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    host: Host,
    port: Option<u16>,
}

impl Origin {
    /// Reads `scheme://host` or `scheme://host:port`, in any letter case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let scheme = is_scheme.then(|| scheme.to_ascii_lowercase())?;
        Some(Authority::parse(authority)?.under(&scheme))
    }

    /// Whether a page of it came by this scheme.
    pub(super) fn is_of(&self, scheme: &Scheme) -> bool {
        self.scheme == scheme.as_str()
    }

    /// Whether it is a web page's. Extensions and applications have schemes and names of their own, that mean nothing as hosts.
    pub(super) fn is_web(&self) -> bool {
        matches!(&*self.scheme, "http" | "https")
    }

    /// Whether an authority is its own. Where that has no port, it is the default of the origin's scheme.
    pub(super) fn is_at(&self, authority: &Authority) -> bool {
        *self == authority.clone().under(&self.scheme)
    }
}

impl Authority {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let host_end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_end);
        let port = match port.strip_prefix(':') {
            Some(port) => Some(self::port(port)?),
            None if port.is_empty() => None,
            None => return None,
        };
        Some(Self {
            host: Host::parse(host)?,
            port,
        })
    }

    /// The origin of its pages under a scheme.
    pub(super) fn under(self, scheme: &str) -> Origin {
        let default_port = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Origin {
            scheme: scheme.into(),
            host: self.host,
            port: self.port.or(default_port),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[') {
            return Some(Self::V6(address.strip_suffix(']')?.parse().ok()?));
        }
        let is_name = text.len() <= MAX_HOST_BYTES
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        let without_root = text.strip_suffix('.').unwrap_or(text);
        if !is_name || without_root.split('.').any(str::is_empty) {
            return None;
        }
        if ends_in_a_number(without_root) {
            return Some(Self::V4(text.parse().ok()?));
        }
        Some(Self::Name(text.to_ascii_lowercase()))
    }
}

/// Whether a browser takes the host for an IPv4 address, in one of its many forms (URL standard section 3.5). It writes but one of
/// them, that of four decimal numbers.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_hexadecimal = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    last.bytes().all(|b| b.is_ascii_digit())
        || last
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("0x"))
            && is_hexadecimal(&last[2..])
}

/// Digits alone: `str::parse` would also take a plus sign.
fn port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_origin_are_equal() {
        for (one, other) in [
            ("https://example.com", "HTTPS://Example.COM:443"),
            ("http://example.com", "http://example.com:80"),
            ("http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000"),
            ("http://[2001:DB8::A]", "http://[2001:db8:0::a]:80"),
            ("https://xn--mller-kva.example", "https://XN--MLLER-KVA.example"),
        ] {
            let one = Origin::parse(one).unwrap();
            assert_eq!(Some(one), Origin::parse(other), "{other}");
        }
    }

    #[test]
    fn texts_of_two_origins_are_not() {
        for (one, other) in [
            ("https://example.com", "http://example.com"),
            ("https://example.com", "https://example.com."),
            ("https://example.com", "https://example.com:8443"),
            ("https://example.com", "https://www.example.com"),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]"),
            ("http://localhost", "http://127.0.0.1"),
        ] {
            assert_ne!(Origin::parse(one).unwrap(), Origin::parse(other).unwrap());
        }
    }

    #[test]
    fn what_no_browser_writes_is_no_origin() {
        for text in [
            "",
            "null",
            "example.com",
            "//example.com",
            "://example.com",
            "1http://example.com",
            "http s://example.com",
            "https://",
            "https://:443",
            "https://.",
            "https://.example.com",
            "https://a..example.com",
            "https://example.com..",
            "https://example.com/",
            "https://example.com?",
            "https://example.com#",
            "https://example.com\\",
            "https://user@example.com",
            "https://user:secret@example.com",
            "https://example.com:",
            "https://example.com:+443",
            "https://example.com:-1",
            "https://example.com:65536",
            "https://example.com:443443",
            "https://example.com:443:443",
            "https://example.com:https",
            "https://example.com ",
            " https://example.com",
            "https://example.com,https://example.org",
            "https://example.com https://example.org",
            "https://*.example.com",
            "https://exa%6dple.com",
            "https://m\u{fc}ller.example",
            "https://example\u{3002}com",
            "http://[::1",
            "http://::1",
            "http://[::1]x",
            "http://[fe80::1%eth0]",
            "http://[fe80::1%25eth0]",
            "http://[1.2.3.4]",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.1",
            "http://0x7f000001",
            "http://127.0.0.1.",
            "http://127.0.0.01",
            "http://1.2.3.256",
            "http://example.1",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
        assert_eq!(
            Origin::parse(&format!("https://{}", "a".repeat(MAX_HOST_BYTES + 1))),
            None
        );
    }

    #[test]
    fn an_authority_without_a_port_has_that_of_the_scheme() {
        let is_at = |origin: &str, authority: &str| {
            Origin::parse(origin)
                .unwrap()
                .is_at(&Authority::parse(authority).unwrap())
        };
        assert!(is_at("https://example.com", "example.com:443"));
        assert!(is_at("https://example.com:443", "example.com"));
        assert!(is_at("http://[::1]", "[0::1]:80"));
        assert!(!is_at("https://example.com", "example.com:80"));
        assert!(!is_at("http://example.com:8080", "example.com"));
    }
}
