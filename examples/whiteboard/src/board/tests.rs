//! The reducer's rules, one by one.

use serde_json::{Value, json};

use super::admission::{Growth, MAX_OBJECT_BYTES, MAX_OBJECTS, Refused};
use super::*;

/// Folds changes of a user into a board, as the server would log them.
fn apply(board: &mut Board, by: &str, changes: &Value) {
    let op = json!({ "by": by, "name": by.to_uppercase(), "at": 1, "changes": changes });
    assert!(board.apply(&serde_json::from_value(op).unwrap()));
}

fn note(id: &str, text: &str) -> Value {
    let props = json!({ "x": 0, "y": 0, "w": 100, "h": 100, "color": 0, "z": 0, "text": text });
    json!({ "add": id, "kind": "note", "props": props })
}

fn changes(changes: &Value) -> Vec<Change> {
    serde_json::from_value(changes.clone()).unwrap()
}

/// A board with a note `a` of Anna's.
fn board() -> Board {
    let mut board = Board::default();
    apply(&mut board, "anna", &json!([note("a", "hello")]));
    board
}

fn json_of(board: &Board) -> Value {
    serde_json::to_value(board).unwrap()
}

fn deeds(board: &Board) -> Vec<(String, &'static str)> {
    let deeds = board.activity.iter();
    let name = |did| match did {
        Did::Add => "add",
        Did::Remove => "remove",
        Did::Restore => "restore",
        Did::Text => "text",
    };
    deeds.map(|deed| (deed.by.clone(), name(deed.did))).collect()
}

#[test]
fn an_object_has_what_it_was_added_with() {
    let object = json!({
        "kind": "note", "by": "anna", "x": 0, "y": 0, "w": 100, "h": 100, "color": 0, "z": 0, "text": "hello",
        "deleted": false, "editing": null,
    });
    let activity =
        json!([{ "at": 1, "by": "anna", "name": "ANNA", "did": "add", "kind": "note", "id": "a" }]);
    let all =
        json!({ "objects": { "a": object }, "deleted": [], "chat": [], "activity": activity, "seen": {} });
    assert_eq!(json_of(&board()), all);
}

#[test]
fn what_does_not_apply_is_ignored_alone() {
    let mut board = board();
    let again = note("a", "another");
    apply(
        &mut board,
        "ben",
        &json!([again, { "set": "none", "props": { "x": 1 } }, { "edit": "none" }, { "done": "a" }, { "set": "a", "props": { "x": 7 } }]),
    );
    let object = &json_of(&board)["objects"]["a"];
    assert_eq!(
        (&object["text"], &object["by"], &object["x"]),
        (&json!("hello"), &json!("anna"), &json!(7))
    );
    assert_eq!(json_of(&board)["objects"].as_object().unwrap().len(), 1);
}

#[test]
fn a_repeat_is_ignored_and_the_servers_own_messages_have_no_number() {
    let mut board = Board::default();
    let op = |n| Op {
        by: "anna".into(),
        name: "Anna".into(),
        sent: Some(change::Sent {
            client: "client01".into(),
            n,
        }),
        at: 1,
        changes: vec![Change::Chat { text: "hi".into() }],
    };
    assert!(board.apply(&op(2)));
    assert!(!board.apply(&op(2)) && !board.apply(&op(1)), "seen");
    assert!(board.apply(&op(5)), "numbers may be left out");
    let others = Op {
        by: "ben".into(),
        ..op(u64::MAX)
    };
    assert!(
        board.apply(&others) && !board.has_seen("anna", "client01", 6),
        "under her page's name"
    );
    let own = Op { sent: None, ..op(1) };
    assert!(board.apply(&own) && board.apply(&own));
    assert_eq!(board.chat.iter().len(), 5);
    assert_eq!(
        json_of(&board)["seen"],
        json!({ "anna/client01": 5, "ben/client01": u64::MAX })
    );
}

#[test]
fn a_text_that_somebody_edits_is_nobody_elses() {
    let mut board = board();
    apply(&mut board, "anna", &json!([{ "edit": "a" }]));
    let set = json!([{ "set": "a", "props": { "text": "ben's", "x": 3 } }]);
    apply(&mut board, "ben", &json!([{ "edit": "a" }]));
    apply(&mut board, "ben", &set);
    let object = &json_of(&board)["objects"]["a"];
    assert_eq!(
        (&object["text"], &object["x"], &object["editing"]),
        (&json!("hello"), &json!(3), &json!("anna"))
    );
    assert_eq!(board.edited().collect::<Vec<_>>(), [("a", "anna")]);
    apply(&mut board, "ben", &json!([{ "done": "a" }]));
    assert_eq!(board.edited().count(), 1, "it is Anna's to end");
    apply(&mut board, "anna", &json!([{ "done": "a" }]));
    apply(&mut board, "ben", &set);
    assert_eq!(json_of(&board)["objects"]["a"]["text"], "ben's");
}

#[test]
fn deleting_ends_an_edit_and_what_is_deleted_is_not_edited() {
    let mut board = board();
    apply(&mut board, "anna", &json!([{ "edit": "a" }]));
    apply(
        &mut board,
        "ben",
        &json!([{ "set": "a", "props": { "deleted": true } }, { "edit": "a" }]),
    );
    assert_eq!(board.edited().count(), 0);
    assert_eq!(
        (board.live_objects(), &json_of(&board)["deleted"]),
        (0, &json!(["a"]))
    );
    apply(
        &mut board,
        "anna",
        &json!([{ "set": "a", "props": { "deleted": false } }]),
    );
    assert_eq!(
        (board.live_objects(), &json_of(&board)["deleted"]),
        (1, &json!([]))
    );
}

#[test]
fn only_notes_are_edited() {
    let mut board = Board::default();
    let props = json!({ "x": 0, "y": 0, "w": 9, "h": 9, "color": 0, "z": 0 });
    apply(
        &mut board,
        "anna",
        &json!([{ "add": "r", "kind": "rect", "props": props }, { "edit": "r" }]),
    );
    assert_eq!(board.edited().count(), 0);
}

#[test]
fn activity_tells_deeds_once_and_nothing_of_moves() {
    let mut board = board();
    for (by, props) in [
        ("anna", json!({ "text": "b" })),
        ("anna", json!({ "text": "c", "x": 4 })),
        ("anna", json!({ "text": "c" })),
        ("ben", json!({ "x": 1 })),
        ("ben", json!({ "deleted": false })),
        ("ben", json!({ "text": "d", "deleted": true })),
        ("ben", json!({ "deleted": true })),
        ("anna", json!({ "deleted": false })),
    ] {
        apply(&mut board, by, &json!([{ "set": "a", "props": props }]));
    }
    let told = [
        ("anna", "add"),
        ("anna", "text"),
        ("ben", "text"),
        ("ben", "remove"),
        ("anna", "restore"),
    ];
    assert_eq!(deeds(&board), told.map(|(by, did)| (by.to_owned(), did)));
}

#[test]
fn lists_keep_their_newest() {
    let mut board = Board::default();
    for number in 0..MAX_CHAT + 5 {
        apply(&mut board, "anna", &json!([{ "chat": number.to_string() }]));
    }
    assert_eq!(board.chat.iter().len(), MAX_CHAT);
    assert_eq!(json_of(&board)["chat"][0]["text"], "5");
    for number in 0..MAX_ACTIVITY + 5 {
        apply(&mut board, "anna", &json!([note(&format!("n{number}"), "")]));
    }
    assert_eq!(board.activity.iter().len(), MAX_ACTIVITY);
}

#[test]
fn of_many_deleted_objects_the_first_is_forgotten() {
    let mut board = Board::default();
    let delete = |id: usize| json!({ "set": format!("n{id}"), "props": { "deleted": true } });
    let restore = |id: usize| json!({ "set": format!("n{id}"), "props": { "deleted": false } });
    for id in 0..MAX_DELETED + 2 {
        apply(&mut board, "anna", &json!([note(&format!("n{id}"), "")]));
    }
    // The order is that of deletion, and who is restored and deleted again is at its end.
    apply(
        &mut board,
        "anna",
        &json!([delete(1), delete(0), restore(1), delete(1)]),
    );
    for id in 2..MAX_DELETED {
        apply(&mut board, "anna", &json!([delete(id)]));
    }
    assert!(board.object("n0").is_some());
    apply(&mut board, "anna", &json!([delete(MAX_DELETED)]));
    assert!(board.object("n0").is_none() && board.object("n1").is_some());
    assert_eq!((board.deleted.len(), board.live_objects()), (MAX_DELETED, 1));
    apply(&mut board, "anna", &json!([restore(0)]));
    assert!(
        board.object("n0").is_none(),
        "what is forgotten does not come back"
    );
}

#[test]
fn only_who_edits_a_text_may_publish_it() {
    let mut board = board();
    apply(&mut board, "anna", &json!([{ "edit": "a" }]));
    let text = changes(&json!([{ "chat": "x" }, { "set": "a", "props": { "text": "x" } }]));
    let locked = Refused::Locked {
        change: 2,
        id: "a".into(),
        by: "anna".into(),
    };
    assert_eq!(board.admit("ben", &text, Growth::default()), Err(locked));
    board.admit("anna", &text, Growth::default()).unwrap();
    let edit = changes(&json!([{ "edit": "a" }]));
    assert!(matches!(
        board.admit("ben", &edit, Growth::default()),
        Err(Refused::Locked { .. })
    ));
    // Who deleted it and restored it would have it.
    let delete = changes(&json!([{ "set": "a", "props": { "deleted": true } }]));
    assert!(matches!(
        board.admit("ben", &delete, Growth::default()),
        Err(Refused::Locked { .. })
    ));
    board.admit("anna", &delete, Growth::default()).unwrap();
    let moves = changes(&json!([{ "set": "a", "props": { "x": 1 } }]));
    board.admit("ben", &moves, Growth::default()).unwrap();
}

#[test]
fn what_a_kind_does_not_have_is_refused() {
    let mut board = board();
    let props = json!({ "x": 0, "y": 0, "color": 0, "z": 0, "width": 1, "points": [0, 0] });
    apply(
        &mut board,
        "anna",
        &json!([{ "add": "s", "kind": "stroke", "props": props }]),
    );
    let refused = |changes_: Value| {
        board
            .admit("anna", &changes(&changes_), Growth::default())
            .unwrap_err()
    };
    assert_eq!(
        refused(json!([{ "set": "s", "props": { "w": 9 } }])).to_string(),
        "change 1: `set`: a stroke has no `w`"
    );
    assert!(matches!(
        refused(json!([{ "set": "s", "props": { "text": "" } }])),
        Refused::Bad(_)
    ));
    // Nor what the same message adds.
    let rect = json!({ "x": 0, "y": 0, "w": 9, "h": 9, "color": 0, "z": 0 });
    assert_eq!(
        refused(
            json!([{ "add": "r", "kind": "rect", "props": rect }, { "set": "r", "props": { "text": "x" } }])
        )
        .to_string(),
        "change 2: `set`: a rect has no `text`"
    );
}

#[test]
fn a_board_that_is_full_of_objects_takes_no_more_and_may_be_cleared() {
    let mut board = Board::default();
    for id in 0..MAX_OBJECTS {
        apply_unchecked(&mut board, &json!([note(&format!("n{id}"), "")]));
    }
    let full = Refused::Full {
        what: "objects",
        max: MAX_OBJECTS,
    };
    let admit = |board: &Board, asked: Value| {
        let admitted = board.admit("anna", &changes(&asked), Growth::default());
        admitted.map(|admitted| admitted.growth)
    };
    assert_eq!(admit(&board, json!([note("more", "")])), Err(full.clone()));
    admit(&board, json!([note("n1", "")])).unwrap();
    admit(&board, json!([{ "set": "n1", "props": { "x": 1, "z": 5 } }])).unwrap();
    let delete = json!({ "set": "n1", "props": { "deleted": true } });
    let restore = json!({ "set": "n1", "props": { "deleted": false } });
    admit(&board, json!([delete, note("more", "")])).unwrap();
    apply_unchecked(&mut board, &json!([delete]));
    let one = admit(&board, json!([restore])).unwrap();
    assert_eq!(one.objects, 1);
    assert_eq!(
        board.admit("anna", &changes(&json!([note("more", "")])), one),
        Err(full)
    );
}

fn apply_unchecked(board: &mut Board, changes: &Value) {
    let op = json!({ "by": "anna", "name": "Anna", "at": 1, "changes": changes });
    board.apply(&serde_json::from_value(op).unwrap());
}

/// Adds strokes until no more is taken, forgets what there is to be forgotten, and answers how many it added.
fn fill(board: &mut Board, name: &str) -> usize {
    let mut count = 0;
    for points in [4_000, 400, 40, 2] {
        loop {
            let points = vec![-99_999; points];
            let props = json!({ "x": 0, "y": 0, "color": 0, "z": 0, "width": 1, "points": points });
            let next = json!([{ "add": format!("{name}{count}"), "kind": "stroke", "props": props }]);
            let Ok(admitted) = board.admit("anna", &changes(&next), Growth::default()) else {
                break;
            };
            apply_unchecked(board, &next);
            apply_unchecked(board, &json!([{ "forget": admitted.forget }]));
            count += 1;
        }
    }
    assert!(board.room <= MAX_OBJECT_BYTES && board.room > MAX_OBJECT_BYTES - 300);
    count
}

const FULL: Refused = Refused::Full {
    what: "bytes",
    max: MAX_OBJECT_BYTES,
};

#[test]
fn on_a_board_that_is_full_one_takes_away_moves_and_talks() {
    let mut board = board();
    fill(&mut board, "s");
    let admit = |asked: Value| board.admit("anna", &changes(&asked), Growth::default());
    assert_eq!(admit(json!([note("more", &"x".repeat(500))])), Err(FULL));
    assert_eq!(
        admit(json!([{ "set": "a", "props": { "text": "x".repeat(500) } }])),
        Err(FULL)
    );
    for asked in [
        json!([{ "set": "a", "props": { "text": "hell", "x": -100_000, "y": 100_000 } }]),
        json!([{ "edit": "a" }, { "done": "a" }, { "set": "s0", "props": { "z": 1_000_000_000 } }]),
        json!([{ "chat": "x".repeat(1_000) }]),
        json!([{ "set": "a", "props": { "deleted": true } }]),
    ] {
        assert_eq!(admit(asked).unwrap().forget, [""; 0]);
    }
}

#[test]
fn a_text_that_is_set_several_times_gives_its_room_once() {
    let mut board = Board::default();
    apply(&mut board, "anna", &json!([note("x", &"\u{1}".repeat(2_000))]));
    fill(&mut board, "s");
    let empty = json!({ "set": "x", "props": { "text": "" } });
    let back = json!({ "set": "x", "props": { "text": "\u{1}".repeat(2_000) } });
    let admit = |asked: Value| board.admit("anna", &changes(&asked), Growth::default());
    admit(json!([empty, back])).unwrap();
    assert_eq!(
        admit(json!([empty, empty, empty, note("more", &"x".repeat(500)), back])),
        Err(FULL)
    );
}

#[test]
fn where_room_is_needed_what_was_deleted_first_is_forgotten_and_not_restored() {
    let mut board = Board::default();
    let count = fill(&mut board, "s");
    let delete = |id: usize| json!({ "set": format!("s{id}"), "props": { "deleted": true } });
    let restore = |id: usize| json!({ "set": format!("s{id}"), "props": { "deleted": false } });
    apply_unchecked(&mut board, &json!([delete(1), delete(0)]));
    let admit =
        |board: &Board, asked: Value, under_way: Growth| board.admit("anna", &changes(&asked), under_way);
    let one = admit(&board, json!([note("one", &"x".repeat(500))]), Growth::default()).unwrap();
    assert_eq!(one.forget, ["s1"]);
    // What is restored by the same message stays, and what is deleted by it makes room, too.
    let restored = json!([restore(1), delete(2), note("one", &"x".repeat(500))]);
    assert_eq!(admit(&board, restored, Growth::default()).unwrap().forget, ["s0"]);
    // What is under way has the room of the first.
    let large = json!([note("two", &"x".repeat(2_000))]);
    let under_way = Growth {
        bytes: board.object("s1").map(|object| room_of("s1", object)).unwrap(),
        objects: 1,
    };
    assert_eq!(admit(&board, large, under_way).unwrap().forget, ["s1", "s0"]);

    apply_unchecked(&mut board, &json!([note("one", ""), { "forget": one.forget }]));
    assert!(board.object("s1").is_none() && board.object("s0").is_some());
    let forgotten = Refused::Forgotten {
        change: 1,
        id: "s1".into(),
    };
    assert_eq!(
        admit(&board, json!([restore(1)]), Growth::default()),
        Err(forgotten)
    );
    // All deleted: there is all the room that there is.
    for id in 0..count {
        apply_unchecked(&mut board, &json!([delete(id)]));
    }
    apply_unchecked(
        &mut board,
        &json!([{ "set": "one", "props": { "deleted": true } }]),
    );
    let strokes = fill(&mut board, "t");
    assert!(
        strokes.abs_diff(count) < 5 && board.live_objects() == strokes,
        "{strokes} {count}"
    );
}

#[test]
fn what_is_forgotten_while_it_is_restored_stays() {
    let mut board = board();
    let delete = json!([{ "set": "a", "props": { "deleted": true } }]);
    let restore = json!([{ "set": "a", "props": { "deleted": false } }]);
    apply(&mut board, "anna", &delete);
    apply(&mut board, "anna", &restore);
    apply(&mut board, "ben", &json!([{ "forget": ["a", "none"] }]));
    assert!(board.object("a").is_some());
    apply(&mut board, "anna", &delete);
    apply(&mut board, "ben", &json!([{ "forget": ["a"] }]));
    assert!(board.object("a").is_none());
    assert_eq!((json_of(&board)["deleted"].clone(), board.room), (json!([]), 0));
}

#[test]
fn of_long_speeches_the_chat_keeps_the_last() {
    let mut board = Board::default();
    let speech = "\u{1}ä\"".repeat(300);
    for _ in 0..60 {
        apply(&mut board, "anna", &json!([{ "chat": speech }]));
    }
    let bytes = json_of(&board)["chat"].to_string().len() - 1;
    let each = bytes / board.chat.iter().len();
    assert!(
        bytes <= MAX_CHAT_BYTES && bytes + each > MAX_CHAT_BYTES,
        "{bytes}"
    );
}

#[test]
fn a_board_that_was_stored_when_users_had_shorter_ids_and_chats_no_bound_is_read() {
    let said = json!({ "by": "0f007385b6f9", "name": "Anna", "at": 1, "text": "x".repeat(1_000) });
    let each = said.to_string().len() + 1;
    let mut stored = json_of(&board());
    stored["chat"] = json!(vec![said; 200]);
    stored["objects"]["a"]["editing"] = json!("0f007385b6f9");
    stored["seen"] = json!({ "0f007385b6f9/client01": 7 });
    let read: Board = serde_json::from_value(stored).unwrap();
    assert!(read.has_seen("0f007385b6f9", "client01", 7));
    assert_eq!(read.edited().collect::<Vec<_>>(), [("a", "0f007385b6f9")]);
    assert_eq!(read.chat.iter().len(), MAX_CHAT_BYTES / each);
    assert_eq!(read.room, board().room);
}
