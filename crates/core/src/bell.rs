//! The bell: whoever is to be told of a message is told by tasks of its own, and not by who publishes.
//!
//! To tell a thousand takes long, and meanwhile more is published: so the crowd is told once the publisher pauses, and gets all of that in one
//! batch. Those who sleep are woken, and who lent their lanes are sent to. Nobody has to tend the bell. Where nobody does, or no more, all are woken
//! on the spot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::cell::Cell;
use crate::crowd::{Crowd, recall};
use crate::logs::Logs;
use crate::rounds::Round;
use crate::sync::Mutex;

/// To how many clients one sends before others get their time.
const TURN: usize = 128;

/// For how many that are left one more is called of those who tend the bell: to so many one sends in some milliseconds.
const SHARE: usize = 1_024;

/// How long whoever was called is left alone with little to do: to call another costs more than that takes. Then it may be stuck behind something else
/// on its thread.
const PATIENCE: Duration = Duration::from_millis(1);

/// How often whoever publishes is let go on before anybody is told: it may have more. Once is not enough where that comes over one connection: whoever
/// serves it steps aside, too, between some requests and the next.
const PAUSES: u8 = 2;

/// The bell of a hub.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Option<Tended>>);

/// What those who tend it find.
#[derive(Debug, Default)]
struct Tended {
    /// For whom it has rung.
    crowds: VecDeque<Crowd>,
    /// What was begun of it: of each channel one at the most, so that more is sent together where more comes than can be sent.
    rounds: VecDeque<Round>,
    /// Whether the next turn is a round's. They take turns, so that nobody has to wait until a large crowd is told.
    is_rounds_turn: bool,
    /// How often whoever publishes was let go on since it rang.
    pauses: u8,
    /// How many clients are left in all of that.
    left: usize,
    /// Those who tend it and wait for it to ring.
    tenders: Vec<Waker>,
    /// When one of them was called. None once nothing was left to do.
    called_at: Option<Instant>,
}

/// What one of those who tend it does next.
enum Task {
    /// Let others have their time first.
    Pause,
    Wake(Crowd),
    Send(Round),
}

impl Bell {
    /// Sees to it that they are told. With no lock held.
    pub(crate) fn ring(&self, crowd: Crowd) {
        if crowd.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut bell = self.0.lock();
        let Some(tended) = &mut *bell else {
            drop(bell);
            return crowd.wake();
        };
        tended.push(crowd);
        let tender = tended.call(now);
        drop(bell);
        if let Some(tender) = tender {
            tender.wake();
        }
    }

    /// Somebody begins to tend it.
    pub(crate) fn begin(&self) {
        self.0.lock().get_or_insert_default();
    }

    /// Whether anybody tends it.
    pub(crate) fn is_tended(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Tells some of those for whom it has rung, and sees to it that the task goes on with the others, and comes back when it rings again.
    /// Ready where nobody tends it any more.
    pub(crate) fn poll(&self, logs: &Logs, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = TURN;
        while room > 0 {
            let next = match &mut *self.0.lock() {
                Some(tended) => tended.next(room, cx),
                None => return Poll::Ready(()),
            };
            let Some((task, other)) = next else {
                return Poll::Pending;
            };
            if let Some(other) = other {
                other.wake();
            }
            match task {
                Task::Pause => break,
                Task::Wake(crowd) => {
                    room -= 1;
                    crowd.woken.wake();
                    if let Some(cell) = crowd.lent {
                        self.begin_round(cell);
                    }
                }
                Task::Send(round) => {
                    // Where nobody is left of a part, it has cost something all the same.
                    room = room.saturating_sub(round.left().max(1));
                    round.run(logs);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Begins a round, or another behind one that is under way.
    fn begin_round(&self, cell: Arc<Cell>) {
        {
            let mut bell = self.0.lock();
            let mut rounds = bell.iter_mut().flat_map(|tended| &mut tended.rounds);
            if let Some(round) = rounds.find(|round| round.is_of(&cell)) {
                return round.repeat();
            }
        }
        let round = Round::begin(cell);
        let mut bell = self.0.lock();
        let Some(tended) = &mut *bell else {
            drop(bell);
            return recall(round.cell());
        };
        tended.left += round.left();
        tended.rounds.push_back(round);
    }

    /// Nobody tends it any more.
    pub(crate) fn end(&self) {
        let Some(tended) = self.0.lock().take() else {
            return;
        };
        tended.tenders.into_iter().for_each(Waker::wake);
        tended.crowds.into_iter().for_each(Crowd::wake);
        tended.rounds.iter().for_each(|round| recall(round.cell()));
    }
}

impl Tended {
    fn push(&mut self, crowd: Crowd) {
        self.left += crowd.clients;
        self.crowds.push_back(crowd);
    }

    /// Who is to come, now that it has rung.
    fn call(&mut self, now: Instant) -> Option<Waker> {
        let is_little = self.left <= TURN;
        let comes = |at| now.saturating_duration_since(at) < PATIENCE;
        if is_little && self.called_at.is_some_and(comes) {
            return None;
        }
        let tender = self.tenders.pop()?;
        self.called_at = Some(now);
        Some(tender)
    }

    /// What is to be done next, with so many clients at the most, and who is to help with what is left. Where there is nothing, the task waits.
    fn next(&mut self, room: usize, cx: &mut Context<'_>) -> Option<(Task, Option<Waker>)> {
        let is_over = self.crowds.is_empty() && self.rounds.is_empty();
        if !is_over && self.pauses < PAUSES {
            self.pauses += 1;
            return Some((Task::Pause, None));
        }
        self.is_rounds_turn ^= true;
        let is_rounds_turn = self.is_rounds_turn || self.crowds.is_empty();
        let round = is_rounds_turn.then(|| self.rounds.pop_front()).flatten();
        let task = if let Some(mut round) = round {
            let part = round.split_off(room);
            self.left -= part.left();
            if !round.is_over() {
                self.rounds.push_back(round);
            } else if round.is_repeated() {
                self.push(Crowd::lent(Arc::clone(round.cell())));
            }
            Task::Send(part)
        } else if let Some(crowd) = self.crowds.pop_front() {
            self.left -= crowd.clients;
            Task::Wake(crowd)
        } else {
            self.pauses = 0;
            self.called_at = None;
            if !self.tenders.iter().any(|tender| tender.will_wake(cx.waker())) {
                self.tenders.push(cx.waker().clone());
            }
            return None;
        };
        let is_much = self.left > SHARE;
        let other = is_much.then(|| self.tenders.pop()).flatten();
        Some((task, other))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures::task::noop_waker;

    use super::*;
    use crate::hub::Hub;
    use crate::sleepers::Sleepers;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn asleep(wakes: &Arc<Wakes>) -> Crowd {
        let mut sleepers = Sleepers::default();
        sleepers.enter(&mut None, &Arc::clone(wakes).into());
        Crowd {
            clients: 1,
            woken: sleepers.take(),
            lent: None,
        }
    }

    /// Does what there is to do, but for lanes.
    fn poll(bell: &Bell, cx: &mut Context<'_>) {
        let hub = Hub::new();
        // At first it lets others go on.
        for _ in 0..=PAUSES {
            assert!(bell.poll(&hub.ingest().logs, cx).is_pending());
        }
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
        poll(&bell, &mut Context::from_waker(&noop_waker()));
        assert_eq!(woken(), 3);
        bell.ring(asleep(&wakes));
        bell.end();
        assert_eq!(woken(), 4);
        bell.ring(asleep(&wakes));
        assert_eq!(woken(), 5);
    }

    #[test]
    fn nobody_is_told_before_who_publishes_was_let_go_on() {
        let (hub, bell, wakes) = (Hub::new(), Bell::default(), Arc::new(Wakes::default()));
        let mut cx = Context::from_waker(Waker::noop());
        bell.begin();
        for _ in 0..2 {
            let before = wakes.0.load(Ordering::Relaxed);
            for _ in 0..PAUSES {
                bell.ring(asleep(&wakes));
                assert!(bell.poll(&hub.ingest().logs, &mut cx).is_pending());
                assert_eq!(wakes.0.load(Ordering::Relaxed), before);
            }
            assert!(bell.poll(&hub.ingest().logs, &mut cx).is_pending());
            assert_eq!(wakes.0.load(Ordering::Relaxed), before + PAUSES as usize);
        }
    }

    #[test]
    fn one_comes_for_little_until_nothing_is_left_or_it_takes_too_long() {
        let mut tended = Tended::default();
        let mut cx = Context::from_waker(Waker::noop());
        let now = Instant::now();
        let is_called = |tended: &mut Tended, now| {
            tended.tenders = vec![Waker::noop().clone(); 2];
            tended.call(now).is_some()
        };
        assert!(is_called(&mut tended, now));
        assert!(!is_called(&mut tended, now));
        assert!(tended.next(TURN, &mut cx).is_none());
        assert!(is_called(&mut tended, now), "nothing was left");
        assert!(!is_called(&mut tended, now + PATIENCE - Duration::from_nanos(1)));
        assert!(is_called(&mut tended, now + PATIENCE));
        let crowd = |clients| Crowd {
            clients,
            ..Crowd::default()
        };
        tended.push(crowd(TURN));
        assert!(!is_called(&mut tended, now + PATIENCE));
        tended.push(crowd(1));
        assert!(is_called(&mut tended, now + PATIENCE), "it is much");
    }

    #[test]
    fn whoever_tends_it_is_woken_only_where_somebody_slept() {
        let (bell, wakes, tender) = (Bell::default(), Arc::default(), Arc::<Wakes>::default());
        bell.begin();
        poll(&bell, &mut Context::from_waker(&Arc::clone(&tender).into()));
        bell.ring(Crowd::default());
        assert_eq!(tender.0.load(Ordering::Relaxed), 0);
        bell.ring(asleep(&wakes));
        assert_eq!(tender.0.load(Ordering::Relaxed), 1);
    }
}
