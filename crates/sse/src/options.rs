//! What only an event stream can be told.

use dualcast_http::SessionOptions;

/// The bounds of one event stream, and how it says what is not a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SseOptions {
    /// The bounds that both transports have.
    pub session: SessionOptions,
    /// How a sign of life stands on the stream. Default [`HeartbeatAs::Event`].
    pub heartbeat_as: HeartbeatAs,
    /// How many bytes of a comment follow the head at once, for a proxy that holds back a response until it has so many.
    /// Default 0: none of those that are known to buffer does it by a count of bytes, and a page pays for them at each reconnect.
    /// No more than 64 KiB.
    pub padding_bytes: usize,
    /// Whether the stream is plain: for clients that take all data for JSON of one kind, as those of AI completions do.
    /// Default no.
    ///
    /// Then nothing of Dualcast's own is an event. Heartbeats are comments. The end of the channel is `data: [DONE]`. Any other
    /// end, and a gap, is an error object, `data: {"error":{…}}`, with no `[DONE]` after it: so what lacks a part never
    /// passes for whole. Publish to it as `message`, which has no `event:` line.
    pub is_plain: bool,
    /// Whether the head names the channels, in [`CHANNEL_HEADER`]: for a client that started what it hears and has to find
    /// it again, such as an AI completion. Default no. Pages of another origin read it only where CORS exposes it.
    pub names_channels: bool,
}

/// The most that [`SseOptions::padding_bytes`] comes to: more than any buffer on the way that counts bytes.
pub(crate) const MAX_PADDING_BYTES: usize = 64 << 10;

/// The header of a response that names the stream's channels, with commas between them, where
/// [`SseOptions::names_channels`] says so.
pub const CHANNEL_HEADER: &str = "dualcast-channel";

/// How a sign of life stands on an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HeartbeatAs {
    /// An event, `dualcast:heartbeat`, with an id: the client's cursor keeps up with a quiet hour, and page code sees that
    /// the stream lives.
    #[default]
    Event,
    /// A comment, which no client shows and which can't bear an id. The price: a client that is cut before its first message
    /// comes back without a cursor, as if it were new; one that heard its last message long ago comes back with a cursor
    /// that the log may have trimmed; and a page can't tell a silent stream from a dead one.
    Comment,
}
