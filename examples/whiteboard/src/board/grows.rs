//! Whatever is asked for and let in, a board takes no more than it may.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::admission::{Growth, MAX_BOARD_BYTES, MAX_OBJECT_BYTES};
use super::change::Sent;
use super::*;

/// Messages that a hostile page would send: large things, credit for what is taken away, and what was deleted long ago.
fn change() -> impl Strategy<Value = Change> {
    let id = || (0..150_usize).prop_map(|id| format!("o{id}"));
    let text = || prop_oneof![Just(0), Just(10), Just(2_000)].prop_map(|length| Some("\u{1}".repeat(length)));
    let set = |props| (id(), props).prop_map(|(id, props)| Change::Set { id, props });
    let deleted = any::<bool>().prop_map(|deleted| Props {
        deleted: Some(deleted),
        ..Props::default()
    });
    let x = (-100_000..100_000_i64).prop_map(|x| Props {
        x: Some(x),
        ..Props::default()
    });
    let texts = text().prop_map(|text| Props {
        text,
        ..Props::default()
    });
    prop_oneof![
        3 => (id(), 1..2_000_usize).prop_map(|(id, points)| Change::Add { id, kind: object::Kind::Stroke, props: stroke(points) }),
        3 => (id(), text()).prop_map(|(id, text)| Change::Add { id, kind: object::Kind::Note, props: note(text) }),
        4 => set(texts.boxed()),
        4 => set(deleted.boxed()),
        1 => set(x.boxed()),
        1 => id().prop_map(|id| Change::Edit { id }),
        1 => id().prop_map(|id| Change::Done { id }),
        1 => text().prop_map(|text| Change::Chat { text: text.unwrap_or_default() }),
    ]
}

fn stroke(points: usize) -> Props {
    Props {
        x: Some(-100_000),
        y: Some(-100_000),
        color: Some(7),
        z: Some(1_000_000_000),
        width: Some(64),
        points: Some(vec![-100_000; 2 * points]),
        ..Props::default()
    }
}

fn note(text: Option<String>) -> Props {
    Props {
        w: Some(20_000),
        h: Some(20_000),
        text,
        width: None,
        points: None,
        ..stroke(1)
    }
}

fn is_within(board: &Board) -> Result<(), TestCaseError> {
    let rooms = board.objects.iter().map(|(id, object)| room_of(id, object));
    prop_assert_eq!(board.room, rooms.sum::<usize>());
    let objects = serde_json::to_string(&board.objects).unwrap().len();
    prop_assert!(objects <= board.room + 2, "{} in {}", objects, board.room);
    prop_assert!(board.room <= MAX_OBJECT_BYTES);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Some are folded at once, some stay under way and are folded in another order.
    #[test]
    fn what_is_let_in_is_within_the_limits(
        messages in vec((0..2_usize, vec(change(), 1..12), any::<bool>()), 1..250),
        most in 0..4_usize,
    ) {
        let mut board = Board::default();
        let mut under_way = Vec::<(Op, Growth)>::new();
        for (user, changes, is_last) in messages {
            let by = format!("user{user}");
            let all = under_way.iter().fold(Growth::default(), |all, (_, growth)| all + *growth);
            if let Ok(admitted) = board.admit(&by, &changes, all) {
                let forget = Change::Forget { ids: admitted.forget };
                let changes = changes.into_iter().chain([forget]).collect();
                under_way.push((Op { by, name: String::new(), sent: None, at: 0, changes }, admitted.growth));
            }
            while under_way.len() > most {
                let (op, _) = under_way.remove(if is_last { under_way.len() - 1 } else { 0 });
                board.apply(&op);
                if most == 0 {
                    is_within(&board)?;
                }
            }
        }
        // What one node has under way goes past the limit by what is restored meanwhile at the most.
        prop_assert!(board.room <= 2 * MAX_OBJECT_BYTES);
    }
}

#[test]
fn a_board_that_is_full_of_all_takes_no_more_than_it_may() {
    let mut board = Board::default();
    let user = |number: usize| format!("{number:032}");
    let name = "\u{1d11e}".repeat(40);
    let mut apply = |by: usize, n: u64, changes: Vec<Change>| {
        let client = format!("{n:a>24}");
        let sent = Some(Sent {
            client,
            n: (1 << 53) - 1,
        });
        let (by, name, at) = (user(by), name.clone(), 99_999_999_999_999);
        board.apply(&Op {
            by,
            name,
            sent,
            at,
            changes,
        });
    };
    let mut n = 0;
    let id = |number: u64| format!("{number:a>32}");
    for by in 0..500 {
        n += 1;
        let add = Change::Add {
            id: id(n),
            kind: object::Kind::Ellipse,
            props: Props {
                text: None,
                ..note(None)
            },
        };
        let props = serde_json::from_value(json!({ "deleted": true })).unwrap();
        let chat = Change::Chat {
            text: "\u{1}".repeat(1_000),
        };
        apply(by, n, vec![add, Change::Set { id: id(n), props }, chat]);
    }
    for by in 0..100 {
        n += 1;
        apply(
            by,
            n,
            vec![Change::Add {
                id: id(n),
                kind: object::Kind::Ellipse,
                props: note(None),
            }],
        );
    }
    let json = serde_json::to_string(&board).unwrap().len();
    let objects = serde_json::to_string(&board.objects).unwrap().len();
    assert_eq!((board.deleted.len(), board.activity.iter().len()), (500, 100));
    assert!(
        json - objects + MAX_OBJECT_BYTES <= MAX_BOARD_BYTES,
        "{}",
        json - objects
    );
}
