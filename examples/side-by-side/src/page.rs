//! The page: plain files, in the binary, so that it can be started anywhere.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal: $content_type:ident, $file:literal;)*) => {
        [$(($path, $content_type, include_str!(concat!("../page/", $file)))),*]
    };
}

/// Every file, by its path.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let files = files! {
        "/": HTML, "index.html";
        "/style.css": CSS, "style.css";
        "/favicon.svg": SVG, "favicon.svg";
        "/clock.mjs": JAVASCRIPT, "clock.mjs";
        "/dualcast-client.mjs": JAVASCRIPT, "dualcast-client.mjs";
        "/event-list.mjs": JAVASCRIPT, "event-list.mjs";
        "/latencies.mjs": JAVASCRIPT, "latencies.mjs";
        "/ledger.mjs": JAVASCRIPT, "ledger.mjs";
        "/machine.mjs": JAVASCRIPT, "machine.mjs";
        "/main.mjs": JAVASCRIPT, "main.mjs";
        "/pane.mjs": JAVASCRIPT, "pane.mjs";
        "/pane-view.mjs": JAVASCRIPT, "pane-view.mjs";
        "/plot.mjs": JAVASCRIPT, "plot.mjs";
        "/rate.mjs": JAVASCRIPT, "rate.mjs";
        "/scales.mjs": JAVASCRIPT, "scales.mjs";
        "/server.mjs": JAVASCRIPT, "server.mjs";
        "/server-sent-events.mjs": JAVASCRIPT, "server-sent-events.mjs";
        "/services.mjs": JAVASCRIPT, "services.mjs";
        "/unanswered.mjs": JAVASCRIPT, "unanswered.mjs";
        "/web-socket.mjs": JAVASCRIPT, "web-socket.mjs";
        "/words.mjs": JAVASCRIPT, "words.mjs";
    };
    files
        .into_iter()
        .fold(Router::new(), |router, (path, content_type, body)| {
            router.route(path, get(move || async move { respond(content_type, body) }))
        })
}

fn respond(content_type: &'static str, body: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing but what this server sends, and no page around ours whose visitors could be made to press our buttons.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        // A page that shares its process with nobody gets a clock of microseconds, by which it measures latency.
        (
            header::HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            header::HeaderName::from_static("cross-origin-embedder-policy"),
            "require-corp",
        ),
    ];
    (headers, body)
}
