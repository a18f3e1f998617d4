//! The past: a reader of one channel that stands before what the hub's memory holds, and reads pages that the fan-out brings.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::history::{History, Page};
use crate::record::Record;
use crate::sync::Mutex;

/// Where such a reader is with its reading.
pub(crate) enum Past {
    /// A page is on its way.
    Asked {
        /// Behind a lock that nobody has to take: so that a subscription can be shared, though a future can't.
        history: Mutex<History>,
        /// Where the reader stands.
        after: u64,
    },
    /// It has one. Which record of it comes next is the reader's place.
    Reading(Arc<Page>),
}

/// What a page came to.
pub(crate) enum Arrived {
    Page {
        page: Arc<Page>,
        after: u64,
    },
    /// It could not be read.
    Unread,
}

impl Past {
    /// Waits for the page that was asked for. None where none was.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Poll<Arrived>> {
        let Self::Asked { history, after } = self else {
            return None;
        };
        let after = *after;
        Some(history.get_mut().as_mut().poll(cx).map(|read| match read {
            Ok(page) => Arrived::Page { page, after },
            Err(_) => Arrived::Unread,
        }))
    }

    pub(crate) fn is_asked(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    /// Up to where everything is known: where nothing is, up to where the reader stands.
    pub(crate) fn through(&self) -> u64 {
        match self {
            Self::Asked { after, .. } => *after,
            Self::Reading(page) => page.through,
        }
    }

    pub(crate) fn records(&self) -> &[Arc<Record>] {
        match self {
            Self::Asked { .. } => &[],
            Self::Reading(page) => &page.records,
        }
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("is_asked", &self.is_asked())
            .field("through", &self.through())
            .finish()
    }
}
