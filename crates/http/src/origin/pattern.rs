//! An entry of a list of origins: one of them, or all below a domain.

use super::address::{Host, Origin};

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    origin: Origin,
    /// It stands for every subdomain of its host, and not for that itself.
    is_any_subdomain: bool,
}

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: expected scheme://host or scheme://host:port, with *. in front of the host for any \
     subdomain of it, and a host that is not ASCII in punycode (xn--...)"
)]
pub struct OriginError(String);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, OriginError> {
        let is_any_subdomain = text.contains("://*.");
        let origin = Origin::parse(&text.replacen("://*.", "://", 1));
        match origin {
            // An address has no subdomains.
            Some(origin) if !is_any_subdomain || matches!(origin.host, Host::Name(_)) => Ok(Self {
                origin,
                is_any_subdomain,
            }),
            _ => Err(OriginError(text.into())),
        }
    }

    pub(super) fn matches(&self, origin: &Origin) -> bool {
        let is_host = match (&self.origin.host, &origin.host) {
            (Host::Name(domain), Host::Name(name)) if self.is_any_subdomain => name
                .strip_suffix(domain.as_str())
                // A host has no empty label: something stands before the dot.
                .is_some_and(|rest| rest.ends_with('.')),
            (listed, host) => listed == host,
        };
        is_host && origin.scheme == self.origin.scheme && origin.port == self.origin.port
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, origin: &str) -> bool {
        let pattern = Pattern::parse(pattern).unwrap();
        Origin::parse(origin).is_some_and(|origin| pattern.matches(&origin))
    }

    #[test]
    fn an_entry_is_an_origin_or_all_below_a_domain() {
        assert!(matches("https://App.example.com", "https://app.example.com:443"));
        assert!(!matches("https://app.example.com", "http://app.example.com"));
        assert!(!matches("https://app.example.com", "https://a.app.example.com"));
        let any = "https://*.example.org:8443";
        assert!(matches(any, "https://a.example.org:8443") && matches(any, "https://a.b.EXAMPLE.org:8443"));
        for origin in [
            "https://example.org:8443",
            "https://evilexample.org:8443",
            "https://a.example.org",
            "http://a.example.org:8443",
            "https://a.example.org.:8443",
            "https://a.example.org.evil.example:8443",
            "https://.example.org:8443",
        ] {
            assert!(!matches(any, origin), "{origin}");
        }
        assert!(matches("https://example.com.", "https://example.com."));
        assert!(matches("http://[::1]:3000", "http://[0:0::1]:3000"));
        assert!(matches("chrome-extension://abcdef", "chrome-extension://abcdef"));
    }

    #[test]
    fn an_entry_that_is_no_origin_is_refused_by_name() {
        for entry in [
            "example.com",
            "https://",
            "https://*",
            "https://*.",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://*example.com",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "https://example.com/",
            "https://m\u{fc}ller.example",
            "null",
            "*",
        ] {
            assert_eq!(
                Pattern::parse(entry).unwrap_err(),
                OriginError(entry.into()),
                "{entry}"
            );
        }
    }

    /// What looks like `example.com`, and isn't, or is.
    fn lookalike() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("example.com"),
            Just("EXAMPLE"),
            Just("com"),
            Just("evil"),
            Just("a"),
            Just("."),
            Just("-"),
            Just("@"),
            Just(":"),
            Just(":443"),
            Just("/"),
            Just("\\"),
            Just("#"),
            Just("?"),
            Just("%2e"),
            Just("*"),
            Just("["),
            Just("]"),
            Just(" "),
            Just("\u{3002}"),
            Just("xn--"),
        ];
        (
            prop_oneof![
                Just("https://"),
                Just("http://"),
                Just("HTTPS://"),
                Just("https:"),
                Just("")
            ],
            prop::collection::vec(piece, 0..6),
        )
            .prop_map(|(scheme, pieces)| scheme.to_owned() + &pieces.concat())
    }

    proptest! {
        /// The reading is another than the code's, from the end of the text: only where it ends in the domain, after nothing but
        /// the characters of a host, is it a page of the domain.
        #[test]
        fn no_origin_outside_of_the_domain_matches(origin in lookalike()) {
            let lower = origin.to_ascii_lowercase();
            let host = lower.strip_prefix("https://").map(|rest| rest.strip_suffix(":443").unwrap_or(rest));
            let is_exact = host == Some("example.com");
            let is_below = host.is_some_and(|host| {
                let is_plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
                is_plain && host.ends_with(".example.com") && !host.starts_with('.') && !host.contains("..")
            });
            prop_assert_eq!(matches("https://example.com", &origin), is_exact);
            prop_assert_eq!(matches("https://*.example.com", &origin), is_below);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = (Origin::parse(&text), Pattern::parse(&text));
        }
    }
}
