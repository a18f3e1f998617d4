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

/// Reads a header: a hop for each element, in order. One that breaks the grammar (section 4) says nothing; but spaces around
/// separators are passed over, as many write them.
pub(super) fn parse(header: &str) -> Vec<Hop> {
    let mut hops: Vec<_> = elements_from_end(header)
        .into_iter()
        .map(|element| element.trim_matches(WHITE))
        // A list may have empty elements (RFC 9110 section 5.6.1).
        .filter(|element| !element.is_empty())
        .map(|element| self::element(element).unwrap_or_default())
        .collect();
    hops.reverse();
    hops
}

/// What stands between the commas, the last first. From the end, since that is what the nearest proxy has added: a quote that a
/// client leaves open before it swallows nothing of it.
fn elements_from_end(header: &str) -> Vec<&str> {
    let bytes = header.as_bytes();
    let (mut elements, mut end, mut is_quoted) = (Vec::new(), header.len(), false);
    for at in (0..header.len()).rev() {
        match bytes[at] {
            b'"' if !is_escaped(&bytes[..at]) => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                elements.push(&header[at + 1..end]);
                end = at;
            }
            _ => {}
        }
    }
    elements.push(&header[..end]);
    elements
}

/// Whether what comes next is, because of the backslashes before it.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Pairs with semicolons between them.
fn element(text: &str) -> Option<Hop> {
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
            None => return rest.is_empty().then_some(hop),
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
        assert_eq!(parse("for=\"_gazonk\""), vec![hop(None, None, None)]);
        let v6 = hop(Some("2001:db8:cafe::17"), None, None);
        assert_eq!(parse("For=\"[2001:db8:cafe::17]:4711\""), vec![v6.clone()]);
        assert_eq!(
            parse("for=192.0.2.60;proto=http;by=203.0.113.43"),
            vec![hop(Some("192.0.2.60"), None, Some(Scheme::HTTP))]
        );
        let (first, second) = (
            hop(Some("192.0.2.43"), None, None),
            hop(Some("198.51.100.17"), None, None),
        );
        assert_eq!(
            parse("for=192.0.2.43, for=198.51.100.17"),
            vec![first.clone(), second.clone()]
        );
        assert_eq!(
            parse("for=192.0.2.43, for=\"[2001:db8:cafe::17]\""),
            vec![first.clone(), v6]
        );
        assert_eq!(
            parse("for=192.0.2.43,for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"),
            vec![
                first,
                hop(Some("198.51.100.17"), Some("example.com"), Some(Scheme::HTTP))
            ]
        );
        assert_eq!(parse("for=unknown;by=_secret"), vec![hop(None, None, None)]);
    }

    #[test]
    fn a_quoted_string_may_hold_what_separates() {
        assert_eq!(
            parse(r#"host="a,b;c=\"d\"\\" ; proto=HTTPS ,, for="192.0.2.1:_x""#),
            vec![
                hop(None, Some(r#"a,b;c="d"\"#), Some(Scheme::HTTPS)),
                hop(Some("192.0.2.1"), None, None)
            ]
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
            assert_eq!(parse(header), [Hop::default()], "{header}");
        }
        assert_eq!(parse(""), []);
    }

    #[test]
    fn what_a_client_leaves_open_swallows_nothing_of_what_a_proxy_adds() {
        let added = hop(Some("192.0.2.1"), None, None);
        for forged in [
            "for=\"",
            "for=\"\\",
            "host=\"a, for=\"b",
            "\\\"",
            "\"\"\"",
            "m\u{fc}ller",
        ] {
            let hops = parse(&format!("{forged}, for=192.0.2.1"));
            assert_eq!(hops.last(), Some(&added), "{forged}");
        }
        let quoted = parse(r#"for=192.0.2.1;host="a,for=10.0.0.1;x=\",for=10.0.0.2""#);
        assert_eq!(
            quoted,
            [hop(
                Some("192.0.2.1"),
                Some(r#"a,for=10.0.0.1;x=",for=10.0.0.2"#),
                None
            )]
        );
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
            let hops = parse(&format!("for=_a, host=\"{quoted}\", for=_b"));
            prop_assert_eq!(hops.len(), 3);
            prop_assert_eq!(hops[1].host.as_deref(), Some(&*host));
        }
    }
}
