//! The `Forwarded` header (RFC 7239), and the addresses that stand in it and in `X-Forwarded-For`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::uri::Scheme;

/// What a proxy says of one step of the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hop {
    /// Who connected to it. None where it doesn't say, or hides it.
    pub(super) client: Option<IpAddr>,
    /// The host that it was asked for, with its port if that isn't the default.
    pub(super) host: Option<String>,
    /// The scheme by which it was asked.
    pub(super) scheme: Option<Scheme>,
}

/// Reads a header: a hop for each element, in order. None where it breaks the grammar (section 4), but spaces around separators
/// are passed over, as many write them.
pub(super) fn parse(header: &str) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    let mut rest = header.trim_start_matches(WHITE);
    while !rest.is_empty() {
        // A list may have empty elements (RFC 9110 section 5.6.1).
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start_matches(WHITE);
            continue;
        }
        let (hop, after) = element(rest)?;
        hops.push(hop);
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start_matches(WHITE),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(hops)
}

/// Pairs with semicolons between them, up to a comma or the end.
fn element(text: &str) -> Option<(Hop, &str)> {
    let mut hop = Hop::default();
    let mut seen = Vec::new();
    let mut rest = text;
    loop {
        let name_end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        if name_end > 0 {
            let (name, after) = rest.split_at(name_end);
            let (value, after) = value(after.strip_prefix('=')?)?;
            let name = name.to_ascii_lowercase();
            match &*name {
                "for" => hop.client = node(&value),
                "host" => hop.host = Some(value),
                "proto" => hop.scheme = scheme(&value),
                _ => {}
            }
            // Each parameter once at most.
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            rest = after.trim_start_matches(WHITE);
        }
        match rest.strip_prefix(';') {
            Some(after) => rest = after.trim_start_matches(WHITE),
            None => return Some((hop, rest)),
        }
    }
}

/// A token or a quoted string (RFC 9110 section 5.6).
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// An address as proxies write it: with a port or not, IPv6 in brackets or not. None for `unknown` and for names that hide
/// one (section 6).
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let address = text
        .parse()
        .ok()
        .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
        .or_else(|| bracketed(text))
        .or_else(|| {
            text.rsplit_once(':')
                .filter(|(_, port)| is_port(port))
                .and_then(|(address, _)| {
                    let is_v6 = address.starts_with('[');
                    if is_v6 {
                        bracketed(address)
                    } else {
                        address.parse().ok().filter(IpAddr::is_ipv4)
                    }
                })
        });
    address.as_ref().map(IpAddr::to_canonical)
}

fn bracketed(text: &str) -> Option<IpAddr> {
    let address: Ipv6Addr = text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(address.into())
}

/// A port may be hidden behind a name, too (section 6.3).
fn is_port(text: &str) -> bool {
    text.starts_with('_') || text.bytes().all(|b| b.is_ascii_digit())
}

/// Some name a WebSocket's own scheme, for which a browser has none but that of its page.
pub(super) fn scheme(text: &str) -> Option<Scheme> {
    match &*text.trim_matches(WHITE).to_ascii_lowercase() {
        "https" | "wss" => Some(Scheme::HTTPS),
        "http" | "ws" => Some(Scheme::HTTP),
        _ => None,
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// RFC 9110 section 5.6.3.
pub(super) const WHITE: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hop(client: Option<&str>, host: Option<&str>, scheme: Option<Scheme>) -> Hop {
        Hop {
            client: client.map(|client| client.parse().unwrap()),
            host: host.map(Into::into),
            scheme,
        }
    }

    /// Section 4's, 6's and 7's own.
    #[test]
    fn the_rfcs_examples_are_read() {
        assert_eq!(parse("for=\"_gazonk\""), Some(vec![hop(None, None, None)]));
        let v6 = hop(Some("2001:db8:cafe::17"), None, None);
        assert_eq!(parse("For=\"[2001:db8:cafe::17]:4711\""), Some(vec![v6.clone()]));
        assert_eq!(
            parse("for=192.0.2.60;proto=http;by=203.0.113.43"),
            Some(vec![hop(Some("192.0.2.60"), None, Some(Scheme::HTTP))])
        );
        let (first, second) = (
            hop(Some("192.0.2.43"), None, None),
            hop(Some("198.51.100.17"), None, None),
        );
        assert_eq!(
            parse("for=192.0.2.43, for=198.51.100.17"),
            Some(vec![first.clone(), second.clone()])
        );
        assert_eq!(
            parse("for=192.0.2.43, for=\"[2001:db8:cafe::17]\""),
            Some(vec![first.clone(), v6])
        );
        assert_eq!(
            parse("for=192.0.2.43,for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"),
            Some(vec![
                first,
                hop(Some("198.51.100.17"), Some("example.com"), Some(Scheme::HTTP))
            ])
        );
        assert_eq!(parse("for=unknown;by=_secret"), Some(vec![hop(None, None, None)]));
    }

    #[test]
    fn a_quoted_string_may_hold_what_separates() {
        assert_eq!(
            parse(r#"host="a,b;c=\"d\"\\" ; proto=HTTPS ,, for="192.0.2.1:_x""#),
            Some(vec![
                hop(None, Some(r#"a,b;c="d"\"#), Some(Scheme::HTTPS)),
                hop(Some("192.0.2.1"), None, None)
            ])
        );
    }

    #[test]
    fn what_breaks_the_grammar_is_not_read() {
        for header in [
            "for",
            "for=",
            "for =1.2.3.4",
            "for= 1.2.3.4",
            "=1.2.3.4",
            "for=\"1.2.3.4",
            "for=\"1.2.3.4\\",
            "for=[::1]",
            "for=1.2.3.4 for=1.2.3.5",
            "for=1.2.3.4;for=1.2.3.5",
            "for=1.2.3.4;FOR=1.2.3.5",
            "host=a.example:8080",
            "m\u{fc}ller=x",
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
        assert_eq!(parse(""), Some(Vec::new()));
    }

    #[test]
    fn an_address_is_read_in_each_of_the_ways_that_proxies_write_it() {
        for text in [
            "192.0.2.1",
            "192.0.2.1:80",
            "192.0.2.1:_port",
            "[::ffff:192.0.2.1]:80",
            "::ffff:192.0.2.1",
        ] {
            assert_eq!(node(text), Some("192.0.2.1".parse().unwrap()), "{text}");
        }
        for text in [
            "2001:db8::1",
            "[2001:db8::1]",
            "[2001:db8::1]:80",
            "[2001:db8::1]:_x",
        ] {
            assert_eq!(node(text), Some("2001:db8::1".parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "unknown",
            "_hidden",
            "_hidden:80",
            "a.example",
            "[192.0.2.1]",
            "192.0.2.1:http",
            "[::1%lo]",
        ] {
            assert_eq!(node(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|[=;,\" \\\\]){0,40}") {
            let _ = (parse(&text), node(&text));
        }

        #[test]
        fn a_quoted_value_is_read_as_it_was_meant(host in "[ -~]{1,20}") {
            let quoted = host.replace('\\', "\\\\").replace('"', "\\\"");
            let hops = parse(&format!("for=_a, host=\"{quoted}\", for=_b")).unwrap();
            prop_assert_eq!(hops.len(), 3);
            prop_assert_eq!(hops[1].host.as_deref(), Some(&*host));
        }
    }
}
