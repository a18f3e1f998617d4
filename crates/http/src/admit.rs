//! Admitting a client: its session is counted, its cursor is taken up, its subscription opened.

use dualcast_core::{
    CloseReason, Hub, Identity, Session, Subscribe, SubscribeError, Transport, TransportMeters,
};

use crate::dialect::Dialect;
use crate::error::Error;
use crate::feed::Feed;
use crate::maintenance::maintain;
use crate::options::SessionOptions;
use crate::source::Source;

/// A client that may come in, or that is told at the door why not.
pub struct Admitted {
    /// None where it is sent away.
    pub session: Option<Session>,
    /// What it will hear.
    pub source: Source,
    /// Whether it came back to channels that are finished, and has seen all of them: there is nothing to come back for.
    pub is_over: bool,
    channels: usize,
    is_resumed: bool,
}

/// Opens a session and its subscription. A cursor that the client sent goes before where the route would begin.
///
/// A limit of the hub is not an error here: a browser that is answered with one gives up for good, so the client is let in to be
/// told [`CloseReason::Busy`], and comes back later.
///
/// # Errors
///
/// Where the application asked for something impossible.
pub fn admit(
    transport: Transport,
    subscribe: Subscribe,
    cursor: Option<&str>,
    identity: Option<Identity>,
) -> Result<Admitted, Error> {
    let hub: Hub = subscribe.hub().clone();
    maintain(&hub);
    let (channels, is_resumed) = (subscribe.channels().len(), cursor.is_some());
    let mut session = match hub.open_session(transport, identity) {
        Ok(session) => session,
        Err(reason) => return Ok(Admitted::refused(reason)),
    };
    let subscribe = match cursor {
        Some(cursor) => subscribe.cursor(cursor),
        None => subscribe,
    };
    let subscription = match subscribe.open() {
        Ok(subscription) => subscription,
        Err(SubscribeError::Limit(limit)) => {
            tracing::warn!(%limit, "a client is sent away");
            session.ended(CloseReason::Busy);
            return Ok(Admitted::refused(CloseReason::Busy));
        }
        Err(error) => return Err(error.into()),
    };
    if is_resumed {
        TransportMeters::of(transport).resumed(!subscription.begins_with_a_gap());
    }
    let is_over = is_resumed && subscription.is_exhausted();
    if is_over {
        session.ended(CloseReason::Finished);
    }
    Ok(Admitted {
        session: Some(session),
        source: Source::Subscription(Box::new(subscription)),
        is_over,
        channels,
        is_resumed,
    })
}

impl Admitted {
    /// Opens a session that follows no channel by itself, but has another source.
    #[must_use]
    pub fn without_channel(
        hub: &Hub,
        transport: Transport,
        identity: Option<Identity>,
        source: Source,
    ) -> Self {
        maintain(hub);
        match hub.open_session(transport, identity) {
            Ok(session) => Self {
                session: Some(session),
                source,
                is_over: false,
                channels: 0,
                is_resumed: false,
            },
            Err(reason) => Self::refused(reason),
        }
    }

    /// All that it will be told.
    #[must_use]
    pub fn into_feed(self, dialect: &'static dyn Dialect, options: SessionOptions) -> Feed {
        Feed::new(dialect, self.session, self.source, options).described(self.channels, self.is_resumed)
    }

    fn refused(reason: CloseReason) -> Self {
        Self {
            session: None,
            source: Source::Refused(reason),
            is_over: false,
            channels: 0,
            is_resumed: false,
        }
    }
}
