//! The mirror: how far a node has followed the stream, what it knows to be missing, and whether it is still the same stream.
//!
//! It has no connection and no clock: its task hands in what was heard, read and asked ([`handle_live`](Mirror::handle_live) and the
//! others), then takes out what is next in the stream's order ([`next`](Mirror::next)), and does what it [wants](Mirror::wants).
//!
//! Invariants: what is handed out is in order and without a hole, but for the tears that are handed out themselves. A read that stops short is
//! taken as far as it goes and not believed beyond that. Only a number that the stream's leader says is gone counts as gone. Nothing is torn while the
//! broker is away, while it may be another stream, or while nothing waits behind the hole.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use dualcast_core::GapReason;

use crate::stream::State;

/// What a node has of the stream.
#[derive(Debug)]
pub(crate) struct Mirror<T> {
    options: MirrorOptions,
    /// When the stream was made: one that was made anew is another.
    created_ns: i64,
    head: u64,
    /// When the newest records up to the head were stored.
    times: VecDeque<i64>,
    /// The highest number that is known to be given out.
    known_last: u64,
    /// What was heard beyond a hole.
    aside: BTreeMap<u64, Stored<T>>,
    aside_bytes: usize,
    ready: VecDeque<Next<T>>,
    /// Since when the next record is missing, or was last come nearer to.
    missing_since: Option<Instant>,
    /// Whether something happened after which it may be another stream. Until that is settled nothing is shown.
    is_in_doubt: bool,
    /// How often in a row the leader said that the stream ends before the head.
    fallen: u32,
    is_other: bool,
}

/// The bounds of a mirror.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MirrorOptions {
    /// The most messages that are put aside beyond a hole. Further ones are read back.
    pub(crate) max_aside: usize,
    /// The most bytes of them.
    pub(crate) max_aside_bytes: usize,
    /// The most records that are read at a time.
    pub(crate) max_read: u64,
    /// For how long what is missing holds up what is there.
    pub(crate) hole_deadline: Duration,
}

/// A record, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<T> {
    pub(crate) sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// What it counts for in memory.
    pub(crate) bytes: usize,
    pub(crate) content: T,
}

/// What is next in the stream's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next<T> {
    Record(Stored<T>),
    /// What stands between the last one and up to this number won't come.
    Tear {
        through: u64,
        reason: GapReason,
    },
}

/// What its task should do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Begin anew: it is another stream.
    NewLife,
    /// Look at how the stream stands, and when the record with this number was stored.
    Proof {
        of: u64,
    },
    /// Read these records, the first and the last included.
    Read {
        from: u64,
        through: u64,
    },
    Nothing,
}

/// What the leader says of a record, by which it is known to be the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It was not asked. That settles no doubt.
    None,
    /// It is gone, and proves nothing any more.
    Gone,
    /// When it was stored, in nanoseconds since 1970.
    StoredAt(i64),
}

/// What a read of the stream brought.
#[derive(Debug)]
pub(crate) struct ReadBack<T> {
    /// In order.
    pub(crate) records: Vec<Stored<T>>,
    /// The numbers of records that the leader says are gone.
    pub(crate) gone: Vec<(u64, u64)>,
}

impl<T> Mirror<T> {
    /// Has all up to a number, of a stream that was made then.
    pub(crate) fn new(options: MirrorOptions, created_ns: i64, head: u64) -> Self {
        Self {
            options,
            created_ns,
            head,
            times: VecDeque::new(),
            known_last: head,
            aside: BTreeMap::new(),
            aside_bytes: 0,
            ready: VecDeque::new(),
            missing_since: None,
            is_in_doubt: false,
            fallen: 0,
            is_other: false,
        }
    }

    /// The number of the last record that was handed out, or is ready to be.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Whether it knows of nothing that it lacks.
    pub(crate) fn is_whole(&self) -> bool {
        self.known_last <= self.head && !self.is_in_doubt && !self.is_other
    }

    /// Whether it may be another stream than it was.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt || self.is_other
    }

    /// For how long what is known to be missing has been missing.
    pub(crate) fn missing_for(&self, now: Instant) -> Duration {
        self.missing_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// A record was heard.
    pub(crate) fn handle_live(&mut self, stored: Stored<T>, now: Instant) {
        if self.is_other {
            return;
        }
        self.known_last = self.known_last.max(stored.sequence);
        if stored.sequence <= self.head {
            // Heard twice, or a number that is given out twice.
            match self.time_of(stored.sequence) {
                Some(time_ns) if time_ns == stored.time_ns => {}
                Some(_) => self.is_other = true,
                None => self.is_in_doubt = true,
            }
        } else if stored.sequence == self.head + 1 && !self.is_in_doubt {
            self.take(stored, now);
        } else {
            self.put_aside(stored);
        }
        self.settle(now);
    }

    /// A record of this number is stored, says who published it.
    pub(crate) fn handle_known(&mut self, sequence: u64, now: Instant) {
        self.known_last = self.known_last.max(sequence);
        self.settle(now);
    }

    /// Something happened after which messages may be missing, or the stream be another: a connection was made, a buffer was full, the
    /// leader gave no answer.
    pub(crate) fn handle_doubt(&mut self) {
        self.is_in_doubt = true;
        // What was heard before may be of a stream that is none any more: a broker that was killed may have lost its last records.
        self.aside.clear();
        self.aside_bytes = 0;
    }

    /// Another node says that it is another stream.
    pub(crate) fn handle_other_life(&mut self) {
        self.is_other = true;
    }

    /// How the stream stands, says its leader, who was asked when the head was `asked_at`; and what it says of the record there.
    pub(crate) fn handle_state(&mut self, state: &State, asked_at: u64, proof: Proof, now: Instant) {
        let is_other_record =
            |sequence, time_ns| self.time_of(sequence).is_some_and(|known: i64| known != time_ns);
        // An empty stream says nothing of its last record.
        let is_other_last =
            state.records > 0 && is_other_record(state.last_sequence, state.last_timestamp_ns);
        let is_other_proof = matches!(proof, Proof::StoredAt(time_ns) if is_other_record(asked_at, time_ns));
        if state.created_ns != self.created_ns || is_other_last || is_other_proof {
            self.is_other = true;
            return;
        }
        if state.last_sequence < asked_at {
            // A server that has just become the leader may not have caught up with what it knows to be stored.
            self.is_in_doubt = true;
            self.fallen += 1;
            self.is_other = self.fallen >= FALLEN;
            return;
        }
        self.fallen = 0;
        if self.is_in_doubt && proof != Proof::None {
            self.is_in_doubt = false;
            // What was known before may be of another, too.
            let heard = self.aside.keys().next_back().copied();
            self.known_last = heard.unwrap_or(0).max(self.head);
        }
        self.known_last = self.known_last.max(state.last_sequence);
        if state.first_sequence > self.head + 1 {
            self.tear(state.first_sequence - 1, GapReason::Trimmed, now);
        }
        self.settle(now);
    }

    /// The read that it wanted is over. An error: nothing could be read.
    pub(crate) fn handle_read<E>(&mut self, read: Result<ReadBack<T>, E>, now: Instant) {
        let Ok(ReadBack { records, gone }) = read else {
            return;
        };
        if self.is_in_doubt || self.is_other {
            // Of which stream it is can't be said.
            return;
        }
        let is_other = |stored: &Stored<T>| {
            self.time_of(stored.sequence)
                .is_some_and(|known| known != stored.time_ns)
        };
        if records.iter().any(is_other) {
            self.is_other = true;
            return;
        }
        let mut gone = gone.into_iter().peekable();
        for stored in records {
            self.pass_gone(&mut gone, stored.sequence, now);
            if stored.sequence == self.head + 1 {
                self.take(stored, now);
            } else if stored.sequence > self.head {
                // It stopped short here: what comes behind is read again, or was heard.
                break;
            }
        }
        self.pass_gone(&mut gone, u64::MAX, now);
        self.settle(now);
    }

    /// Time has passed. What is missing for too long, while others wait behind it, is given up.
    pub(crate) fn handle_time(&mut self, is_connected: bool, now: Instant) {
        let Some(since) = self.missing_since else {
            return;
        };
        if !is_connected || self.is_in_doubt {
            // Nothing can be read now, and nothing is to be blamed on the hole.
            self.missing_since = Some(now);
        } else if now.saturating_duration_since(since) >= self.options.hole_deadline
            && let Some(first) = self.aside.keys().next().copied()
        {
            self.tear(first - 1, GapReason::Unavailable, now);
            self.settle(now);
        }
    }

    /// What is next in the stream's order.
    pub(crate) fn next(&mut self) -> Option<Next<T>> {
        self.ready.pop_front()
    }

    /// What is to be done for it now, unless it is being done.
    pub(crate) fn wants(&self) -> Wants {
        if self.is_other {
            return Wants::NewLife;
        }
        if self.is_in_doubt {
            return Wants::Proof { of: self.head };
        }
        if self.known_last <= self.head {
            return Wants::Nothing;
        }
        // The head itself comes with it where that can be compared: then what follows is of the same stream.
        let is_comparable = self.time_of(self.head).is_some();
        let before_aside = self
            .aside
            .keys()
            .next()
            .map_or(self.known_last, |first| first - 1);
        Wants::Read {
            from: self.head + u64::from(!is_comparable),
            through: before_aside.min(self.head + self.options.max_read),
        }
    }

    fn take(&mut self, stored: Stored<T>, now: Instant) {
        self.head = stored.sequence;
        self.times.push_back(stored.time_ns);
        if self.times.len() > KEPT_TIMES {
            self.times.pop_front();
        }
        self.missing_since = Some(now);
        self.ready.push_back(Next::Record(stored));
    }

    fn put_aside(&mut self, stored: Stored<T>) {
        let is_full = self.aside.len() >= self.options.max_aside
            || self.aside_bytes + stored.bytes > self.options.max_aside_bytes;
        if !is_full {
            self.aside_bytes += stored.bytes;
            if let Some(before) = self.aside.insert(stored.sequence, stored) {
                self.aside_bytes -= before.bytes;
            }
        }
    }

    /// Gives up what is missing up to a number.
    fn tear(&mut self, through: u64, reason: GapReason, now: Instant) {
        self.head = through;
        self.times.clear();
        self.known_last = self.known_last.max(through);
        self.missing_since = Some(now);
        self.ready.push_back(Next::Tear { through, reason });
    }

    /// Passes what is gone right behind the head, below a number.
    fn pass_gone(
        &mut self,
        gone: &mut std::iter::Peekable<impl Iterator<Item = (u64, u64)>>,
        below: u64,
        now: Instant,
    ) {
        while let Some((from, through)) = gone.next_if(|(from, _)| *from < below) {
            if from <= self.head + 1 && through > self.head {
                self.tear(through, GapReason::Trimmed, now);
            }
        }
    }

    /// Takes what was put aside, as far as it goes on from the head, and drops what is behind the head by now.
    fn settle(&mut self, now: Instant) {
        while !self.is_in_doubt
            && let Some(entry) = self.aside.first_entry()
            && *entry.key() <= self.head + 1
        {
            let stored = entry.remove();
            self.aside_bytes -= stored.bytes;
            if stored.sequence == self.head + 1 {
                self.take(stored, now);
            } else if self
                .time_of(stored.sequence)
                .is_some_and(|time| time != stored.time_ns)
            {
                self.is_other = true;
            }
        }
        if self.known_last <= self.head {
            self.missing_since = None;
        } else {
            self.missing_since.get_or_insert(now);
        }
    }

    /// When the record with this number was stored, where that is remembered.
    fn time_of(&self, sequence: u64) -> Option<i64> {
        let behind = self.head.checked_sub(sequence)? as usize;
        let index = self.times.len().checked_sub(behind + 1)?;
        self.times.get(index).copied()
    }
}

/// How often the leader has to say so before it is believed that the stream ends before the head.
const FALLEN: u32 = 3;

/// Of how many records it is remembered when they were stored: more than are ever heard again after the record that follows them.
const KEPT_TIMES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: MirrorOptions = MirrorOptions {
        max_aside: 4,
        max_aside_bytes: 1_000,
        max_read: 10,
        hole_deadline: Duration::from_secs(10),
    };

    /// A record that was stored at the time that its number says.
    fn stored(sequence: u64) -> Stored<u64> {
        Stored {
            sequence,
            time_ns: 1_000 * sequence as i64,
            bytes: 1,
            content: sequence,
        }
    }

    fn state(first_sequence: u64, last_sequence: u64) -> State {
        State {
            first_sequence,
            last_sequence,
            last_timestamp_ns: 1_000 * last_sequence as i64,
            records: last_sequence + 1 - first_sequence,
            bytes: 0,
            deleted: 0,
            created_ns: 7,
            now_ns: 0,
            leader: None,
        }
    }

    fn mirror(head: u64, now: Instant) -> Mirror<u64> {
        let mut mirror = Mirror::new(OPTIONS, 7, 0);
        for sequence in 1..=head {
            mirror.handle_live(stored(sequence), now);
        }
        assert_eq!(taken(&mut mirror), numbers(1..=head));
        mirror
    }

    /// What comes out, as text: `5` for a record, `-9` for a tear through 9.
    fn taken(mirror: &mut Mirror<u64>) -> Vec<String> {
        std::iter::from_fn(|| mirror.next())
            .map(|next| match next {
                Next::Record(stored) => stored.sequence.to_string(),
                Next::Tear { through, reason } => format!("-{through} {reason}"),
            })
            .collect()
    }

    fn numbers(range: impl Iterator<Item = u64>) -> Vec<String> {
        range.map(|number| number.to_string()).collect()
    }

    fn read(records: impl IntoIterator<Item = u64>) -> Result<ReadBack<u64>, ()> {
        Ok(ReadBack {
            records: records.into_iter().map(stored).collect(),
            gone: Vec::new(),
        })
    }

    #[test]
    fn a_hole_is_read_back_before_anything_after_it_is_shown() {
        let now = Instant::now();
        let mut mirror = mirror(2, now);
        mirror.handle_live(stored(5), now);
        mirror.handle_live(stored(6), now);
        assert!(taken(&mut mirror).is_empty() && !mirror.is_whole());
        assert_eq!(mirror.wants(), Wants::Read { from: 2, through: 4 });
        mirror.handle_live(stored(7), now);
        mirror.handle_read(read([3, 4]), now);
        assert_eq!(taken(&mut mirror), numbers(3..=7));
        assert!(mirror.is_whole());
        assert_eq!(mirror.wants(), Wants::Nothing);
    }

    #[test]
    fn a_read_that_stops_short_is_not_believed_beyond_that() {
        let now = Instant::now();
        let mut mirror = mirror(2, now);
        mirror.handle_live(stored(9), now);
        mirror.handle_read(read([3, 4]), now);
        assert_eq!(taken(&mut mirror), ["3", "4"]);
        assert_eq!(mirror.wants(), Wants::Read { from: 4, through: 8 });
        mirror.handle_read(read([6, 7, 8]), now);
        assert!(taken(&mut mirror).is_empty(), "5 is missing");
        assert_eq!(mirror.wants(), Wants::Read { from: 4, through: 8 });
        mirror.handle_read::<()>(Err(()), now);
        assert_eq!(mirror.wants(), Wants::Read { from: 4, through: 8 });
        mirror.handle_read(read([5, 6, 7, 8]), now);
        assert_eq!(taken(&mut mirror), numbers(5..=9));
    }

    #[test]
    fn a_read_of_another_stream_shows_nothing() {
        let now = Instant::now();
        let other_head = Stored {
            time_ns: 1,
            ..stored(2)
        };
        let mut changed = mirror(2, now);
        changed.handle_known(4, now);
        let read = ReadBack {
            records: vec![other_head, stored(3), stored(4)],
            gone: Vec::new(),
        };
        changed.handle_read::<()>(Ok(read), now);
        assert!(taken(&mut changed).is_empty());
        assert_eq!(changed.wants(), Wants::NewLife);
        // One that was under way when a doubt came may be of either.
        let mut doubtful = mirror(2, now);
        doubtful.handle_known(4, now);
        doubtful.handle_doubt();
        doubtful.handle_read(super::tests::read([2, 3, 4]), now);
        assert!(taken(&mut doubtful).is_empty());
    }

    #[test]
    fn what_a_killed_broker_lost_beyond_a_hole_is_not_waited_for() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_live(stored(6), now);
        mirror.handle_doubt();
        mirror.handle_state(&state(1, 4), 3, Proof::StoredAt(3_000), now);
        mirror.handle_read(read([3, 4]), now);
        assert!(mirror.is_whole());
        assert_eq!(taken(&mut mirror), ["4"]);
        // Its number is given out again.
        let again = Stored {
            time_ns: 1,
            ..stored(6)
        };
        mirror.handle_live(stored(5), now);
        mirror.handle_live(again, now);
        assert_eq!(taken(&mut mirror), ["5", "6"]);
    }

    #[test]
    fn only_a_proof_settles_a_doubt() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_doubt();
        mirror.handle_state(&state(1, 4), 3, Proof::None, now);
        assert_eq!(mirror.wants(), Wants::Proof { of: 3 });
        mirror.handle_state(&state(1, 4), 3, Proof::Gone, now);
        assert_eq!(mirror.wants(), Wants::Read { from: 3, through: 4 });
    }

    #[test]
    fn a_hole_at_the_silent_tail_is_found_by_asking() {
        let now = Instant::now();
        let mut mirror = mirror(2, now);
        mirror.handle_state(&state(1, 4), 0, Proof::None, now);
        assert_eq!(mirror.wants(), Wants::Read { from: 2, through: 4 });
        // Heard late, and then read.
        mirror.handle_live(stored(3), now);
        mirror.handle_read(read([3, 4]), now);
        assert_eq!(taken(&mut mirror), ["3", "4"]);
        mirror.handle_live(stored(4), now);
        assert!(taken(&mut mirror).is_empty() && mirror.is_whole());
    }

    #[test]
    fn what_a_publisher_knows_to_be_stored_is_missed() {
        let now = Instant::now();
        let mut mirror = mirror(2, now);
        mirror.handle_known(2, now);
        assert_eq!(mirror.wants(), Wants::Nothing);
        mirror.handle_known(3, now);
        assert_eq!(mirror.wants(), Wants::Read { from: 2, through: 3 });
    }

    #[test]
    fn a_long_hole_is_read_piece_by_piece_while_the_newest_is_put_aside() {
        let now = Instant::now();
        let mut mirror = mirror(2, now);
        for sequence in 40..50 {
            mirror.handle_live(stored(sequence), now);
        }
        assert_eq!(mirror.aside.len(), OPTIONS.max_aside);
        let mut all = Vec::new();
        while let Wants::Read { from, through } = mirror.wants() {
            assert!(through - from <= OPTIONS.max_read);
            mirror.handle_read(read(from..=through), now);
            all.extend(taken(&mut mirror));
        }
        assert_eq!(all, numbers(3..=49));
        assert_eq!((mirror.aside.len(), mirror.aside_bytes), (0, 0));
    }

    #[test]
    fn a_hole_that_nobody_can_read_is_torn_and_holds_up_nothing_for_longer() {
        let start = Instant::now();
        let mut mirror = mirror(2, start);
        mirror.handle_live(stored(5), start);
        mirror.handle_live(stored(8), start);
        let later = start + OPTIONS.hole_deadline;
        mirror.handle_time(true, later - Duration::from_nanos(1));
        assert!(taken(&mut mirror).is_empty());
        mirror.handle_time(true, later);
        assert_eq!(taken(&mut mirror), ["-4 unavailable", "5"]);
        // The next hole has its own time.
        mirror.handle_time(true, later);
        assert!(taken(&mut mirror).is_empty());
        mirror.handle_time(true, later + OPTIONS.hole_deadline);
        assert_eq!(taken(&mut mirror), ["-7 unavailable", "8"]);
        // A read that was on its way comes too late.
        mirror.handle_read(read([3, 4, 5, 6, 7]), later);
        assert!(taken(&mut mirror).is_empty() && mirror.is_whole());
    }

    #[test]
    fn nothing_is_torn_while_the_broker_is_away_or_nothing_waits() {
        let start = Instant::now();
        let mut away = mirror(2, start);
        away.handle_live(stored(5), start);
        for seconds in 1..100 {
            away.handle_time(false, start + Duration::from_secs(seconds));
        }
        assert!(taken(&mut away).is_empty());
        let mut silent = mirror(2, start);
        silent.handle_known(5, start);
        silent.handle_time(true, start + Duration::from_secs(100));
        assert!(taken(&mut silent).is_empty());
        assert_eq!(silent.wants(), Wants::Read { from: 2, through: 5 });
    }

    #[test]
    fn nothing_is_torn_while_it_may_be_another_stream() {
        let start = Instant::now();
        let mut mirror = mirror(2, start);
        mirror.handle_doubt();
        mirror.handle_live(stored(3), start);
        mirror.handle_time(true, start + OPTIONS.hole_deadline);
        assert!(taken(&mut mirror).is_empty());
        // What was known of the head is known still.
        mirror.handle_state(&state(1, 3), 2, Proof::StoredAt(1), start + OPTIONS.hole_deadline);
        assert_eq!(mirror.wants(), Wants::NewLife);
    }

    #[test]
    fn a_read_that_comes_nearer_gets_more_time() {
        let start = Instant::now();
        let mut mirror = mirror(2, start);
        mirror.handle_live(stored(6), start);
        let later = start + OPTIONS.hole_deadline - Duration::from_secs(1);
        mirror.handle_read(read([3]), later);
        mirror.handle_time(true, start + OPTIONS.hole_deadline);
        assert_eq!(taken(&mut mirror), ["3"]);
    }

    #[test]
    fn what_the_leader_says_is_gone_is_torn_as_trimmed() {
        let now = Instant::now();
        // Aged out while the node was away.
        let mut aged = mirror(2, now);
        aged.handle_state(&state(6, 8), 0, Proof::None, now);
        assert_eq!(taken(&mut aged), ["-5 trimmed"]);
        assert_eq!(aged.wants(), Wants::Read { from: 6, through: 8 });
        aged.handle_read(read([6, 7, 8]), now);
        assert_eq!(taken(&mut aged), ["6", "7", "8"]);
        // Deleted inside.
        let mut deleted = mirror(2, now);
        deleted.handle_live(stored(8), now);
        let read = ReadBack {
            records: [4, 6].map(stored).into(),
            gone: vec![(3, 3), (5, 5), (7, 7)],
        };
        deleted.handle_read::<()>(Ok(read), now);
        let expected = ["-3 trimmed", "4", "-5 trimmed", "6", "-7 trimmed", "8"];
        assert_eq!(taken(&mut deleted), expected);
    }

    #[test]
    fn a_message_that_is_heard_twice_is_shown_once() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_live(stored(2), now);
        mirror.handle_live(stored(3), now);
        assert!(taken(&mut mirror).is_empty());
        assert_eq!(mirror.wants(), Wants::Nothing);
    }

    #[test]
    fn numbers_that_are_given_out_again_are_another_stream() {
        let now = Instant::now();
        let again = |sequence| Stored {
            time_ns: 1,
            ..stored(sequence)
        };
        let mut heard = mirror(3, now);
        heard.handle_live(again(2), now);
        assert_eq!(heard.wants(), Wants::NewLife);
        let mut fallen = mirror(3, now);
        for _ in 0..FALLEN {
            assert!(!fallen.is_other);
            fallen.handle_state(&state(1, 2), 3, Proof::None, now);
        }
        assert_eq!(fallen.wants(), Wants::NewLife);
        let mut other_last = mirror(3, now);
        let other = State {
            last_timestamp_ns: 1,
            ..state(1, 3)
        };
        other_last.handle_state(&other, 0, Proof::None, now);
        assert_eq!(other_last.wants(), Wants::NewLife);
        let mut made_anew = mirror(3, now);
        let other = State {
            created_ns: 8,
            ..state(1, 3)
        };
        made_anew.handle_state(&other, 0, Proof::None, now);
        assert_eq!(made_anew.wants(), Wants::NewLife);
        // What comes of it is not shown any more.
        made_anew.handle_live(stored(4), now);
        assert!(taken(&mut made_anew).is_empty());
    }

    #[test]
    fn after_a_doubt_the_record_at_the_head_is_the_proof() {
        let now = Instant::now();
        let mut same = mirror(3, now);
        same.handle_doubt();
        assert_eq!(same.wants(), Wants::Proof { of: 3 });
        assert!(!same.is_whole());
        same.handle_state(&state(1, 5), 3, Proof::StoredAt(3_000), now);
        assert_eq!(same.wants(), Wants::Read { from: 3, through: 5 });
        let mut other = mirror(3, now);
        other.handle_doubt();
        // Others have published so much since that its last number says nothing.
        other.handle_state(&state(1, 5), 3, Proof::StoredAt(1), now);
        assert_eq!(other.wants(), Wants::NewLife);
        // A number below all that is remembered makes a doubt.
        let mut old = mirror(2_000, now);
        old.handle_live(stored(5), now);
        assert_eq!(old.wants(), Wants::Proof { of: 2_000 });
    }

    #[test]
    fn while_in_doubt_nothing_is_shown() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_doubt();
        mirror.handle_live(stored(4), now);
        assert!(taken(&mut mirror).is_empty());
        mirror.handle_state(&state(1, 4), 3, Proof::StoredAt(3_000), now);
        assert_eq!(taken(&mut mirror), ["4"]);
        assert!(mirror.is_whole());
    }

    #[test]
    fn an_answer_that_live_messages_overtook_says_nothing_against_them() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_live(stored(4), now);
        for _ in 0..FALLEN {
            mirror.handle_state(&state(1, 3), 3, Proof::None, now);
        }
        assert_eq!(mirror.wants(), Wants::Nothing);
    }

    #[test]
    fn a_new_leader_that_lags_for_a_moment_is_asked_again() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        mirror.handle_state(&state(1, 2), 3, Proof::None, now);
        assert_eq!(mirror.wants(), Wants::Proof { of: 3 });
        mirror.handle_state(&state(1, 3), 3, Proof::StoredAt(3_000), now);
        assert!(mirror.is_whole());
        mirror.handle_state(&state(1, 2), 3, Proof::None, now);
        mirror.handle_state(&state(1, 3), 3, Proof::StoredAt(3_000), now);
        assert_eq!(mirror.fallen, 0);
    }

    #[test]
    fn a_purged_stream_is_the_same_stream() {
        let now = Instant::now();
        let mut mirror = mirror(3, now);
        let purged = State {
            records: 0,
            last_timestamp_ns: 0,
            ..state(4, 3)
        };
        mirror.handle_doubt();
        mirror.handle_state(&purged, 3, Proof::Gone, now);
        assert!(mirror.is_whole() && taken(&mut mirror).is_empty());
    }
}
