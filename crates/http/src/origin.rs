//! Which web pages may connect.
//!
//! A browser sends its user's cookies with a WebSocket, a POST or a cookie-authenticated stream to any site, whichever
//! page asks for it. So the page's origin (RFC 6454) is checked before anything else happens.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

/// Which origins may connect. The default: the same origin, and clients that are no browsers.
///
/// ```
/// use dualcast_http::OriginPolicy;
///
/// let policy = OriginPolicy::allow(["https://app.example.com", "https://*.example.org"])?;
/// # Ok::<_, dualcast_http::OriginError>(())
/// ```
///
/// Put it on routes as a layer, `.layer(Extension(policy))`, or on one response.
#[derive(Debug, Clone, Default)]
pub struct OriginPolicy {
    allowed: Arc<[Pattern]>,
    is_any_allowed: bool,
    is_null_allowed: bool,
    is_missing_refused: bool,
}

impl OriginPolicy {
    /// Only pages of the same origin: the `Origin` header has the host and port of the `Host` header.
    #[must_use]
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// Also pages of these origins: exact, `https://app.example.com`, or with `*.` for any subdomain,
    /// `https://*.example.com` (which is not `https://example.com` itself).
    ///
    /// # Errors
    ///
    /// [`OriginError`] names the entry that isn't an origin.
    pub fn allow<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let allowed = origins
            .into_iter()
            .map(Pattern::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            allowed,
            ..Self::default()
        })
    }

    /// Pages of any origin. Only where nothing depends on who the user is.
    #[must_use]
    pub fn any() -> Self {
        Self {
            is_any_allowed: true,
            is_null_allowed: true,
            ..Self::default()
        }
    }

    /// Also the opaque origin `null`: sandboxed frames, local files.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.is_null_allowed = true;
        self
    }

    /// Refuses requests without an `Origin` header: those of clients that are no browsers, and a browser's plain GET of
    /// an event stream of its own origin.
    #[must_use]
    pub fn refuse_missing(mut self) -> Self {
        self.is_missing_refused = true;
        self
    }

    /// Holds a request to the policy.
    ///
    /// # Errors
    ///
    /// [`OriginRefused`] says which origin it was.
    pub fn check(&self, parts: &Parts) -> Result<(), OriginRefused> {
        let Some(origin) = parts.headers.get(header::ORIGIN) else {
            return self.check_without_origin(&parts.headers);
        };
        let origin = origin.to_str().unwrap_or("");
        let is_allowed = match Origin::parse(origin) {
            _ if self.is_any_allowed => true,
            _ if origin == "null" => self.is_null_allowed,
            Some(parsed) => {
                authority(parts).is_some_and(|host| parsed.is_at(host))
                    || self.allowed.iter().any(|pattern| pattern.matches(&parsed))
            }
            None => false,
        };
        if is_allowed {
            Ok(())
        } else {
            Err(OriginRefused {
                origin: origin.into(),
            })
        }
    }

    /// A browser leaves the `Origin` out of some requests, but says where they come from (Fetch Metadata).
    fn check_without_origin(&self, headers: &HeaderMap) -> Result<(), OriginRefused> {
        let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        let is_foreign = matches!(site, Some("cross-site" | "same-site"));
        if !self.is_any_allowed && (is_foreign || self.is_missing_refused) {
            return Err(OriginRefused {
                origin: site.unwrap_or("none").into(),
            });
        }
        Ok(())
    }
}

/// An origin that may not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the origin {origin:?} may not connect: only pages of the same origin do, unless the application's \
     OriginPolicy lists others"
)]
pub struct OriginRefused {
    /// What the request said of its origin.
    pub origin: String,
}

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: expected scheme://host or scheme://host:port, with *. in front of the host or not"
)]
pub struct OriginError(String);

/// A scheme, a host and a port, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = !scheme.is_empty()
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let (host, port) = split_authority(authority)?;
        let scheme = scheme.to_ascii_lowercase();
        let port = port.or(default_port(&scheme));
        is_scheme.then_some(Self { scheme, host, port })
    }

    /// Whether a `Host` header names the same place. It has no scheme: its default port is the origin's scheme's.
    fn is_at(&self, authority: &str) -> bool {
        split_authority(authority)
            .is_some_and(|(host, port)| host == self.host && port.or(default_port(&self.scheme)) == self.port)
    }
}

/// An entry of an allow list.
#[derive(Debug, Clone)]
struct Pattern {
    origin: Origin,
    is_any_subdomain: bool,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, OriginError> {
        let is_any_subdomain = text.contains("://*.");
        let origin = Origin::parse(&text.replacen("://*.", "://", 1));
        match origin {
            Some(origin) if !origin.host.contains('*') => Ok(Self {
                origin,
                is_any_subdomain,
            }),
            _ => Err(OriginError(text.into())),
        }
    }

    fn matches(&self, origin: &Origin) -> bool {
        let is_host = if self.is_any_subdomain {
            origin
                .host
                .strip_suffix(&self.origin.host)
                .is_some_and(|rest| rest.ends_with('.'))
        } else {
            origin.host == self.origin.host
        };
        is_host && origin.scheme == self.origin.scheme && origin.port == self.origin.port
    }
}

/// Splits a host from its port. None where it is anything but these two: userinfo or a path is no origin.
fn split_authority(authority: &str) -> Option<(String, Option<u16>)> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok()?),
        None if port.is_empty() => None,
        None => return None,
    };
    let is_host = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~[]:*".contains(&b));
    (is_host && !host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Where the request went: HTTP/1.1 says so in `Host`, HTTP/2 in the URI.
fn authority(parts: &Parts) -> Option<&str> {
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn is_allowed(policy: &OriginPolicy, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        policy.check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn the_same_origin_may_connect_and_others_may_not() {
        let policy = OriginPolicy::same_origin();
        for (host, origin) in [
            ("example.com", "https://example.com"),
            ("example.com", "https://EXAMPLE.com:443"),
            ("example.com:443", "https://example.com"),
            ("localhost:3000", "http://localhost:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
        ] {
            assert!(is_allowed(&policy, host, Some(origin)), "{origin} at {host}");
        }
        for (host, origin) in [
            ("example.com", "https://evil-example.com"),
            ("example.com", "https://example.com.evil.org"),
            ("example.com", "https://example.com:8443"),
            ("example.com", "https://example.com@evil.org"),
            ("example.com", "https://evil.org/https://example.com"),
            ("example.com", "example.com"),
            ("example.com", "null"),
            ("example.com", ""),
        ] {
            assert!(!is_allowed(&policy, host, Some(origin)), "{origin} at {host}");
        }
    }

    #[test]
    fn a_client_without_an_origin_may_connect_unless_refused() {
        assert!(is_allowed(&OriginPolicy::same_origin(), "example.com", None));
        assert!(!is_allowed(
            &OriginPolicy::same_origin().refuse_missing(),
            "example.com",
            None
        ));
    }

    #[test]
    fn a_list_allows_what_it_names() {
        let policy = OriginPolicy::allow(["https://app.example.com", "https://*.example.org"]).unwrap();
        let may = |origin| is_allowed(&policy, "api.example.net", Some(origin));
        assert!(may("https://app.example.com"));
        assert!(may("https://a.example.org") && may("https://a.b.example.org"));
        assert!(!may("http://app.example.com"), "another scheme");
        assert!(!may("https://example.org"), "not a subdomain");
        assert!(!may("https://evilexample.org"), "a lookalike");
        assert!(may("https://api.example.net"), "the same origin still may");
    }

    #[test]
    fn an_entry_that_is_no_origin_is_refused() {
        for entry in [
            "example.com",
            "https://",
            "https://*",
            "https://a/b",
            "https://a.*.com",
        ] {
            assert!(OriginPolicy::allow([entry]).is_err(), "{entry}");
        }
    }

    #[test]
    fn a_cross_site_request_without_an_origin_is_refused() {
        let check = |site| {
            let request = Request::builder()
                .header("host", "a.com")
                .header("sec-fetch-site", site);
            OriginPolicy::same_origin().check(&request.body(()).unwrap().into_parts().0)
        };
        assert!(check("same-origin").is_ok() && check("none").is_ok());
        assert!(check("cross-site").is_err() && check("same-site").is_err());
    }

    #[test]
    fn null_is_a_choice() {
        assert!(is_allowed(
            &OriginPolicy::same_origin().allow_null(),
            "a.com",
            Some("null")
        ));
        assert!(is_allowed(&OriginPolicy::any(), "a.com", Some("https://b.com")));
    }
}
