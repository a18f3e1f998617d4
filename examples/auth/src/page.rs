//! The page: plain files, in the binary, so that it can be started anywhere.

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::App;

const FILES: [(&str, &str, &str); 6] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../page/index.html"),
    ),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
    (
        "/favicon.svg",
        "image/svg+xml",
        include_str!("../page/favicon.svg"),
    ),
    ("/main.mjs", JAVASCRIPT, include_str!("../page/main.mjs")),
    ("/server.mjs", JAVASCRIPT, include_str!("../page/server.mjs")),
    ("/streams.mjs", JAVASCRIPT, include_str!("../page/streams.mjs")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Nothing but what this server sends, so that no other script gets to a token; and no page around ours, whose visitors could be
/// made to press our buttons.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Every file, by its path.
pub(crate) fn router() -> Router<App> {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, content_type, body)| {
            let headers = [
                (header::CONTENT_TYPE, content_type),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                // No address of ours goes to other sites. Not `no-referrer`: with that a browser posts a form with `Origin: null`.
                (header::REFERRER_POLICY, "same-origin"),
            ];
            router.route(path, get(move || async move { (headers, body) }))
        })
}
