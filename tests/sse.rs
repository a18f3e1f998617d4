//! An event stream, heard by a client.

use std::io;

use dualcast_event_stream::EventStream;

use crate::http::{Body, Head, Http};
use crate::told::{End, Told};

/// A response that is an event stream.
#[derive(Debug)]
pub(crate) struct SseStream {
    http: Http,
    pub(crate) head: Head,
    body: Body,
    pub(crate) events: EventStream,
    is_multi: bool,
    is_open: bool,
}

impl SseStream {
    pub(crate) fn new(http: Http, head: Head, is_multi: bool) -> Self {
        Self {
            http,
            body: head.body(),
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
            match self.http.body(&mut self.body).await {
                Ok(Some(piece)) => self.events.feed(&piece),
                Ok(None) => return Told::End(End::Complete(None)),
                Err(error) => return Told::End(cut(&error)),
            }
        }
    }

    pub(crate) fn into_http(self) -> Http {
        self.http
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
