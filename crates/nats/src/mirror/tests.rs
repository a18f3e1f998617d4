//! What was heard, read and asked, in any order: what comes out is whole and in order, or says where it is not.

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
