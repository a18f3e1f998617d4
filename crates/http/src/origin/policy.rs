//! The policy: what an application allows, and what a request says of the page that asks.
//!
//! What can't be read is refused, and so is what is said twice.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Method, header};

use super::address::{Authority, Origin};
use super::pattern::{OriginError, Pattern};
use crate::proxies::Way;

/// How much of an origin is told back to who sent it, in characters. Longer than any host is.
const MAX_TOLD_CHARS: usize = 300;

/// Which origins may connect. The default: the same origin, and clients that are no browsers.
///
/// ```
/// use dualcast_http::OriginPolicy;
///
/// let policy = OriginPolicy::allow(["https://app.example.com", "https://*.example.org"])?;
/// # Ok::<_, dualcast_http::OriginError>(())
/// ```
///
/// Put it on routes as a layer, `.layer(Extension(policy))`; with [`Cors`](crate::Cors) instead, pages of these origins may read
/// the answers, too.
///
/// # The same origin
///
/// That is the scheme, host and port by which the page reached this server. Host and port are those of the request's target or
/// its `Host` header, or what a [trusted proxy](crate::TrustedProxies) says. The scheme is `https` where the server itself
/// speaks TLS, or what a trusted proxy says. Otherwise it is unknown, since a proxy in front may have taken the TLS off: then
/// `http` and `https` pages of that host and port both are of the same origin, unless the browser says that they are not
/// (`Sec-Fetch-Site`, which every current browser sends to `https` sites). Without a port each has its scheme's default.
///
/// Names are compared as browsers do, in lower case and otherwise exactly: `example.com.` is not `example.com`.
///
/// A page whose domain an attacker lets point to this server names that domain as its origin and as the host, and so is of the
/// same origin ("DNS rebinding"). Where a server is reached without TLS and from within a private network,
/// [list](Self::only) its own origins instead, and [refuse](Self::refuse_missing) what names none.
#[derive(Debug, Clone, Default)]
pub struct OriginPolicy {
    listed: Arc<[Pattern]>,
    is_any_allowed: bool,
    is_null_allowed: bool,
    is_missing_refused: bool,
    is_own_listed_only: bool,
}

impl OriginPolicy {
    /// Only pages of the same origin.
    #[must_use]
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// Also pages of these origins: exact, `https://app.example.com`, or with `*.` for any subdomain,
    /// `https://*.example.com` (which is not `https://example.com` itself). Scheme and port count; a port that is left out is
    /// the scheme's default.
    ///
    /// # Errors
    ///
    /// [`OriginError`] names the entry that isn't an origin.
    pub fn allow<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let listed = origins
            .into_iter()
            .map(Pattern::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            listed,
            ..Self::default()
        })
    }

    /// Pages of these origins alone, written as for [`allow`](Self::allow). The server's own has to be listed, too, with its scheme:
    /// nothing is then inferred from the request.
    ///
    /// # Errors
    ///
    /// [`OriginError`] names the entry that isn't an origin.
    pub fn only<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        Ok(Self {
            is_own_listed_only: true,
            ..Self::allow(origins)?
        })
    }

    /// Pages of any origin, `null` as well. Only where nothing depends on who the user is.
    #[must_use]
    pub fn any() -> Self {
        Self {
            is_any_allowed: true,
            is_null_allowed: true,
            ..Self::default()
        }
    }

    /// Also the opaque origin `null`: sandboxed frames of any site, local files.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.is_null_allowed = true;
        self
    }

    /// Refuses requests that don't say which page asks: those of clients that are no browsers; and, where the site has no
    /// TLS, a browser's plain GET of an event stream of its own origin, which bears neither `Origin` nor `Sec-Fetch-Site`.
    #[must_use]
    pub fn refuse_missing(mut self) -> Self {
        self.is_missing_refused = true;
        self
    }

    /// Holds a request to the policy of its route: the one that a layer put into its extensions, else the default.
    ///
    /// # Errors
    ///
    /// [`OriginRefused`] says which origin it was.
    pub fn check_route(parts: &Parts) -> Result<(), OriginRefused> {
        match parts.extensions.get::<Self>() {
            Some(policy) => policy.check(parts),
            None => Self::default().check(parts),
        }
    }

    /// Holds a request to the policy.
    ///
    /// # Errors
    ///
    /// [`OriginRefused`] says which origin it was.
    pub fn check(&self, parts: &Parts) -> Result<(), OriginRefused> {
        let mut origins = parts.headers.get_all(header::ORIGIN).into_iter();
        let is_allowed = match (origins.next(), origins.next()) {
            (None, _) => self.allows_without_origin(parts),
            (Some(origin), None) => self.allows(origin) || self.is_own(origin, parts),
            (Some(_), Some(_)) => self.is_any_allowed,
        };
        if is_allowed {
            return Ok(());
        }
        Err(OriginRefused::of(&parts.headers))
    }

    /// Whether pages of any origin may connect.
    pub(crate) fn is_any(&self) -> bool {
        self.is_any_allowed
    }

    /// Whether an `Origin` header is allowed, whichever server is asked.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        if self.is_any_allowed || origin == NULL && self.is_null_allowed {
            return true;
        }
        let origin = origin.to_str().ok().and_then(Origin::parse);
        origin.is_some_and(|origin| self.lists(&origin))
    }

    fn lists(&self, origin: &Origin) -> bool {
        self.listed.iter().any(|pattern| pattern.matches(origin))
    }

    /// Whether an `Origin` header names the origin that the request went to.
    fn is_own(&self, origin: &HeaderValue, parts: &Parts) -> bool {
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else {
            return false;
        };
        if self.is_own_listed_only || !origin.is_web() {
            return false;
        }
        let way = Way::of(parts);
        let is_schemes = match scheme(parts, &way) {
            Some(scheme) => origin.is_of(&scheme),
            // The page's browser knows it, and may have said so.
            None => Site::of(&parts.headers) != Site::Foreign,
        };
        is_schemes && authority(parts, &way).is_some_and(|authority| origin.is_at(&authority))
    }

    /// A browser leaves the `Origin` out of a plain GET, but says whether it comes from a foreign page.
    fn allows_without_origin(&self, parts: &Parts) -> bool {
        match Site::of(&parts.headers) {
            Site::Own => self.is_any_allowed || !self.is_own_listed_only || self.lists_own(parts),
            Site::Unsaid | Site::NoPage => !self.is_missing_refused,
            Site::Foreign => self.is_any_allowed && !self.is_missing_refused,
        }
    }

    /// Whether the origin that the request went to stands on the list.
    fn lists_own(&self, parts: &Parts) -> bool {
        let way = Way::of(parts);
        let Some(authority) = authority(parts, &way) else {
            return false;
        };
        let lists = |scheme: &Scheme| self.lists(&authority.clone().under(scheme.as_str()));
        match scheme(parts, &way) {
            Some(scheme) => lists(&scheme),
            None => lists(&Scheme::HTTPS) || lists(&Scheme::HTTP),
        }
    }
}

/// What a browser says of the page that asks, for which it needs no configuration: it knows where it went (Fetch Metadata).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// Nothing: no browser, an old one, or a site without TLS.
    Unsaid,
    /// There is no page: the user typed the address.
    NoPage,
    Own,
    /// Or something that we don't know.
    Foreign,
}

impl Site {
    fn of(headers: &HeaderMap) -> Self {
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None => Self::Unsaid,
            Some(b"none") => Self::NoPage,
            Some(b"same-origin") => Self::Own,
            Some(_) => Self::Foreign,
        }
    }
}

/// By which scheme a browser asked, if that is known for sure. The server says so in the request's extensions where it speaks TLS
/// itself. That a request, or the connection that it came by, is of plain HTTP says nothing: a proxy may have taken the TLS off. Nor
/// does the target of a WebSocket over HTTP/2: HAProxy writes `https` there whichever it was.
fn scheme(parts: &Parts, way: &Way) -> Option<Scheme> {
    let in_target = parts.uri.scheme().filter(|_| parts.method != Method::CONNECT);
    let said = [parts.extensions.get::<Scheme>(), in_target];
    let is_tls = said.contains(&Some(&Scheme::HTTPS));
    way.scheme.clone().or(is_tls.then_some(Scheme::HTTPS))
}

/// Where a browser went: what a trusted proxy says; else the target, for which HTTP/2 has `:authority`, and where HTTP/1.1 has it
/// the `Host` header doesn't count (RFC 9112 section 3.2.2); else that header, if there is one and no more.
fn authority(parts: &Parts, way: &Way) -> Option<Authority> {
    if let Some(host) = &way.host {
        return Authority::parse(host);
    }
    if let Some(authority) = parts.uri.authority() {
        return Authority::parse(authority.as_str());
    }
    let mut hosts = parts.headers.get_all(header::HOST).into_iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    Authority::parse(host.to_str().ok()?)
}

/// An origin that may not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct OriginRefused {
    /// What the request said of its origin: its `Origin` header, or several with commas between them; None where it has none.
    pub origin: Option<String>,
}

impl OriginRefused {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let origins: Vec<_> = headers
            .get_all(header::ORIGIN)
            .into_iter()
            .map(|origin| String::from_utf8_lossy(origin.as_bytes()))
            .collect();
        let told = origins.join(", ").chars().take(MAX_TOLD_CHARS).collect();
        Self {
            origin: (!origins.is_empty()).then_some(told),
        }
    }
}

impl std::fmt::Display for OriginRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.origin {
            Some(origin) if origin == NULL => write!(
                f,
                "pages of the origin \"null\" may not connect: to let them in, the application calls \
                 OriginPolicy::allow_null()"
            ),
            Some(origin) if Origin::parse(origin).is_some() => write!(
                f,
                "pages of the origin {origin:?} may not connect: only those of the same origin may, unless the \
                 application lists others, as by OriginPolicy::allow([{origin:?}]); where it is the same origin, a proxy \
                 hides that, see TrustedProxies"
            ),
            Some(origin) => write!(f, "{origin:?} is not an origin"),
            None => write!(
                f,
                "a request that names no origin may not connect: it comes from a page of another site, or the \
                 application's OriginPolicy refuses requests without one"
            ),
        }
    }
}

const NULL: &str = "null";

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::Request;
    use axum::http::request::Builder;

    use super::*;
    use crate::proxies::TrustedProxies;

    fn check(policy: &OriginPolicy, request: Builder) -> Result<(), OriginRefused> {
        policy.check(&request.body(()).unwrap().into_parts().0)
    }

    fn to(host: &str) -> Builder {
        Request::builder().header("host", host)
    }

    fn is_own(host: &str, origin: &str) -> bool {
        check(&OriginPolicy::same_origin(), to(host).header("origin", origin)).is_ok()
    }

    #[test]
    fn the_same_origin_may_connect_and_others_may_not() {
        for (host, origin) in [
            ("example.com", "https://example.com"),
            ("example.com", "http://example.com"),
            ("Example.com", "https://EXAMPLE.com:443"),
            ("example.com:443", "https://example.com"),
            ("example.com.", "https://example.com."),
            ("localhost:3000", "http://localhost:3000"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("[::1]:3000", "http://[::1]:3000"),
            ("[0:0::1]:3000", "http://[::1]:3000"),
        ] {
            assert!(is_own(host, origin), "{origin} at {host}");
        }
        for (host, origin) in [
            ("example.com", "https://evil-example.com"),
            ("example.com", "https://example.com.evil.org"),
            ("example.com", "https://example.com:8443"),
            ("example.com", "https://example.com:80"),
            ("example.com:8443", "https://example.com"),
            ("example.com", "https://example.com."),
            ("example.com", "https://example.com@evil.org"),
            ("example.com", "https://evil.org/https://example.com"),
            ("example.com", "ftp://example.com"),
            ("example.com", "chrome-extension://example.com"),
            ("example.com", "example.com"),
            ("example.com", "null"),
            ("example.com", ""),
            ("", "https://"),
            ("user@example.com", "https://example.com"),
            ("user@example.com", "https://user@example.com"),
        ] {
            assert!(!is_own(host, origin), "{origin} at {host}");
        }
    }

    #[test]
    fn the_target_goes_before_the_host_header_and_two_hosts_are_none() {
        let policy = OriginPolicy::same_origin();
        let page = || to("b.example").header("origin", "http://a.example");
        assert!(check(&policy, page().uri("http://a.example/ws")).is_ok());
        assert!(check(&policy, page().uri("/ws")).is_err());
        assert!(check(&policy, page().uri("http://a.example@c.example/ws")).is_err());
        let only_page = Request::builder().header("origin", "http://a.example");
        assert!(check(&policy, only_page).is_err());
        for (one, other) in [("a.example", "b.example"), ("b.example", "a.example")] {
            let twice = to(one).header("host", other).header("origin", "http://a.example");
            assert!(check(&policy, twice).is_err(), "{one}, then {other}");
        }
    }

    #[test]
    fn an_origin_that_is_said_twice_is_refused() {
        let policy = OriginPolicy::same_origin();
        let page = to("a.example").header("origin", "http://a.example");
        let refused = check(&policy, page.header("origin", "http://a.example")).unwrap_err();
        assert_eq!(
            refused.origin.as_deref(),
            Some("http://a.example, http://a.example")
        );
        assert!(!is_own("a.example", "http://a.example, http://a.example"));
    }

    #[test]
    fn where_the_scheme_is_known_it_has_to_be_the_pages() {
        let policy = OriginPolicy::same_origin();
        let page = |scheme: &str| to("a.example").header("origin", format!("{scheme}://a.example"));
        let tls = |request: Builder| request.extension(Scheme::HTTPS);
        assert!(check(&policy, tls(page("https"))).is_ok());
        assert!(check(&policy, tls(page("http"))).is_err());
        assert!(check(&policy, page("http").uri("https://a.example/")).is_err());
        // A proxy that speaks plain HTTP/2 to us may have taken the TLS off.
        assert!(check(&policy, page("https").uri("http://a.example/")).is_ok());
        // And one that opens a WebSocket over HTTP/2 may write a scheme of its own.
        let socket = |scheme| page(scheme).method("CONNECT").uri("https://a.example/");
        assert!(check(&policy, socket("http")).is_ok());
        assert!(check(&policy, tls(socket("http"))).is_err());
    }

    #[test]
    fn where_the_scheme_is_unknown_the_browser_may_tell_that_it_is_another() {
        let policy = OriginPolicy::same_origin();
        let page = |site| {
            to("a.example")
                .header("origin", "http://a.example")
                .header("sec-fetch-site", site)
        };
        assert!(check(&policy, page("same-origin")).is_ok());
        for site in ["cross-site", "same-site", "?"] {
            assert!(check(&policy, page(site)).is_err(), "{site}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_is_where_the_browser_went() {
        let policy = OriginPolicy::same_origin();
        let page = |peer: &str| {
            to("backend:8080")
                .header("origin", "https://a.example")
                .header("x-forwarded-host", "a.example")
                .header("x-forwarded-proto", "https")
                .extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()))
                .extension(TrustedProxies::loopback())
        };
        assert!(check(&policy, page("127.0.0.1:5000")).is_ok());
        assert!(check(&policy, page("192.0.2.1:5000")).is_err());
        let plain = to("a.example")
            .header("origin", "http://a.example")
            .header("x-forwarded-proto", "https")
            .extension(ConnectInfo::<SocketAddr>("[::1]:5000".parse().unwrap()));
        assert!(check(&policy, plain.extension(TrustedProxies::loopback())).is_err());
    }

    #[test]
    fn without_an_origin_the_browser_may_tell_that_the_page_is_foreign() {
        let may = |policy: &OriginPolicy, site: &str| {
            let request = to("a.example");
            let request = match site {
                "" => request,
                site => request.header("sec-fetch-site", site),
            };
            check(policy, request).is_ok()
        };
        let policy = OriginPolicy::same_origin();
        assert!(["", "none", "same-origin"].iter().all(|site| may(&policy, site)));
        assert!(
            !["cross-site", "same-site", "?"]
                .iter()
                .any(|site| may(&policy, site))
        );
        // A list doesn't help: nobody says which origin it is.
        let policy = OriginPolicy::allow(["https://b.example"]).unwrap();
        assert!(!may(&policy, "cross-site"));
        let policy = OriginPolicy::any();
        assert!(
            ["", "none", "same-origin", "cross-site"]
                .iter()
                .all(|site| may(&policy, site))
        );
        for policy in [OriginPolicy::same_origin(), OriginPolicy::any()] {
            let policy = policy.refuse_missing();
            assert!(may(&policy, "same-origin"));
            assert!(!["", "none", "cross-site"].iter().any(|site| may(&policy, site)));
        }
    }

    #[test]
    fn a_list_allows_what_it_names_beside_the_same_origin() {
        let policy = OriginPolicy::allow(["https://app.example.com", "https://*.example.org"]).unwrap();
        let may = |origin: &str| check(&policy, to("api.example.net").header("origin", origin)).is_ok();
        assert!(may("https://app.example.com"));
        assert!(may("https://a.example.org") && may("https://a.b.example.org"));
        assert!(!may("http://app.example.com"), "another scheme");
        assert!(!may("https://example.org"), "not a subdomain");
        assert!(!may("https://evilexample.org"), "a lookalike");
        assert!(may("https://api.example.net"), "the same origin still may");
    }

    #[test]
    fn a_list_may_be_all_there_is() {
        let policy = OriginPolicy::only(["https://a.example"]).unwrap();
        let may = |host: &str, origin: &str| check(&policy, to(host).header("origin", origin)).is_ok();
        assert!(may("a.example", "https://a.example") && may("b.example", "https://a.example"));
        assert!(!may("a.example", "http://a.example"), "another scheme");
        assert!(!may("rebound.example", "https://rebound.example"));
        let own = |host| check(&policy, to(host).header("sec-fetch-site", "same-origin")).is_ok();
        assert!(own("a.example"));
        assert!(!own("rebound.example"));
    }

    #[test]
    fn null_is_a_choice() {
        let may = |policy: OriginPolicy| check(&policy, to("a.example").header("origin", "null")).is_ok();
        assert!(!may(OriginPolicy::same_origin()));
        assert!(may(OriginPolicy::same_origin().allow_null()));
        assert!(may(OriginPolicy::any()));
    }

    #[test]
    fn who_is_refused_is_told_which_origin_it_was_and_how_to_let_it_in() {
        let told = |origin: &str| {
            let request = to("a.example").header("origin", origin);
            check(&OriginPolicy::same_origin(), request)
                .unwrap_err()
                .to_string()
        };
        assert!(told("https://b.example").contains(r#"OriginPolicy::allow(["https://b.example"])"#));
        assert!(told("null").contains("OriginPolicy::allow_null()"));
        assert!(told("b.example").contains("\"b.example\" is not an origin"));
        assert!(told(&"b".repeat(60_000)).len() < 1_000);
        let foreign = to("a.example").header("sec-fetch-site", "cross-site");
        let refused = check(&OriginPolicy::same_origin(), foreign).unwrap_err();
        assert_eq!(refused.origin, None);
    }
}
