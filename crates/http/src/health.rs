//! Health: what an orchestrator asks of a node, as routes.
//!
//! Invariants: neither route waits for anything, the broker least of all. That a node lost its broker changes no status: what all nodes
//! lost at once would take all of them out of the balancer, with clients whom they still serve.

use std::borrow::Cow;

use axum::Json;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dualcast_core::{Health, Hub};
use serde::Serialize;

/// Routes for an orchestrator's probes: `/live` and `/ready`, to be nested where it looks for them.
///
/// ```
/// use axum::Router;
/// use dualcast_core::Hub;
///
/// let hub = Hub::new();
/// let app: Router = Router::new().nest("/health", dualcast_http::health(&hub));
/// ```
///
/// | route | for | answers |
/// |---|---|---|
/// | `/live` | liveness: start the process anew where it fails | 200, as long as the process answers at all |
/// | `/ready` | startup and readiness: send clients here where it succeeds | 503 until the node has loaded what it begins with and a message was seen to go round, 200 from then on |
///
/// Either has the body `{"ready":true,"degraded":null}`. `degraded` says why the node is not quite itself, in words for people: it is for alarms, and
/// for no probe. A node that lost its broker keeps its clients and goes on by itself; starting it anew, or sending its clients elsewhere, would
/// help nobody, since the others have lost it, too.
///
/// The words may name servers: these routes are for the inside.
pub fn health<S: Clone + Send + Sync + 'static>(hub: &Hub) -> Router<S> {
    let (live, ready) = (hub.clone(), hub.clone());
    Router::new()
        .route("/live", get(async move || answer(StatusCode::OK, &live.health())))
        .route("/ready", get(async move || readiness(&ready.health())))
}

fn readiness(health: &Health) -> Response {
    let status = if health.is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer(status, health)
}

#[derive(Serialize)]
struct Report<'a> {
    ready: bool,
    degraded: Option<&'a Cow<'static, str>>,
}

fn answer(status: StatusCode, health: &Health) -> Response {
    let report = Report {
        ready: health.is_ready,
        degraded: health.degraded.as_ref(),
    };
    let fresh = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, fresh, Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn read(response: Response) -> (StatusCode, String) {
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 10).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    /// What becomes of them with a broker is tested with one: `tests/nats/health.rs`.
    #[tokio::test]
    async fn a_node_that_needs_nobody_is_always_ready() {
        let app: Router = Router::new().nest("/health", health(&Hub::new()));
        for path in ["/health/live", "/health/ready"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let fine = r#"{"ready":true,"degraded":null}"#.to_owned();
            assert_eq!(read(response).await, (StatusCode::OK, fine));
        }
    }

    #[tokio::test]
    async fn a_node_that_has_yet_to_load_is_not_ready_and_one_without_its_broker_is() {
        let starting = readiness(&Health::starting("it loads"));
        let expected = r#"{"ready":false,"degraded":"it loads"}"#.to_owned();
        assert_eq!(read(starting).await, (StatusCode::SERVICE_UNAVAILABLE, expected));
        let alone = readiness(&Health::degraded("no broker"));
        let expected = r#"{"ready":true,"degraded":"no broker"}"#.to_owned();
        assert_eq!(read(alone).await, (StatusCode::OK, expected));
    }
}
