//! The way that a request came, as far as it can be believed.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::http::uri::Scheme;

use super::forwarded::{self, Hop, WHITE};
use super::trusted::{Headers, TrustedProxies};

/// Where a request came from, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Way {
    /// The address furthest away of which it is known that the request came from there. None where the server doesn't tell the
    /// address of its connections.
    pub(crate) client: Option<IpAddr>,
    /// The host that the client asked for, by the word of a trusted proxy.
    pub(crate) host: Option<String>,
    /// The scheme by which it asked, by the word of a trusted proxy.
    pub(crate) scheme: Option<Scheme>,
}

impl Way {
    pub(crate) fn of(parts: &Parts) -> Self {
        let Some(peer) = peer(parts) else {
            return Self::default();
        };
        match parts.extensions.get::<TrustedProxies>() {
            Some(proxies) if proxies.trusts(peer) => Self::behind(proxies, peer, &parts.headers),
            _ => Self {
                client: Some(peer),
                ..Self::default()
            },
        }
    }

    fn behind(proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> Self {
        match proxies.headers() {
            Headers::Forwarded => {
                let hops = hops(headers);
                let clients = hops.iter().map(|hop| hop.client);
                let (client, believed) = walk(proxies, peer, clients);
                let mut way = Self {
                    client: Some(client),
                    ..Self::default()
                };
                // The outermost proxy knows what the client asked for; where it doesn't say, the next may.
                let unbelieved = hops.len() - believed;
                for Hop { host, scheme, .. } in hops.into_iter().skip(unbelieved) {
                    way.host = way.host.or(host);
                    way.scheme = way.scheme.or(scheme);
                }
                way
            }
            Headers::XForwarded => {
                let clients = list(headers, "x-forwarded-for");
                let (client, believed) =
                    walk(proxies, peer, clients.iter().map(|text| forwarded::node(text)));
                // A proxy adds to these lists or sets them anew, so they may be shorter; it never writes more than one.
                let outermost = |name| {
                    let values = list(headers, name);
                    let unbelieved = values.len().saturating_sub(believed.max(1));
                    values.into_iter().nth(unbelieved)
                };
                Self {
                    client: Some(client),
                    host: outermost("x-forwarded-host").map(Into::into),
                    scheme: outermost("x-forwarded-proto").and_then(forwarded::scheme),
                }
            }
        }
    }
}

/// The address of the connection.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let mocked = || parts.extensions.get::<MockConnectInfo<SocketAddr>>();
    let address = connected
        .map(|ConnectInfo(address)| address)
        .or_else(|| mocked().map(|MockConnectInfo(address)| address))?;
    // A socket for both families shows IPv4 as IPv6 (RFC 4291 section 2.5.5.2).
    Some(address.ip().to_canonical())
}

/// Goes back from address to address as long as each is a trusted proxy's. Answers the last, and how many of the hops were believed.
fn walk(
    proxies: &TrustedProxies,
    peer: IpAddr,
    hops: impl DoubleEndedIterator<Item = Option<IpAddr>>,
) -> (IpAddr, usize) {
    let (mut client, mut believed) = (peer, 0);
    for hop in hops.rev() {
        if !proxies.trusts(client) {
            break;
        }
        believed += 1;
        match hop {
            Some(address) => client = address,
            None => break,
        }
    }
    (client, believed)
}

/// The hops of all `Forwarded` headers.
fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let headers = headers.get_all("forwarded").into_iter();
    let hops = headers.flat_map(|header| forwarded::parse(&String::from_utf8_lossy(header.as_bytes())));
    hops.collect()
}

/// The values of all headers of a name, each a list with commas. One that isn't text is empty: it hides no other.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let headers = headers.get_all(name).into_iter();
    let values = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b','));
    values
        .map(|value| std::str::from_utf8(value).unwrap_or("").trim_matches(WHITE))
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn way(proxies: TrustedProxies, peer: &str, headers: &[(&str, &str)]) -> Way {
        let mut request = Request::builder()
            .extension(ConnectInfo::<SocketAddr>(format!("{peer}:1").parse().unwrap()))
            .extension(proxies);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Way::of(&request.body(()).unwrap().into_parts().0)
    }

    fn client(proxies: &TrustedProxies, peer: &str, headers: &[(&str, &str)]) -> String {
        way(proxies.clone(), peer, headers).client.unwrap().to_string()
    }

    #[test]
    fn nobody_is_believed_but_a_trusted_proxy() {
        let said = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "a.example"),
            ("x-forwarded-proto", "https"),
        ];
        let own = |client: &str| Way {
            client: Some(client.parse().unwrap()),
            ..Way::default()
        };
        assert_eq!(
            way(TrustedProxies::loopback(), "10.0.0.1", &said),
            own("10.0.0.1")
        );
        assert_eq!(way(TrustedProxies::none(), "127.0.0.1", &said), own("127.0.0.1"));
        assert_eq!(
            way(TrustedProxies::loopback(), "127.0.0.1", &said),
            Way {
                client: Some("192.0.2.1".parse().unwrap()),
                host: Some("a.example".into()),
                scheme: Some(Scheme::HTTPS),
            }
        );
        assert_eq!(
            client(&TrustedProxies::loopback(), "[::ffff:127.0.0.1]", &said),
            "192.0.2.1",
            "IPv4 on a socket for both"
        );
        let unknown = Request::builder().header("x-forwarded-for", "192.0.2.1");
        let unknown = unknown.extension(TrustedProxies::private()).body(()).unwrap();
        assert_eq!(Way::of(&unknown.into_parts().0), Way::default());
    }

    #[test]
    fn headers_of_the_other_kind_are_the_clients_and_not_read() {
        let both = [
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=198.51.100.1;host=b.example;proto=https"),
        ];
        let loopback = TrustedProxies::loopback();
        assert_eq!(client(&loopback, "127.0.0.1", &both), "192.0.2.1");
        assert_eq!(way(loopback.clone(), "127.0.0.1", &both).host, None);
        assert_eq!(
            client(&loopback.by_forwarded(), "127.0.0.1", &both),
            "198.51.100.1"
        );
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_of_a_trusted_proxy() {
        let private = TrustedProxies::private();
        for (list, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            (
                "198.51.100.9, 10.0.0.9, 192.0.2.1, 10.0.0.2,10.0.0.3",
                "192.0.2.1",
            ),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("192.0.2.1, garbage, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.1, ", "127.0.0.1"),
            ("[2001:db8::1]:80, 10.0.0.2:80", "2001:db8::1"),
        ] {
            assert_eq!(
                client(&private, "127.0.0.1", &[("x-forwarded-for", list)]),
                expected,
                "{list}"
            );
        }
        let lines = [
            ("x-forwarded-for", "198.51.100.9"),
            ("x-forwarded-for", "192.0.2.1, 10.0.0.2"),
        ];
        assert_eq!(client(&private, "127.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn what_cannot_be_read_hides_what_stands_before_it_and_nothing_behind() {
        let private = TrustedProxies::private();
        let forwarded = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            client(&private.clone().by_forwarded(), "127.0.0.1", &lines)
        };
        assert_eq!(forwarded(&["for=192.0.2.1, for=10.0.0.2"]), "192.0.2.1");
        assert_eq!(
            forwarded(&["for=192.0.2.1", "for=\"", "for=10.0.0.2"]),
            "10.0.0.2"
        );
        assert_eq!(
            forwarded(&["for=192.0.2.1, for=_hidden, for=10.0.0.2"]),
            "10.0.0.2"
        );
        assert_eq!(forwarded(&["for=192.0.2.1, for=\""]), "127.0.0.1");
        assert_eq!(forwarded(&["for=\", for=192.0.2.1"]), "192.0.2.1");
        assert_eq!(forwarded(&["\u{fc}, for=192.0.2.1"]), "192.0.2.1");
        let x_forwarded = |line| client(&private, "127.0.0.1", &[("x-forwarded-for", line)]);
        assert_eq!(x_forwarded("198.51.100.9, \u{fc}, 192.0.2.1"), "192.0.2.1");
        assert_eq!(x_forwarded("192.0.2.1, \u{fc}, 10.0.0.2"), "10.0.0.2");
    }

    #[test]
    fn host_and_scheme_are_those_of_the_outermost_trusted_proxy() {
        let private = TrustedProxies::private();
        let host = |headers: &[(&str, &str)]| way(private.clone(), "127.0.0.1", headers).host.unwrap();
        let two = ("x-forwarded-for", "198.51.100.9, 192.0.2.1, 10.0.0.2");
        let hosts = |list| ("x-forwarded-host", list);
        assert_eq!(host(&[two, hosts("evil.example, a.example, inner")]), "a.example");
        assert_eq!(host(&[two, hosts("a.example")]), "a.example");
        assert_eq!(host(&[hosts("evil.example, a.example")]), "a.example");
        let schemes = [two, ("x-forwarded-proto", "http, https, http")];
        assert_eq!(
            way(private.clone(), "127.0.0.1", &schemes).scheme,
            Some(Scheme::HTTPS)
        );

        let forwarded = "for=198.51.100.9;host=evil.example, for=192.0.2.1;proto=https, for=10.0.0.2;host=a.example;proto=http";
        let way = way(private.by_forwarded(), "127.0.0.1", &[("forwarded", forwarded)]);
        assert_eq!(way.host.as_deref(), Some("a.example"));
        assert_eq!(way.scheme, Some(Scheme::HTTPS));
    }
}
