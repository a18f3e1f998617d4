//! A file, as it is answered.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A module that never changes while the process lives.
#[derive(Debug, Clone)]
pub(crate) struct File {
    source: &'static [u8],
    tag: Arc<str>,
    link: Option<Arc<str>>,
}

impl File {
    pub(crate) fn new(source: &'static [u8], link: Option<String>) -> Self {
        Self {
            source,
            tag: format!("\"{:016x}\"", digest(source)).into(),
            link: link.map(Into::into),
        }
    }

    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response {
        let kept = [
            (header::ETAG, &*self.tag),
            // Kept, but looked at each time: a page never mixes the modules of two versions for longer than a reload.
            (header::CACHE_CONTROL, "no-cache"),
        ];
        if self.is_known(asked) {
            return (StatusCode::NOT_MODIFIED, kept).into_response();
        }
        let of_module = [
            (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let link = self.link.as_deref().map(|link| [(header::LINK, link)]);
        let mut response = (kept, of_module, self.source).into_response();
        response
            .headers_mut()
            .extend(link.into_iter().flatten().filter_map(value));
        response
    }

    /// Whether the client has it already (RFC 9110 section 13.1.2).
    fn is_known(&self, asked: &HeaderMap) -> bool {
        let known = asked.get_all(header::IF_NONE_MATCH).into_iter();
        let known = known.filter_map(|value| value.to_str().ok());
        let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == &*self.tag)
    }
}

fn value((name, text): (HeaderName, &str)) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_str(text).ok()?))
}

/// FNV-1a of 64 bits: two versions of one file differ in it, and nobody else makes files.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
