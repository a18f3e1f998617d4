//! An event stream, heard by a client.

use std::io;

use dualcast_event_stream::EventStream;

use crate::http::{Body, Head, Http};
use crate::http2::Http2Stream;
use crate::told::{End, Told};

/// A response that is an event stream.
#[derive(Debug)]
pub(crate) struct SseStream {
    source: Source,
    pub(crate) head: Head,
    pub(crate) events: EventStream,
    is_multi: bool,
    is_open: bool,
}

#[derive(Debug)]
enum Source {
    Http1(Http, Body),
    Http2(Http2Stream),
}

impl SseStream {
    pub(crate) fn http1(http: Http, head: Head, is_multi: bool) -> Self {
        let body = head.body();
        Self::new(Source::Http1(http, body), head, is_multi)
    }

    pub(crate) fn http2(stream: Http2Stream, head: Head, is_multi: bool) -> Self {
        Self::new(Source::Http2(stream), head, is_multi)
    }

    fn new(source: Source, head: Head, is_multi: bool) -> Self {
        Self {
            source,
            head,
            events: EventStream::default(),
            is_multi,
            is_open: false,
        }
    }

    pub(crate) async fn next(&mut self) -> Told {
        loop {
            if let Some(event) = self.events.event() {
                let is_first = !std::mem::replace(&mut self.is_open, true);
                let retry = if is_first { self.events.retry() } else { None };
                return Told::from_event(event, self.is_multi, retry);
            }
            let piece = match &mut self.source {
                Source::Http1(http, body) => http.body(body).await,
                Source::Http2(stream) => stream.piece().await.map(|piece| piece.map(Vec::from)),
            };
            match piece {
                Ok(Some(piece)) => self.events.feed(&piece),
                Ok(None) => return Told::End(End::Complete(None)),
                Err(error) => return Told::End(cut(&error)),
            }
        }
    }

    /// Vanishes with a reset, or just closes its socket.
    pub(crate) fn vanish(self, is_reset: bool) {
        match self.source {
            Source::Http1(http, _) if is_reset => http.into_socket().reset(),
            Source::Http1(..) => {}
            Source::Http2(stream) if is_reset => stream.http().reset(),
            Source::Http2(stream) => stream.http().hang_up(),
        }
    }
}

fn cut(error: &io::Error) -> End {
    let is_cut = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
    );
    assert!(is_cut, "{error}");
    End::Cut
}
