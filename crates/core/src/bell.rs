//! The bell: whoever is to be woken by a message is woken by a task of its own, and not by who publishes.
//!
//! A wake of a thousand takes long, and meanwhile more is published: so the crowd is woken once the publisher pauses, and reads all of that in one
//! batch. Nobody has to tend the bell. Where nobody does, or no more, sleepers are woken on the spot.

use std::mem;
use std::task::{Context, Poll, Waker};

use crate::sleepers::Woken;
use crate::sync::Mutex;

/// The bell of a hub.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Option<Tended>>);

/// What whoever tends it finds.
#[derive(Debug, Default)]
struct Tended {
    /// Whom it has rung for.
    rung: Vec<Woken>,
    /// Who tends it, and waits for it to ring.
    tender: Option<Waker>,
}

impl Bell {
    /// Sees to it that they are woken. With no lock held.
    pub(crate) fn ring(&self, woken: Woken) {
        if woken.is_empty() {
            return;
        }
        let mut bell = self.0.lock();
        let Some(tended) = &mut *bell else {
            drop(bell);
            return woken.wake();
        };
        tended.rung.push(woken);
        let tender = tended.tender.take();
        drop(bell);
        if let Some(tender) = tender {
            tender.wake();
        }
    }

    /// Somebody begins to tend it.
    pub(crate) fn begin(&self) {
        self.0.lock().get_or_insert_default();
    }

    /// Wakes all that it has rung for, and the task when it rings again. Never ready.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (rung, before) = match &mut *self.0.lock() {
            Some(tended) => (
                mem::take(&mut tended.rung),
                tended.tender.replace(cx.waker().clone()),
            ),
            None => return Poll::Pending,
        };
        drop(before);
        rung.into_iter().for_each(Woken::wake);
        Poll::Pending
    }

    /// Nobody tends it any more.
    pub(crate) fn end(&self) {
        let tended = self.0.lock().take();
        tended
            .into_iter()
            .flat_map(|tended| tended.rung)
            .for_each(Woken::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures::task::noop_waker;

    use super::*;
    use crate::sleepers::Sleepers;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn asleep(wakes: &Arc<Wakes>) -> Woken {
        let mut sleepers = Sleepers::default();
        sleepers.enter(&mut None, &Arc::clone(wakes).into());
        sleepers.take()
    }

    #[test]
    fn who_is_rung_for_is_woken_on_the_spot_unless_somebody_tends_the_bell() {
        let (bell, wakes) = (Bell::default(), Arc::new(Wakes::default()));
        let woken = || wakes.0.load(Ordering::Relaxed);
        bell.ring(asleep(&wakes));
        assert_eq!(woken(), 1);
        bell.begin();
        bell.ring(asleep(&wakes));
        bell.ring(asleep(&wakes));
        assert_eq!(woken(), 1);
        let _ = bell.poll(&mut Context::from_waker(&noop_waker()));
        assert_eq!(woken(), 3);
        bell.ring(asleep(&wakes));
        bell.end();
        assert_eq!(woken(), 4);
        bell.ring(asleep(&wakes));
        assert_eq!(woken(), 5);
    }

    #[test]
    fn whoever_tends_it_is_woken_only_where_somebody_slept() {
        let (bell, wakes, tender) = (Bell::default(), Arc::default(), Arc::<Wakes>::default());
        bell.begin();
        let _ = bell.poll(&mut Context::from_waker(&Arc::clone(&tender).into()));
        bell.ring(Woken::default());
        assert_eq!(tender.0.load(Ordering::Relaxed), 0);
        bell.ring(asleep(&wakes));
        assert_eq!(tender.0.load(Ordering::Relaxed), 1);
    }
}
