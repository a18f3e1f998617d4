//! Dualcast's browser client, for applications that serve it themselves: the modules of the npm package `dualcast`, as they stand.
//!
//! Nothing is bundled, minified or built: what a browser loads is what stands in `js/`.

mod file;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;

use crate::file::File;

/// Serves the client: `/dualcast.js`, which a page imports, and the modules that this imports, below `/dualcast/`.
///
/// ```
/// use axum::Router;
/// use dualcast_client_js::client_js;
///
/// let app: Router = Router::new().merge(client_js());
/// let elsewhere: Router = Router::new().nest("/static", client_js());
/// ```
///
/// ```js
/// import { connect } from "/dualcast.js";
/// ```
///
/// A browser asks each time whether its copy is the current one, and is answered 304 where it is. A `Link` header on `/dualcast.js` names the
/// modules that it needs, so that they are fetched together.
///
/// Pages of other origins may import it only if the application says so, by a CORS layer around this router.
pub fn client_js<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, source)| {
        let file = File::new(source, (path == ENTRY).then(preloads));
        router.route(path, get(async move |headers: HeaderMap| file.answer(&headers)))
    })
}

/// The modules that the first imports, for a browser that has begun to load it: relative to that, wherever the router is nested (RFC 8288 section
/// 3.2).
fn preloads() -> String {
    let modules = FILES
        .iter()
        .filter(|(path, _)| *path != ENTRY && !ON_REQUEST.contains(path));
    let links = modules.map(|(path, _)| format!("<{}>; rel=modulepreload", &path[1..]));
    links.collect::<Vec<_>>().join(", ")
}

/// What a page imports.
const ENTRY: &str = "/dualcast.js";

/// What is imported only where a page asks for it.
const ON_REQUEST: [&str; 2] = ["/dualcast/event-source.js", "/dualcast/presence.js"];

/// Files below `js/`, each with the path at which it is served.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$((concat!("/", $name), include_bytes!(concat!("../js/", $name)))),+]
    };
}

const FILES: [(&str, &[u8]); 26] = files![
    "dualcast.js",
    "dualcast/answer.js",
    "dualcast/asks.js",
    "dualcast/backoff.js",
    "dualcast/channel.js",
    "dualcast/choice.js",
    "dualcast/connection.js",
    "dualcast/cursors.js",
    "dualcast/emitter.js",
    "dualcast/environment.js",
    "dualcast/error.js",
    "dualcast/event-source.js",
    "dualcast/event-stream.js",
    "dualcast/frames.js",
    "dualcast/hearing.js",
    "dualcast/joined.js",
    "dualcast/link.js",
    "dualcast/listening.js",
    "dualcast/live.js",
    "dualcast/options.js",
    "dualcast/outbox.js",
    "dualcast/presence.js",
    "dualcast/rights.js",
    "dualcast/sse.js",
    "dualcast/stage.js",
    "dualcast/web-socket.js",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use axum::body::{Body, to_bytes};
    use axum::http::{Method, Request, StatusCode, header};
    use axum::response::Response;
    use tower::ServiceExt;

    use super::*;

    /// Every file below a directory, by its path from there.
    fn below(directory: &Path, prefix: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                found.extend(below(&path, &name));
            } else {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn every_file_of_the_client_is_served() {
        let there = below(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/js")), "");
        let served = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, served);
    }

    async fn ask(app: Router, method: Method, path: &str, known: &str) -> (Response, Vec<u8>) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::IF_NONE_MATCH, known).body(Body::empty());
        let (parts, body) = app.oneshot(request.unwrap()).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, Body::empty()), body.into())
    }

    fn head<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn each_file_is_the_module_as_it_stands() {
        let app: Router = client_js();
        for (path, source) in FILES {
            let (response, body) = ask(app.clone(), Method::GET, path, "\"another\"").await;
            assert_eq!((response.status(), &*body), (StatusCode::OK, source));
            for (name, value) in [
                ("content-type", "text/javascript; charset=utf-8"),
                ("cache-control", "no-cache"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(head(&response, name), Some(value), "{path}");
            }
            let (response, body) = ask(app.clone(), Method::HEAD, path, "").await;
            assert_eq!((response.status(), body.len()), (StatusCode::OK, 0));
            let length = source.len().to_string();
            assert_eq!(head(&response, "content-length"), Some(&*length));
        }
        let (response, _) = ask(app, Method::POST, ENTRY, "").await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_copy_that_is_the_current_one_is_not_sent_again() {
        let app: Router = client_js();
        let mut tags = BTreeSet::new();
        for (path, _) in FILES {
            let (response, _) = ask(app.clone(), Method::GET, path, "").await;
            let tag = head(&response, "etag").unwrap().to_owned();
            assert!(
                tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2,
                "{tag} is strong"
            );
            for known in [
                tag.clone(),
                format!("\"old\", {tag}"),
                format!("W/{tag}"),
                "*".into(),
            ] {
                let (response, body) = ask(app.clone(), Method::GET, path, &known).await;
                assert_eq!((response.status(), body.len()), (StatusCode::NOT_MODIFIED, 0));
                assert_eq!(head(&response, "etag"), Some(&*tag));
                assert_eq!(head(&response, "cache-control"), Some("no-cache"));
            }
            tags.insert(tag);
        }
        assert_eq!(tags.len(), FILES.len(), "each has its own");
    }

    /// What modules import as they load.
    fn imported() -> BTreeSet<String> {
        let sources = FILES
            .iter()
            .map(|(_, source)| std::str::from_utf8(source).unwrap());
        let lines = sources.flat_map(str::lines);
        let statements = lines.filter(|line| line.starts_with("import ") || line.starts_with("export "));
        let names = statements.filter_map(|line| line.split_once(" from \"./"));
        let names = names.filter_map(|(_, name)| name.split('"').next());
        names
            .map(|name| format!("/dualcast/{}", name.trim_start_matches("dualcast/")))
            .collect()
    }

    #[tokio::test]
    async fn the_first_module_names_the_others_wherever_it_is() {
        let app: Router = Router::new().nest("/static/js", client_js());
        let (response, _) = ask(app.clone(), Method::GET, "/static/js/dualcast.js", "").await;
        let links = head(&response, "link").unwrap().split(", ");
        let mut named = BTreeSet::new();
        for link in links {
            let path = link.strip_prefix('<').unwrap();
            let path = path.strip_suffix(">; rel=modulepreload").unwrap();
            let target = format!("/static/js/{path}");
            let (module, _) = ask(app.clone(), Method::GET, &target, "").await;
            assert_eq!(module.status(), StatusCode::OK, "{target}");
            assert_eq!(head(&module, "link"), None);
            named.insert(format!("/{path}"));
        }
        assert_eq!(named, imported());
    }
}
