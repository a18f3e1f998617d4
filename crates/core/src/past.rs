//! The past: a reader of one channel that stands before what the hub's memory holds, and reads pages that the fan-out brings.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::history::{History, Lease, Page};
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
        /// Whether the page has to lead further. The first one may just say that the reader stands where it thinks.
        is_further: bool,
    },
    /// It has one. Which record of it comes next is the reader's place.
    Reading {
        page: Arc<Page>,
        /// Up to here it counts.
        through: u64,
    },
    /// It won't get one.
    Unread,
}

impl Past {
    /// Waits for the page that was asked for. None: it could not be read, or leads nowhere.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<Page>>> {
        let Self::Asked {
            history,
            after,
            is_further,
        } = self
        else {
            return Poll::Ready(None);
        };
        let least = *after + u64::from(*is_further);
        let read = ready!(history.get_mut().as_mut().poll(cx));
        let page = read
            .ok()
            .filter(|page| page.is_of_another_history() || page.through >= least);
        if page.is_none() {
            *self = Self::Unread;
        }
        Poll::Ready(page)
    }

    /// Whether there is nothing to read in it yet.
    pub(crate) fn is_awaited(&self) -> bool {
        !matches!(self, Self::Reading { .. })
    }

    /// Up to where everything is known, where anything is.
    pub(crate) fn through(&self) -> Option<u64> {
        match self {
            Self::Reading { through, .. } => Some(*through),
            Self::Asked { .. } | Self::Unread => None,
        }
    }

    /// What is kept for the page that is read.
    pub(crate) fn lease(&self) -> Option<Lease> {
        match self {
            Self::Reading { page, .. } => page.lease.clone(),
            Self::Asked { .. } | Self::Unread => None,
        }
    }

    pub(crate) fn records(&self) -> &[Arc<Record>] {
        match self {
            Self::Reading { page, .. } => &page.records,
            Self::Asked { .. } | Self::Unread => &[],
        }
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past")
            .field("is_awaited", &self.is_awaited())
            .field("through", &self.through())
            .finish()
    }
}
