//! The cursor that a client comes back with.

use axum::http::request::Parts;

/// The header in which an `EventSource` sends the last id it saw (HTML standard, section 9.2.4).
pub const LAST_EVENT_ID_HEADER: &str = "last-event-id";

/// The same as a query parameter: for WebSocket, which can't set headers in a browser, and for a first connect with
/// a position.
pub const LAST_EVENT_ID_PARAMETER: &str = "last-event-id";

/// The cursor in a request: the header's, else the query's. One that isn't text is returned as text that no cursor reads as,
/// so that it ends as a gap like any other that makes no sense.
#[must_use]
pub fn last_event_id(parts: &Parts) -> Option<String> {
    let from_header = parts
        .headers
        .get(LAST_EVENT_ID_HEADER)
        .map(|value| value.to_str().unwrap_or("not text").trim().to_owned())
        .filter(|cursor| !cursor.is_empty());
    from_header.or_else(|| from_query(parts.uri.query()?))
}

/// Cursors need no percent-encoding, so none is undone: what bears any is not one of ours.
fn from_query(query: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, cursor)| *name == LAST_EVENT_ID_PARAMETER && !cursor.is_empty())
        .map(|(_, cursor)| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn cursor(uri: &str, header: Option<&[u8]>) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        if let Some(header) = header {
            request = request.header(LAST_EVENT_ID_HEADER, header);
        }
        last_event_id(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_header_comes_before_the_query() {
        assert_eq!(cursor("/?last-event-id=a-1", None).unwrap(), "a-1");
        assert_eq!(cursor("/?x=1&last-event-id=a-1", Some(b"a-2")).unwrap(), "a-2");
        assert_eq!(cursor("/?last-event-id=a-1", Some(b"")).unwrap(), "a-1");
        assert_eq!(cursor("/?last-event-id=", None), None);
        assert_eq!(cursor("/", None), None);
    }

    #[test]
    fn a_cursor_that_is_not_text_is_still_one_that_was_sent() {
        assert!(cursor("/", Some(b"\xff\xfe")).is_some());
    }
}
