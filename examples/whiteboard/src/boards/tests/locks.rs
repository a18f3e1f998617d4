//! Notes that somebody edits: nobody keeps one for longer than they edit it.

use super::*;

/// Until nobody edits the note.
async fn until_free(boards: &Boards) {
    until(async || boards.read().await["board"]["objects"]["a"]["editing"].is_null()).await;
}

#[tokio::test]
async fn who_edits_and_leaves_keeps_a_note_from_nobody() {
    let directory = directory();
    let boards = node(directory.path());
    let board = boards.open(&name()).await.unwrap();
    let presence = board.channel().presence();
    let anna = presence.join(dualcast::Member::new("anna")).unwrap();
    let other_window = presence.join(dualcast::Member::new("anna")).unwrap();
    let notes = json!([note("a"), { "edit": "a" }, note("b"), { "edit": "b" }, { "done": "b" }]);
    boards.write(op("client01", 1, notes)).await.unwrap();
    other_window.leave();
    let _ben = presence.join(dualcast::Member::new("ben")).unwrap();
    boards
        .write(op("client01", 2, json!([{ "chat": "still here" }])))
        .await
        .unwrap();
    assert_eq!(boards.read().await["board"]["objects"]["a"]["editing"], "anna");
    let edited = board.edited();
    anna.leave();
    until_free(&boards).await;
    // Another node, that has seen the same, says it again: it is logged once.
    let logged = board.position();
    for edited in edited {
        board.end_edit(boards.store(), edited).await.unwrap();
    }
    assert_eq!(boards.hub().position(), logged);
    // The next edit is another one, and ends in its own time.
    let anna = presence.join(dualcast::Member::new("anna")).unwrap();
    boards
        .write(op("client01", 3, json!([{ "edit": "a" }])))
        .await
        .unwrap();
    assert_eq!(boards.read().await["board"]["objects"]["a"]["editing"], "anna");
    anna.leave();
    until_free(&boards).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_together_with_others_keeps_a_note_from_nobody_either() {
    let directory = directory();
    let boards = node(directory.path());
    let board = boards.open(&name()).await.unwrap();
    let presence = board.channel().presence();
    let join = |user: &str| presence.join(dualcast::Member::new(user)).unwrap();
    let (anna, cleo, _ben) = (join("anna"), join("cleo"), join("ben"));
    let notes = json!([note("a"), { "edit": "a" }]);
    boards.write(op("client01", 1, notes)).await.unwrap();
    // As with a node that ends: nobody here has a turn between the two.
    anna.leave();
    cleo.leave();
    time::sleep(gone::LEASE / 2).await;
    assert!(boards.read().await["board"]["objects"]["a"]["editing"].is_null());
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_any_more_keeps_a_note_from_nobody_though_there_in_another_window() {
    let directory = directory();
    let boards = node(directory.path());
    let board = boards.open(&name()).await.unwrap();
    let presence = board.channel().presence();
    let _other_window = presence.join(dualcast::Member::new("anna")).unwrap();
    // More than are told by name.
    let _crowd: Vec<_> = (0..300)
        .map(|number| {
            let member = dualcast::Member::new(number.to_string());
            presence.join(member).unwrap()
        })
        .collect();
    let is_edited = async || !boards.read().await["board"]["objects"]["a"]["editing"].is_null();
    boards
        .write(op("client01", 1, json!([note("a"), { "edit": "a" }])))
        .await
        .unwrap();
    for (n, change) in [
        (2, json!({ "edit": "a" })),
        (3, json!({ "set": "a", "props": { "text": "x" } })),
    ] {
        time::sleep(gone::LEASE - Duration::from_secs(5)).await;
        assert!(is_edited().await);
        boards.write(op("client01", n, json!([change]))).await.unwrap();
    }
    time::sleep(gone::LEASE - Duration::from_secs(5)).await;
    // What others do to it is no sign of her.
    let ben = User { id: "ben".into() };
    let moved = op("client02", 1, json!([{ "set": "a", "props": { "x": 1 } }]));
    board
        .publish(boards.store(), &ben, "Ben".into(), moved)
        .await
        .unwrap();
    assert!(is_edited().await);
    time::sleep(Duration::from_secs(15)).await;
    assert!(!is_edited().await);
}

#[tokio::test(start_paused = true)]
async fn who_edited_before_a_restart_is_waited_for_and_then_gone() {
    let directory = directory();
    let boards = node(directory.path());
    boards
        .write(op("client01", 1, json!([note("a"), { "edit": "a" }])))
        .await
        .unwrap();
    let boards = restarted(boards, directory.path()).await;
    let _board = boards.open(&name()).await.unwrap();
    let is_edited = async || !boards.read().await["board"]["objects"]["a"]["editing"].is_null();
    time::sleep(gone::LEASE - Duration::from_secs(5)).await;
    assert!(is_edited().await, "pages come back within ten seconds");
    time::sleep(Duration::from_secs(15)).await;
    assert!(!is_edited().await);
}

#[tokio::test]
async fn of_a_note_that_is_found_edited_twice_each_edit_ends() {
    let server = NatsServer::start().await;
    let boards = node_of(&server).await;
    boards.write(op("client01", 1, json!([note("a")]))).await.unwrap();
    // Within the time in which NATS takes a message of the same key for a repeat.
    for n in [2, 3] {
        boards
            .write(op("client01", n, json!([{ "edit": "a" }])))
            .await
            .unwrap();
        assert_eq!(boards.store_all().await, 0);
        let other = node_of(&server).await;
        let board = other.open(&name()).await.unwrap();
        for edited in board.edited() {
            board.end_edit(other.store(), edited).await.unwrap();
        }
        until_free(&boards).await;
    }
}
