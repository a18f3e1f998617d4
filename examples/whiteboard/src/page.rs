//! The page: plain files, in the binary, so that it can be started anywhere. `build.rs` lists them.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Every file, below `/whiteboard/`.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = async |Path(path): Path<String>| file(&path);
    Router::new().route("/whiteboard/{*path}", get(file))
}

/// A file of the page.
pub(crate) fn file(path: &str) -> Response {
    let found = FILES.binary_search_by_key(&path, |(name, _)| name);
    found.map_or_else(|_| not_found(), |at| answer(StatusCode::OK, path, FILES[at].1))
}

/// That there is nothing.
pub(crate) fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, "404.html", NOT_FOUND.as_bytes())
}

fn answer(status: StatusCode, path: &str, body: &'static [u8]) -> Response {
    let content_type = match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing but what this server sends, so that no other script gets to a key; and no page around ours, whose visitors could be made to press
        // our buttons.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        // Whoever knows a board's address may write on it: it goes to no other site.
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    (
        status,
        HeaderMap::from_iter(headers.map(|(name, value)| (name, header::HeaderValue::from_static(value)))),
        body,
    )
        .into_response()
}

const NOT_FOUND: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Not here</title>
<h1>There is nothing here</h1>
<p>A board's name has 1 to 40 characters: a-z, 0-9 and hyphens. <a href=\"/\">Make a new board.</a></p>
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_found_and_has_a_type() {
        assert!(FILES.is_sorted_by_key(|(name, _)| name));
        for (name, _) in FILES {
            let response = file(name);
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let content_type = &response.headers()[header::CONTENT_TYPE];
            assert_ne!(content_type, "application/octet-stream", "{name}: what is it?");
        }
        assert_eq!(file("../Cargo.toml").status(), StatusCode::NOT_FOUND);
    }
}
