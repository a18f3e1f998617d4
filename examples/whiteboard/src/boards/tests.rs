//! Boards come, are written on, are stored, and go: on one node, and on two.

mod locks;

use std::path::Path;

use dualcast::{Message, Nats, NatsOptions};
use dualcast_nats_server::NatsServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::board::admission::MAX_OBJECTS;
use crate::board::asked::Checked;
use crate::store::{Bucket, File};
use crate::user::User;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A node with a file of its own.
fn node(directory: &Path) -> Boards {
    node_with(directory, Hub::new())
}

fn node_with(directory: &Path, hub: Hub) -> Boards {
    let file = File::open(&directory.join("boards.redb")).unwrap();
    Boards::new(hub, Store::File(file))
}

/// A node of several.
async fn node_of(server: &NatsServer) -> Boards {
    node_with_log(server, 1_000).await
}

/// One that keeps so many records of each board in memory.
async fn node_with_log(server: &NatsServer, max_records: usize) -> Boards {
    let nats = Nats::connect(NatsOptions::new([server.url()])).await.unwrap();
    let hub = Hub::builder()
        .fan_out(nats)
        .log(|log| log.max_records = max_records);
    let bucket = Bucket::open(&[server.url()], 1).await.unwrap();
    Boards::new(hub.build().unwrap(), Store::Bucket(bucket))
}

fn name() -> BoardName {
    BoardName::parse("one").unwrap()
}

fn op(client: &str, n: u64, changes: Value) -> Checked {
    let asked = json!({ "client": client, "n": n, "changes": changes }).to_string();
    let asked: crate::board::asked::Asked = serde_json::from_str(&asked).unwrap();
    asked.check().unwrap()
}

fn note(id: &str) -> Value {
    let props = json!({ "x": 0, "y": 0, "w": 100, "h": 100, "color": 0, "z": 0, "text": id });
    json!({ "add": id, "kind": "note", "props": props })
}

impl Boards {
    async fn write(&self, asked: Checked) -> Result<dualcast::Position, Error> {
        let board = self.open(&name()).await?;
        let user = User { id: "anna".into() };
        board.publish(self.store(), &user, "Anna".into(), asked).await
    }

    async fn read(&self) -> Value {
        let board = self.open(&name()).await.unwrap();
        let snapshot = board.snapshot().await.unwrap();
        serde_json::from_str(&snapshot.to_page()).unwrap()
    }
}

#[tokio::test]
async fn what_is_published_is_in_the_next_snapshot_and_the_page_goes_on_from_there() {
    let directory = directory();
    let boards = node(directory.path());
    for n in 1..100 {
        let id = format!("n{n}");
        boards.write(op("client01", n, json!([note(&id)]))).await.unwrap();
        // What happens elsewhere moves the log on, too.
        let other = boards.hub().channel("other").unwrap();
        other.publish(Message::text("note", "x")).await.unwrap();
        let here = boards.hub().position().to_string();
        let read = boards.read().await;
        assert_eq!(read["board"]["objects"].as_object().unwrap().len() as u64, n);
        assert_eq!(read["position"], here);
    }
}

#[tokio::test]
async fn a_board_is_loaded_once_however_many_ask() {
    let directory = directory();
    let boards = node(directory.path());
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let boards = boards.clone();
        asking.spawn(async move { boards.open(&name()).await.unwrap() });
    }
    let opened = asking.join_all().await;
    assert!(
        opened
            .iter()
            .all(|each| Arc::ptr_eq(&each.board, &opened[0].board))
    );
    assert_eq!(boards.count(), 1);
    assert_eq!(opened[0].channel().followers(), 1);
}

#[tokio::test]
async fn a_restart_keeps_a_board_and_knows_a_repeat() {
    let directory = directory();
    let boards = node(directory.path());
    boards
        .write(op("client01", 1, json!([note("a"), { "edit": "a" }])))
        .await
        .unwrap();
    boards
        .write(op("client01", 2, json!([{ "chat": "hello" }])))
        .await
        .unwrap();
    let before = boards.read().await;
    let boards = restarted(boards, directory.path()).await;
    let after = boards.read().await;
    assert_eq!(after["board"], before["board"]);
    // The position is of the life that is now: who follows from there is told no gap.
    let board = boards.open(&name()).await.unwrap();
    let position = after["position"].as_str().unwrap();
    let mut following = board.channel().subscribe().cursor(position).open().unwrap();
    assert!(!following.begins_with_a_gap());
    // Its answer was lost when the process ended.
    boards
        .write(op("client01", 2, json!([{ "chat": "hello" }])))
        .await
        .unwrap();
    boards
        .write(op("client01", 3, json!([{ "chat": "again" }])))
        .await
        .unwrap();
    assert_eq!(following.read(1 << 20).unwrap().len(), 1);
    let chat = boards.read().await["board"]["chat"].clone();
    assert_eq!(chat.as_array().unwrap().len(), 2);
}

/// A process ends in good order, and there is another with its file.
async fn restarted(boards: Boards, directory: &Path) -> Boards {
    assert_eq!(boards.store_all().await, 0);
    drop(boards);
    tokio::task::yield_now().await;
    again(directory).await
}

/// Another process with the same file. The one before may take a moment to let go of it.
async fn again(directory: &Path) -> Boards {
    loop {
        if let Ok(file) = File::open(&directory.join("boards.redb")) {
            return Boards::new(Hub::new(), Store::File(file));
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_board_goes_when_it_is_stored_and_comes_back_as_it_was() {
    let directory = directory();
    let boards = node(directory.path());
    boards.write(op("client01", 1, json!([note("a")]))).await.unwrap();
    let before = boards.read().await;
    time::sleep(KEEP_OPEN / 2).await;
    assert_eq!(boards.count(), 1, "somebody may come back");
    time::sleep(KEEP_OPEN).await;
    assert_eq!(boards.count(), 0);
    let channel = boards.hub().channel(("board", "one")).unwrap();
    assert_eq!(channel.followers(), 0, "nobody works for it any more");
    assert_eq!(boards.read().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_board_stays_while_somebody_has_it_in_hand_or_edits() {
    let directory = directory();
    let boards = node(directory.path());
    let board = boards.open(&name()).await.unwrap();
    time::sleep(3 * KEEP_OPEN).await;
    assert_eq!(boards.count(), 1);
    drop(board);
    let said = json!([note("a"), { "edit": "a" }]);
    boards.write(op("client01", 1, said)).await.unwrap();
    let mut n = 1;
    for _ in 0..6 {
        time::sleep(KEEP_OPEN / 2).await;
        let board = boards.0.slots()[&name()].open.get().unwrap().board.clone();
        // A page says so, which comes by way of another node.
        n += 1;
        let sent = json!({ "by": "anna", "name": "Anna", "at": n, "changes": [{ "edit": "a" }] });
        board
            .channel()
            .publish(Message::json("op", &sent).unwrap())
            .await
            .unwrap();
    }
    assert_eq!(boards.count(), 1);
    time::sleep(gone::LEASE + 2 * KEEP_OPEN).await;
    assert_eq!(boards.count(), 0, "she is gone, too");
    assert!(boards.read().await["board"]["objects"]["a"]["editing"].is_null());
}

#[tokio::test(start_paused = true)]
async fn who_only_listens_keeps_no_board_here_and_hears_it_all_the_same() {
    let directory = directory();
    let boards = node(directory.path());
    boards.write(op("client01", 1, json!([note("a")]))).await.unwrap();
    let channel = boards.hub().channel(("board", "one")).unwrap();
    let mut listener = channel.subscribe().open().unwrap();
    time::sleep(2 * KEEP_OPEN).await;
    assert_eq!(boards.count(), 0);
    boards.write(op("client01", 2, json!([note("b")]))).await.unwrap();
    assert_eq!(listener.read(1 << 20).unwrap().len(), 1);
    assert_eq!(
        boards.read().await["board"]["objects"].as_object().unwrap().len(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn past_the_most_boards_the_one_goes_that_was_unused_for_longest() {
    let directory = directory();
    let boards = node(directory.path());
    let named = |number: usize| BoardName::parse(&format!("b{number}")).unwrap();
    let mut held = Vec::new();
    for number in 0..MAX_ACTIVE_BOARDS {
        held.push(boards.open(&named(number)).await.unwrap());
        time::advance(Duration::from_millis(1)).await;
    }
    let refused = boards.open(&name()).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.status()),
        ("busy", StatusCode::SERVICE_UNAVAILABLE)
    );
    // That somebody listens makes no difference.
    let mut listeners = Vec::new();
    for number in [7, 3] {
        listeners.push(held[number].channel().subscribe().open().unwrap());
        drop(held.remove(number));
        time::advance(Duration::from_millis(1)).await;
    }
    boards.open(&name()).await.unwrap();
    let slots = boards.0.slots();
    assert!(!slots.contains_key(&named(7)) && slots.contains_key(&named(3)));
    assert_eq!(slots.len(), MAX_ACTIVE_BOARDS);
}

#[tokio::test]
async fn a_board_whose_log_was_trimmed_under_it_goes_on() {
    let directory = directory();
    let hub = Hub::builder().log(|log| log.max_records = 3).build().unwrap();
    let boards = node_with(directory.path(), hub);
    let board = boards.open(&name()).await.unwrap();
    // Nobody folds meanwhile: no task has its turn.
    for n in 1..=10 {
        let said = json!({ "by": "ben", "name": "Ben", "at": 1, "changes": [{ "chat": n.to_string() }] });
        board
            .channel()
            .publish(Message::json("op", &said).unwrap())
            .await
            .unwrap();
    }
    let chat = boards.read().await["board"]["chat"].clone();
    let texts: Vec<_> = chat
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["8", "9", "10"]);
    boards
        .write(op("client01", 1, json!([{ "chat": "on" }])))
        .await
        .unwrap();
    assert_eq!(boards.read().await["board"]["chat"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn what_makes_no_sense_in_the_log_is_passed_over() {
    let directory = directory();
    let boards = node(directory.path());
    let board = boards.open(&name()).await.unwrap();
    for message in [
        Message::text("op", "garbage"),
        Message::text("note", "{}"),
        Message::json("op", &json!([])).unwrap(),
    ] {
        board.channel().publish(message).await.unwrap();
    }
    boards
        .write(op("client01", 1, json!([{ "chat": "on" }])))
        .await
        .unwrap();
    assert_eq!(boards.read().await["board"]["chat"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_who_take_the_last_place_at_once_one_is_refused() {
    let directory = directory();
    let boards = node(directory.path());
    let mut n = 0;
    while n * 200 < MAX_OBJECTS as u64 {
        let ids = (0..200).map(|index| format!("n{}", n * 200 + index));
        let ids = ids.take(MAX_OBJECTS - 1 - (n * 200) as usize);
        let notes: Vec<_> = ids.map(|id| note(&id)).collect();
        n += 1;
        boards.write(op("client01", n, json!(notes))).await.unwrap();
    }
    let (one, other) = tokio::join!(
        boards.write(op("client02", 1, json!([note("x")]))),
        boards.write(op("client03", 1, json!([note("y")]))),
    );
    let refused = [one, other].into_iter().filter_map(Result::err);
    assert_eq!(
        refused.map(|error| error.code().to_owned()).collect::<Vec<_>>(),
        ["board-full"]
    );
    assert_eq!(
        boards.read().await["board"]["objects"].as_object().unwrap().len(),
        MAX_OBJECTS
    );
}

#[tokio::test]
async fn two_nodes_have_one_board_and_a_third_has_it_after_them() {
    let server = NatsServer::start().await;
    let (first, second) = (node_of(&server).await, node_of(&server).await);
    // The second has looked, and found none.
    assert_eq!(second.read().await["board"]["objects"], json!({}));
    first.write(op("client01", 1, json!([note("a")]))).await.unwrap();
    second
        .write(op("client02", 1, json!([note("b"), { "edit": "b" }])))
        .await
        .unwrap();
    let position = first
        .write(op("client01", 2, json!([{ "chat": "hello" }])))
        .await
        .unwrap();
    let both = |read: &Value| {
        (
            read["board"].clone(),
            read["board"]["objects"].as_object().unwrap().len(),
        )
    };
    // What one node has published another may not have heard of yet.
    let board = second.open(&name()).await.unwrap();
    while board.position().sequence() < position.sequence() {
        time::sleep(Duration::from_millis(5)).await;
    }
    let (board, count) = both(&first.read().await);
    assert_eq!(count, 2);
    assert_eq!(both(&second.read().await), (board.clone(), 2));
    // No more is stored than what was there at the first change, if that: the rest is in the log.
    let third = node_of(&server).await;
    assert_eq!(both(&third.read().await), (board.clone(), 2));
    assert_eq!(first.store_all().await + second.store_all().await, 0);
    let (stored, _) = first.store().read(&name()).await.unwrap();
    assert_eq!(serde_json::to_value(stored.unwrap().board).unwrap(), board);
}

#[tokio::test]
async fn a_board_is_stored_before_its_first_change_is_logged() {
    let server = NatsServer::start().await;
    let boards = node_of(&server).await;
    boards.read().await;
    assert!(
        boards.store().read(&name()).await.unwrap().0.is_none(),
        "who only looks leaves nothing behind"
    );
    boards.write(op("client01", 1, json!([note("a")]))).await.unwrap();
    let (stored, _) = boards.store().read(&name()).await.unwrap();
    let here = boards.hub().position();
    assert!(stored.unwrap().mark.position.sequence() <= here.sequence());
}

/// Waits until something is so. That it takes long is no failure.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_board_that_is_overtaken_reads_what_the_broker_has_yet() {
    let server = NatsServer::start().await;
    let boards = node_with_log(&server, 3).await;
    boards
        .write(op("client01", 1, json!([{ "chat": "first" }])))
        .await
        .unwrap();
    let url = server.url();
    // Another node logs far more than is kept in memory here, while nobody here has a turn.
    let others = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let nats = Nats::connect(NatsOptions::new([url])).await.unwrap();
            let hub = Hub::builder().fan_out(nats).build().unwrap();
            let channel = hub.channel(("board", "one")).unwrap();
            let mut last = None;
            for n in 0..50 {
                let said =
                    json!({ "by": "ben", "name": "Ben", "at": 1, "changes": [{ "chat": n.to_string() }] });
                last = Some(
                    channel
                        .publish(Message::json("op", &said).unwrap())
                        .await
                        .unwrap(),
                );
            }
            last.unwrap()
        })
    });
    let last = others.join().unwrap();
    let board = boards.open(&name()).await.unwrap();
    until(async || board.position().sequence() >= last.sequence()).await;
    assert_eq!(boards.read().await["board"]["chat"].as_array().unwrap().len(), 51);
}
