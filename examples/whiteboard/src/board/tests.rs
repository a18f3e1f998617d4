//! The reducer's rules, one by one.

use serde_json::{Value, json};

use super::admission::{Growth, MAX_BOARD_BYTES, MAX_OBJECTS, Refused};
use super::*;

/// Folds changes of a user into a board, as the server would log them.
fn apply(board: &mut Board, by: &str, changes: &Value) {
    let op = json!({ "by": by, "name": by.to_uppercase(), "at": 1, "changes": changes });
    assert!(board.apply(&serde_json::from_value(op).unwrap()));
    assert_eq!(board.bytes(), serde_json::to_string(&*board).unwrap().len());
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
    let moves = changes(&json!([{ "set": "a", "props": { "x": 1, "deleted": true } }]));
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
    let admit = |board: &Board, asked: Value| board.admit("anna", &changes(&asked), Growth::default());
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

#[test]
fn a_board_that_is_full_of_text_takes_no_more_and_may_be_cleared() {
    let mut board = Board::default();
    let mut id = 0;
    let next = |id: usize| json!([note(&format!("n{id}"), &"\n".repeat(2_000))]);
    while board
        .admit("anna", &changes(&next(id)), Growth::default())
        .is_ok()
    {
        apply_unchecked(&mut board, &next(id));
        id += 1;
    }
    assert!(
        board.bytes() <= MAX_BOARD_BYTES && board.bytes() > MAX_BOARD_BYTES - 5_000,
        "{}",
        board.bytes()
    );
    let admit = |asked: Value| board.admit("anna", &changes(&asked), Growth::default());
    for more in [
        next(id),
        json!([{ "chat": "x".repeat(1_000) }, { "chat": "x".repeat(1_000) }, { "chat": "x".repeat(1_000) }, { "chat": "x".repeat(1_000) }, { "chat": "x".repeat(1_000) }]),
    ] {
        assert!(matches!(
            admit(more),
            Err(Refused::Full {
                what: "bytes",
                max: MAX_BOARD_BYTES
            })
        ));
    }
    admit(json!([{ "set": "n0", "props": { "text": "short" } }])).unwrap();
    admit(json!([{ "set": "n0", "props": { "x": -100_000, "deleted": true } }])).unwrap();
}
