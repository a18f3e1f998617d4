//! Resuming: a client that comes back with the last id it saw gets all that follows it, and nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dualcast::{Hub, Message, Position, Subscribe};
use dualcast_tests::{Ledger, Server, Setup, Told, Under, contract};

contract!(
    over nodes: a_client_resumes_at_every_position,
    a_client_that_is_cut_anywhere_goes_on_by_the_other_transport,
    several_channels_resume_at_every_position,
    a_client_that_is_cut_before_its_first_event_comes_back_to_where_it_began,
    replay_meets_live_without_a_gap_while_others_publish,
    a_snapshot_and_what_follows_its_position_make_a_whole,
    a_cursor_goes_before_where_the_route_would_begin,
    a_cursor_may_stand_in_the_header_or_in_the_query,
);

/// Some records on two channels, with others between them, so that neither has all numbers to itself.
async fn published(server: &Server) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0..24 {
        let channel = ["room", "other", "room", "room", "elsewhere"][number % 5];
        let text = format!("{channel} {number}");
        ledger.note(channel, server.publish(channel, &*text).await, &text);
    }
    ledger
}

/// What a client would get from here on, as texts, and then something live.
async fn expect_rest(
    server: &Server,
    ledger: &mut Ledger,
    told: &[&str],
    cursor: Position,
    channels: &[&str],
) {
    assert_eq!(told, ledger.texts_after(cursor, channels), "after {cursor}");
    let live = server.publish("room", "live").await;
    ledger.note("room", live, "live");
}

async fn a_client_resumes_at_every_position(under: Under) {
    resume_at_every_position(under, &["room"]).await;
}

async fn several_channels_resume_at_every_position(under: Under) {
    resume_at_every_position(under, &["room", "other"]).await;
}

async fn resume_at_every_position(under: Under, channels: &[&str]) {
    let server = Setup::new(under).start().await;
    let start = server.hub.position();
    let mut ledger = published(&server).await;
    let mut cursors = vec![start];
    cursors.extend(ledger.positions());
    for cursor in cursors {
        let dial = server.dial(&channels.join(",")).cursor(&cursor.to_string());
        let mut client = dial.open().await;
        assert_eq!(
            client.last_id(),
            cursor.to_string(),
            "it follows from where it was"
        );
        let rest = ledger.texts_after(cursor, channels).len();
        let told = client.take(rest).await;
        let texts: Vec<_> = told.iter().map(Told::text).collect();
        expect_rest(&server, &mut ledger, &texts, cursor, channels).await;
        assert_eq!(
            client.next().await.text(),
            "live",
            "nothing came twice after {cursor}"
        );
    }
}

async fn a_client_that_is_cut_anywhere_goes_on_by_the_other_transport(under: Under) {
    let server = Setup::new(under).start().await;
    let start = server.hub.position();
    let channels = ["room", "other"];
    let ledger = published(&server).await;
    let all = ledger.texts_after(start, &channels).len();
    for seen in 0..=all {
        let mut client = server.dial("room,other").cursor(&start.to_string()).open().await;
        let mut told = client.take(seen).await;
        let cursor = client.last_id().to_owned();
        client.cut();
        let dial = server.dial_by(under.other_transport(), "room,other");
        let mut client = dial.cursor(&cursor).open().await;
        told.extend(client.take(all - seen).await);
        assert_eq!(ledger.check(start, &channels, &told), 0, "cut after {seen}");
    }
}

async fn a_client_that_is_cut_before_its_first_event_comes_back_to_where_it_began(under: Under) {
    let server = Setup::new(under).start().await;
    let client = server.dial("room").open().await;
    let cursor = client.last_id().to_owned();
    client.cut();
    server.publish("room", "while it was away").await;
    for transport in [under.transport, under.other_transport()] {
        let mut client = server.dial_by(transport, "room").cursor(&cursor).open().await;
        assert_eq!(client.next().await.text(), "while it was away");
    }
}

async fn replay_meets_live_without_a_gap_while_others_publish(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 1_000_000));
    let server = setup.start().await;
    let start = server.hub.position();
    let is_enough = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let (room, is_enough) = (server.channel("room"), Arc::clone(&is_enough));
        async move {
            let mut ledger = Ledger::default();
            while !is_enough.load(Ordering::SeqCst) {
                let position = room.publish(Message::text("message", "x")).await.unwrap();
                ledger.note("room", position, "x");
                tokio::task::yield_now().await;
            }
            ledger.note(
                "room",
                room.publish(Message::text("message", "last")).await.unwrap(),
                "last",
            );
            ledger
        }
    });
    // One client that is cut again and again, and changes its transport each time.
    let mut told = Vec::new();
    let mut cursor = start.to_string();
    let mut transports = [under.transport, under.other_transport()].into_iter().cycle();
    for seen in [1, 7, 30, 2, 100] {
        let dial = server.dial_by(transports.next().unwrap(), "room");
        let mut client = dial.cursor(&cursor).open().await;
        told.extend(client.take(seen).await);
        client.last_id().clone_into(&mut cursor);
        client.cut();
    }
    let mut client = server.dial("room").cursor(&cursor).open().await;
    is_enough.store(true, Ordering::SeqCst);
    told.extend(client.until_text("last").await);
    let ledger = publisher.await.unwrap();
    assert_eq!(ledger.check(start, &["room"], &told), 0);
}

/// The application's state is a number. It is changed first and published then; who comes new reads the position first
/// and the state then.
async fn a_snapshot_and_what_follows_its_position_make_a_whole(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 1_000_000));
    let server = setup.start().await;
    let state = Arc::new(AtomicU32::new(0));
    let is_enough = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let (room, state, is_enough) = (server.channel("room"), Arc::clone(&state), Arc::clone(&is_enough));
        async move {
            while !is_enough.load(Ordering::SeqCst) {
                let number = state.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                room.publish(Message::text("message", number.to_string()))
                    .await
                    .unwrap();
            }
        }
    });
    for _ in 0..20 {
        let position = server.hub.position();
        tokio::task::yield_now().await;
        let snapshot = state.load(Ordering::SeqCst);
        let mut client = server.dial("room").cursor(&position.to_string()).open().await;
        let first: u32 = client.next().await.text().parse().unwrap();
        assert!(
            first <= snapshot + 1,
            "nothing is missing between {snapshot} and {first}"
        );
        let second: u32 = client.next().await.text().parse().unwrap();
        assert_eq!(second, first + 1);
    }
    is_enough.store(true, Ordering::SeqCst);
    publisher.await.unwrap();
}

async fn a_cursor_goes_before_where_the_route_would_begin(under: Under) {
    type Begin = fn(Subscribe) -> Subscribe;
    let routes: [(Begin, &[&str]); 4] = [
        (|subscribe| subscribe, &[]),
        (Subscribe::from_start, &["1", "2", "3", "4"]),
        (|subscribe| subscribe.last(2), &["3", "4"]),
        (
            |subscribe| {
                let now = Hub::position(subscribe.hub());
                subscribe.after(now)
            },
            &[],
        ),
    ];
    for (route, without_cursor) in routes {
        let server = Setup::new(under).subscribe(route).start().await;
        let positions = server.publish_numbers("room", 1..=4).await;
        let mut client = server.dial("room").open().await;
        assert_eq!(client.texts(without_cursor.len()).await, without_cursor);
        let mut back = server.dial("room").cursor(&positions[0].to_string()).open().await;
        assert_eq!(back.texts(3).await, ["2", "3", "4"]);
        server.publish("room", "live").await;
        assert_eq!(
            (client.next().await.text(), back.next().await.text()),
            ("live", "live")
        );
    }
}

async fn a_cursor_may_stand_in_the_header_or_in_the_query(under: Under) {
    let server = Setup::new(under).start().await;
    let positions = server.publish_numbers("room", 1..=3).await;
    let [first, second] = [0, 1].map(|index: usize| positions[index].to_string());
    let (in_header, in_query) = ("last-event-id", format!("last-event-id={first}"));
    let dials = [
        server.dial("room").query(&*in_query),
        server.dial("room").header(in_header, &first),
        server.dial("room").header(in_header, "").query(&*in_query),
    ];
    for dial in dials {
        assert_eq!(dial.open().await.texts(2).await, ["2", "3"]);
    }
    // An `EventSource` comes back to the address with which it began.
    let both = server.dial("room").header(in_header, &second).query(&*in_query);
    assert_eq!(
        both.open().await.next().await.text(),
        "3",
        "the header is the newer one"
    );
    let empty = server.dial("room").query("last-event-id=").open().await;
    assert_eq!(empty.last_id(), positions[2].to_string(), "none, so from now on");
}
