//! Lives: one unbroken numbering of a hub's log.
//!
//! With the embedded fan-out a hub lives once. With a broker it begins another life when the broker's log is not the one any
//! more that it was: then numbers may be used again, and a cursor of before says nothing. Where only the hub's memory of it
//! begins anew, two lives have one epoch, and a cursor of before is good.
//!
//! Invariants: the head never falls. A life that is over stays as it was, so that who still holds it reads its own numbers.
//! What is torn is told to whoever followed when it tore. A tear is noted before the head moves behind it: who reads the head
//! first and then the tears passes none.

use std::collections::VecDeque;

use crate::gap::GapReason;
use crate::ingest::NewLife;
use crate::position::{Check, Epoch, Position};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// One life of a hub's log.
#[derive(Debug)]
pub(crate) struct Life {
    /// The how manieth of its hub: what memory holds is said to be of a life by this.
    number: u64,
    epoch: Epoch,
    /// Those of the lives before it, as far as they are known, the latest last.
    before: Vec<Epoch>,
    /// What follows this sequence can't have been seen by who comes from a life before.
    fresh_after: u64,
    /// The sequence of the last record that can be read. Moves after the record is in its log, under both locks.
    head: AtomicU64,
    /// None where there is nobody who could use a number twice.
    checks: Option<Mutex<Checks>>,
    /// The end of the last tear.
    torn_through: AtomicU64,
    tears: Mutex<VecDeque<Tear>>,
}

/// Records of whichever channels that the hub will never get: those after one sequence, up to and including another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tear {
    pub(crate) after: u64,
    pub(crate) through: u64,
    pub(crate) reason: GapReason,
}

/// What is to be thought of a client's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is one of this life.
    Known,
    /// It lies beyond the head: perhaps another node's head is further on.
    Beyond,
    /// Too old for the checks that are kept.
    Unknown,
    /// Its number belongs to another record here.
    Foreign,
}

impl Life {
    /// The only life of a hub that gives out its numbers itself.
    pub(crate) fn alone() -> Self {
        Self {
            number: 1,
            epoch: Epoch::random(),
            before: Vec::new(),
            fresh_after: 0,
            head: AtomicU64::new(0),
            checks: None,
            torn_through: AtomicU64::new(0),
            tears: Mutex::default(),
        }
    }

    /// The life behind this one, whose numbers come from elsewhere.
    pub(crate) fn next(&self, new: &NewLife, max_checks: usize) -> Self {
        // What may have been seen under another epoch must not follow the gap that tells of it: it has no place in memory.
        let head = new.head.max(new.fresh_after);
        let checks = Checks {
            first: head + 1,
            kept: VecDeque::new(),
            capacity: max_checks,
        };
        let mut before = self.before.clone();
        for epoch in std::iter::once(&self.epoch).chain(&new.before) {
            before.retain(|known| known != epoch);
            before.push(*epoch);
        }
        before.retain(|epoch| *epoch != new.epoch);
        before.drain(..before.len().saturating_sub(MAX_BEFORE));
        Self {
            number: self.number + 1,
            epoch: new.epoch,
            before,
            fresh_after: new.fresh_after,
            head: AtomicU64::new(head),
            checks: Some(Mutex::new(checks)),
            torn_through: AtomicU64::new(0),
            tears: Mutex::default(),
        }
    }

    /// Whether a life with this epoch is known to have been before it.
    pub(crate) fn is_behind(&self, epoch: Epoch) -> bool {
        self.before.contains(&epoch)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn fresh_after(&self) -> u64 {
        self.fresh_after
    }

    /// Every record up to here is in its log, or was trimmed from it, or lies in a tear.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
    }

    /// Moves the head. Under the order of the whole.
    pub(crate) fn move_head(&self, sequence: u64) {
        self.head.store(sequence, Ordering::SeqCst);
    }

    /// Notes the check of the record behind the head, before the head moves there, or that of the head's.
    pub(crate) fn note_check(&self, sequence: u64, check: Check) {
        if let Some(checks) = &self.checks {
            checks.lock().note(sequence, check);
        }
    }

    /// The position of a sequence, with its check where that is known.
    pub(crate) fn position(&self, sequence: u64) -> Position {
        let checks = self.checks.as_ref();
        let check = checks.and_then(|checks| checks.lock().get(sequence));
        Position::new(self.epoch, sequence, check)
    }

    /// Judges a position of this epoch.
    pub(crate) fn judge(&self, position: Position) -> Judged {
        let sequence = position.sequence();
        if sequence > self.head() {
            // Where the numbers are given out here, nothing can come of it.
            return self.checks.as_ref().map_or(Judged::Foreign, |_| Judged::Beyond);
        }
        let (Some(checks), Some(check)) = (&self.checks, position.check()) else {
            return Judged::Known;
        };
        match checks.lock().get(sequence) {
            Some(known) if known == check => Judged::Known,
            Some(_) => Judged::Foreign,
            None => Judged::Unknown,
        }
    }

    /// Notes that what follows the head will never come, up to a sequence. Under the order of the whole, before the head moves there.
    pub(crate) fn tear(&self, tear: Tear) {
        let mut tears = self.tears.lock();
        tears.push_back(tear);
        // Too many to remember each: the oldest two are told as one, with all that lies between them.
        if tears.len() > MAX_TEARS
            && let Some(oldest) = tears.pop_front()
            && let Some(next) = tears.front_mut()
        {
            next.after = oldest.after;
        }
        self.torn_through.store(tear.through, Ordering::SeqCst);
    }

    /// The end of the last tear, or 0.
    pub(crate) fn torn_through(&self) -> u64 {
        self.torn_through.load(Ordering::SeqCst)
    }

    /// The first tear that ends behind a sequence.
    pub(crate) fn tear_behind(&self, sequence: u64) -> Option<Tear> {
        if self.torn_through() <= sequence {
            return None;
        }
        let tears = self.tears.lock();
        tears.iter().find(|tear| tear.through > sequence).copied()
    }
}

/// The checks of the newest records, without a hole between them.
#[derive(Debug)]
struct Checks {
    first: u64,
    kept: VecDeque<Check>,
    capacity: usize,
}

impl Checks {
    fn note(&mut self, sequence: u64, check: Check) {
        if self.get(sequence).is_some() {
            return;
        }
        if sequence != self.first + self.kept.len() as u64 {
            self.kept.clear();
            self.first = sequence;
        }
        self.kept.push_back(check);
        if self.kept.len() > self.capacity {
            self.kept.pop_front();
            self.first += 1;
        }
    }

    fn get(&self, sequence: u64) -> Option<Check> {
        let index = sequence.checked_sub(self.first)?;
        self.kept.get(index as usize).copied()
    }
}

/// How many lives before it a life remembers the epochs of. A client that is older than so many is a stranger.
const MAX_BEFORE: usize = 16;

/// How many tears are told each by itself, to a subscription that has not read that far.
const MAX_TEARS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(max_checks: usize) -> Life {
        let new = NewLife {
            head: 10,
            ..NewLife::of(Epoch::random())
        };
        let life = Life::alone().next(&new, max_checks);
        for sequence in 11..=14 {
            life.note_check(sequence, Check::of(sequence));
            life.move_head(sequence);
        }
        life
    }

    #[test]
    fn a_position_is_known_by_the_check_of_its_record() {
        let life = shared(3);
        let position = |sequence, check: u64| Position::new(life.epoch(), sequence, Some(Check::of(check)));
        assert_eq!(life.judge(position(12, 12)), Judged::Known);
        assert_eq!(life.judge(position(12, 13)), Judged::Foreign);
        assert_eq!(
            life.judge(position(11, 11)),
            Judged::Unknown,
            "only three are kept"
        );
        assert_eq!(life.judge(position(15, 15)), Judged::Beyond);
        assert_eq!(life.judge(life.position(14)), Judged::Known);
        assert_eq!(life.position(11).check(), None);
    }

    #[test]
    fn checks_begin_anew_behind_a_hole_and_not_where_one_is_told_twice() {
        let life = shared(99);
        life.note_check(14, Check::of(14));
        assert_eq!(life.position(12).check(), Some(Check::of(12)));
        life.note_check(20, Check::of(20));
        assert_eq!(life.position(14).check(), None);
        assert_eq!(life.position(20).check(), Some(Check::of(20)));
    }

    #[test]
    fn what_is_torn_is_told_even_when_much_is() {
        let life = shared(9);
        let tears = MAX_TEARS as u64 + 2;
        for number in 1..=tears {
            let (after, through) = (100 * number, 100 * number + 10);
            let reason = GapReason::Unavailable;
            life.tear(Tear {
                after,
                through,
                reason,
            });
        }
        let first = life.tear_behind(0).unwrap();
        assert_eq!((first.after, first.through), (100, 310), "the first three in one");
        let last = life.tear_behind(100 * tears).unwrap();
        assert_eq!((last.after, last.through), (100 * tears, 100 * tears + 10));
        assert_eq!(life.tear_behind(life.torn_through()), None);
    }
}
