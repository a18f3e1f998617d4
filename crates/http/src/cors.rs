//! Cross-origin reads (Fetch standard, section 3.3): a layer by which pages of listed origins may read what a server answers.
//!
//! Invariants: an origin is echoed only if it is on the policy's list; credentials are allowed for such an origin alone, never for
//! `*` or `null`; without this layer nothing is.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use tower::{Layer, Service};

use crate::error::Error;
use crate::origin::{OriginPolicy, OriginRefused};

/// Lets pages of other origins read what the routes below it answer, errors included, and holds these routes to the same
/// [`OriginPolicy`]: one layer for both.
///
/// ```
/// use axum::Router;
/// use dualcast_http::{Cors, OriginPolicy};
///
/// # fn wrap(app: Router) -> Result<Router, dualcast_http::OriginError> {
/// let policy = OriginPolicy::allow(["https://app.example.com"])?;
/// let app = app.layer(Cors::new(policy).credentials());
/// # Ok(app)
/// # }
/// ```
///
/// Without it a browser shows no answer to pages of other origins, not even to those that the policy lets in: a WebSocket
/// needs no more than the policy, an `EventSource` or a `fetch` of another origin needs both.
///
/// - Pages of the origins that the policy lists may read. Where [any](OriginPolicy::any) may, the answer is `*`.
/// - Preflights are answered here, with 204, or with 403 and the refused origin. No route sees them.
/// - A page may send what the browser's own `EventSource`, `fetch` clients of event streams and the companion POST need: the
///   methods GET, HEAD and POST, and the headers `Authorization`, `Cache-Control`, `Content-Type` and `Last-Event-ID`.
/// - It may read the headers `Dualcast-Channel` and `Retry-After`, beside those that every page may.
/// - Where the origin counts, answers bear `Vary: Origin`, so that no cache shows one page's to another's.
/// - A public page is not let into a private network (`Access-Control-Request-Private-Network`).
///
/// It looks at heads alone, so that it costs a stream nothing. A [`tower-http` `CorsLayer`](https://docs.rs/tower-http) does as well;
/// its list of origins and the policy's are then two.
#[derive(Debug, Clone)]
pub struct Cors(Arc<Rules>);

/// What is answered, ready to be sent.
#[derive(Debug, Clone)]
struct Rules {
    policy: OriginPolicy,
    is_with_credentials: bool,
    is_private_network_allowed: bool,
    methods: Vec<Method>,
    headers: Vec<HeaderName>,
    exposed: Vec<HeaderName>,
    max_age: Duration,
}

impl Cors {
    /// For pages that the policy lists, without credentials.
    #[must_use]
    pub fn new(policy: OriginPolicy) -> Self {
        Self(Arc::new(Rules {
            policy,
            is_with_credentials: false,
            is_private_network_allowed: false,
            methods: vec![Method::GET, Method::HEAD, Method::POST],
            headers: vec![
                header::AUTHORIZATION,
                header::CACHE_CONTROL,
                header::CONTENT_TYPE,
                LAST_EVENT_ID,
            ],
            exposed: vec![DUALCAST_CHANNEL, header::RETRY_AFTER],
            max_age: MAX_AGE,
        }))
    }

    /// Also with the user's cookies: `new EventSource(url, { withCredentials: true })`, `fetch(url, { credentials: "include" })`. Only
    /// for origins on the list: it does nothing for `null`, and nothing where any origin may connect.
    #[must_use]
    pub fn credentials(self) -> Self {
        self.with(|rules| rules.is_with_credentials = true)
    }

    /// Also these methods, for other routes below the layer.
    #[must_use]
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|rules| rules.methods.extend(methods))
    }

    /// Pages may also send these headers.
    #[must_use]
    pub fn headers(self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(|rules| rules.headers.extend(headers))
    }

    /// Pages may also read these headers of an answer.
    #[must_use]
    pub fn expose(self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.with(|rules| rules.exposed.extend(headers))
    }

    /// For how long a browser may remember the answer to a preflight, in whole seconds. Default 10 minutes: few preflights, and an
    /// origin that is taken off the list is not let in for long. Chromium holds to two hours at most, Firefox to a day.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.with(|rules| rules.max_age = max_age)
    }

    /// Also pages of a public network, where the server is in a private one (Private Network Access). Any page that a user opens
    /// could then find the server; the list of origins still holds.
    #[must_use]
    pub fn private_network(self) -> Self {
        self.with(|rules| rules.is_private_network_allowed = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl<S> Layer<S> for Cors {
    type Service = CorsService<S>;

    fn layer(&self, inner: S) -> CorsService<S> {
        CorsService {
            inner,
            rules: Arc::clone(&self.0),
        }
    }
}

/// A service below the [`Cors`] layer.
#[derive(Debug, Clone)]
pub struct CorsService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B> Service<Request<B>> for CorsService<S>
where
    S: Service<Request<B>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        if is_preflight(&request) {
            let response = rules.answer(request.headers());
            return Box::pin(async { Ok(response) });
        }
        let origin = rules.admitted(request.headers());
        request.extensions_mut().insert(rules.policy.clone());
        let response = self.inner.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            rules.open(origin.as_ref(), response.headers_mut());
            Ok(response)
        })
    }
}

/// Whether a browser asks before it sends what a page wants sent (Fetch standard, section 4.8).
fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Rules {
    /// The origin of a page that may read the answer.
    fn admitted(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        let origin = origins.next().filter(|_| origins.next().is_none())?;
        self.policy.allows(origin).then(|| origin.clone())
    }

    /// Answers a preflight.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let Some(origin) = self.admitted(asked) else {
            let mut response = Error::from(OriginRefused::of(asked)).into_response();
            self.vary(response.headers_mut());
            return response;
        };
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        self.open(Some(&origin), headers);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            list(self.methods.iter().map(Method::as_str)),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            list(self.headers.iter().map(HeaderName::as_str)),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.as_secs().into());
        if self.is_private_network_allowed && asked.contains_key(REQUEST_PRIVATE_NETWORK) {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        response
    }

    /// Lets a page read an answer, if it may.
    fn open(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        self.vary(headers);
        let allowed = match origin {
            // Whoever asks, as a cache may show the answer to a page later.
            _ if self.policy.is_any() => HeaderValue::from_static("*"),
            Some(origin) => origin.clone(),
            None => return,
        };
        let is_listed = allowed != "*" && allowed != "null";
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.is_with_credentials && is_listed {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            list(self.exposed.iter().map(HeaderName::as_str)),
        );
    }

    fn vary(&self, headers: &mut HeaderMap) {
        if !self.policy.is_any() {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
    }
}

/// Names are tokens, and tokens with commas between them are a header's value.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let names: Vec<_> = names.collect();
    HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static(crate::cursor::LAST_EVENT_ID_HEADER);

/// Names the channel of a stream that a POST has begun.
const DUALCAST_CHANNEL: HeaderName = HeaderName::from_static("dualcast-channel");

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

const MAX_AGE: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// The head of what a request with these headers is answered, and whether it came through.
    async fn answer(cors: Cors, method: Method, asked: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
        let mut request = Request::builder().method(method);
        for (name, value) in asked {
            request = request.header(*name, *value);
        }
        let inner = service_fn(|request: Request<Body>| async move {
            assert!(
                request.extensions().get::<OriginPolicy>().is_some(),
                "the routes know the policy"
            );
            let vary = [(header::VARY, "accept")];
            Ok::<_, Infallible>((StatusCode::IM_A_TEAPOT, vary).into_response())
        });
        let request = request.body(Body::empty()).unwrap();
        let response = cors.layer(inner).oneshot(request).await.unwrap();
        (response.status(), response.headers().clone())
    }

    async fn preflight(cors: Cors, origin: &str) -> (StatusCode, HeaderMap) {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
            ("access-control-request-private-network", "true"),
        ];
        answer(cors, Method::OPTIONS, &asked).await
    }

    fn listing() -> Cors {
        Cors::new(
            OriginPolicy::allow(["https://a.example", "https://*.b.example"])
                .unwrap()
                .allow_null(),
        )
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_listed_origin_is_echoed_and_others_are_told_nothing() {
        for origin in ["https://a.example", "https://x.b.example", "null"] {
            let (status, headers) = answer(listing(), Method::GET, &[("origin", origin)]).await;
            assert_eq!(status, StatusCode::IM_A_TEAPOT);
            assert_eq!(text(&headers, "access-control-allow-origin"), Some(origin));
            assert_eq!(text(&headers, "access-control-allow-credentials"), None);
            let vary: Vec<_> = headers.get_all("vary").into_iter().collect();
            assert_eq!(vary, ["accept", "origin"]);
        }
        let foreign = [("origin", "https://c.example")];
        let twice = [("origin", "https://a.example"), ("origin", "https://a.example")];
        for asked in [&foreign[..], &twice, &[]] {
            let (_, headers) = answer(listing().credentials(), Method::GET, asked).await;
            let told: Vec<_> = headers
                .keys()
                .filter(|name| name.as_str().starts_with("access-"))
                .collect();
            assert!(told.is_empty(), "{told:?}");
            assert_eq!(
                headers.get_all("vary").into_iter().count(),
                2,
                "for whoever comes next"
            );
        }
    }

    #[tokio::test]
    async fn credentials_are_for_listed_origins_alone() {
        let allowed = async |cors: Cors, origin| {
            let (_, headers) = answer(cors.credentials(), Method::GET, &[("origin", origin)]).await;
            let allowed = text(&headers, "access-control-allow-origin").map(ToOwned::to_owned);
            (allowed, headers.contains_key("access-control-allow-credentials"))
        };
        assert_eq!(
            allowed(listing(), "https://a.example").await,
            (Some("https://a.example".into()), true)
        );
        assert_eq!(allowed(listing(), "null").await, (Some("null".into()), false));
        let any = Cors::new(OriginPolicy::any());
        for origin in ["https://a.example", "null", "*"] {
            assert_eq!(allowed(any.clone(), origin).await, (Some("*".into()), false));
        }
        let (_, headers) = answer(any, Method::GET, &[]).await;
        assert_eq!(text(&headers, "access-control-allow-origin"), Some("*"));
        assert_eq!(text(&headers, "vary"), Some("accept"));
    }

    #[tokio::test]
    async fn a_preflight_is_answered_before_any_route() {
        let cors = listing()
            .methods([Method::PUT])
            .headers([HeaderName::from_static("x-mine")])
            .expose([HeaderName::from_static("x-yours")])
            .max_age(Duration::from_secs(5));
        let (status, headers) = preflight(cors.clone(), "https://a.example").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        for (name, value) in [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-methods", "GET, HEAD, POST, PUT"),
            (
                "access-control-allow-headers",
                "authorization, cache-control, content-type, last-event-id, x-mine",
            ),
            ("access-control-max-age", "5"),
            ("vary", "origin"),
        ] {
            assert_eq!(text(&headers, name), Some(value));
        }
        let (_, headers) = answer(cors.clone(), Method::GET, &[("origin", "https://a.example")]).await;
        let exposed = text(&headers, "access-control-expose-headers");
        assert_eq!(exposed, Some("dualcast-channel, retry-after, x-yours"));

        let (status, headers) = preflight(cors.clone(), "https://c.example").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(text(&headers, "access-control-allow-origin"), None);
        assert_eq!(text(&headers, "vary"), Some("origin"));
        // Without what makes it a preflight it is the application's.
        let (status, _) = answer(cors, Method::OPTIONS, &[("origin", "https://c.example")]).await;
        assert_eq!(status, StatusCode::IM_A_TEAPOT);
    }

    #[tokio::test]
    async fn a_private_network_is_closed_unless_opened() {
        let name = "access-control-allow-private-network";
        let (_, headers) = preflight(listing(), "https://a.example").await;
        assert_eq!(text(&headers, name), None);
        let (_, headers) = preflight(listing().private_network(), "https://a.example").await;
        assert_eq!(text(&headers, name), Some("true"));
        let (_, headers) = preflight(listing().private_network(), "https://c.example").await;
        assert_eq!(text(&headers, name), None);
    }
}
