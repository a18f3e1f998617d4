//! A subscription beside its ledger, and the ways to read it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::{CloseReason, Entry, Form, Subscription, Wire};
use futures::task::{ArcWake, waker_ref};

use crate::ledger::Ledger;
use crate::ops::How;
use crate::told::{Lines, Told, from_item};

pub(crate) struct Live {
    pub(crate) subscription: Subscription,
    pub(crate) ledger: Ledger,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) is_asleep: bool,
    /// The numbers of the questions that it asked.
    pub(crate) asked: BTreeSet<usize>,
}

#[derive(Default)]
pub(crate) struct Alarm(AtomicBool);

impl ArcWake for Alarm {
    fn wake_by_ref(alarm: &Arc<Self>) {
        alarm.0.store(true, Ordering::SeqCst);
    }
}

impl Live {
    pub(crate) fn is_woken(&self) -> bool {
        self.alarm.0.load(Ordering::SeqCst)
    }

    pub(crate) fn poll(&mut self, how: How, max_bytes: usize) -> Poll<Result<Vec<Told>, CloseReason>> {
        self.alarm.0.store(false, Ordering::SeqCst);
        let waker = waker_ref(&self.alarm);
        let cx = &mut Context::from_waker(&waker);
        if how == How::Items {
            let items = self.subscription.poll_read(cx, max_bytes);
            return items.map_ok(|items| items.iter().map(from_item).collect());
        }
        let (lines, mut out) = (Lines { is_sealed: false }, VecDeque::new());
        let polled = match how {
            How::Strict => self.subscription.poll_batch(cx, &Strict, max_bytes, &mut out),
            _ => self.subscription.poll_batch(cx, &lines, max_bytes, &mut out),
        };
        polled.map_ok(|_| {
            let told: Vec<_> = out.iter().flat_map(|piece| lines.parse(piece)).collect();
            let gap = told.iter().position(|told| matches!(told, Told::Gap { .. }));
            if how == How::Strict && !self.subscription.is_multi() {
                let mut rest = told[gap.unwrap_or(told.len())..].iter();
                assert!(rest.all(|told| matches!(told, Told::Gap { .. })), "{told:?}");
            }
            told
        })
    }
}

/// Lines, and nothing behind a gap.
struct Strict;

impl Wire for Strict {
    fn form(&self) -> Form {
        Form::new(1, 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        Lines { is_sealed: false }.write(entry, out);
    }

    fn seal(&self, out: Vec<u8>) -> Bytes {
        out.into()
    }

    fn ends_at_gap(&self) -> bool {
        true
    }
}
