//! Gaps: what a client won't get is told to it, with its channel, its stretch and why.

use dualcast::Position;
use dualcast_tests::{Ledger, Setup, Told, Under, contract};

contract!(
    a_trimmed_stretch_is_told_at_every_position,
    a_gap_on_several_channels_moves_the_cursor_past_nothing_of_the_others,
    a_client_that_is_cut_between_two_gaps_is_told_the_second_one_again,
);
contract!(
    over nodes: a_cursor_of_another_life_is_told_and_all_that_is_kept_follows,
    a_cursor_beyond_the_end_is_of_another_life,
    a_cursor_that_makes_no_sense_is_told_and_never_refused,
);

/// A gap as its parts.
fn gap(told: &Told) -> (&str, Option<&str>, Option<&str>, &str, &str) {
    let Told::Gap {
        id: Some(id),
        channel,
        from,
        to,
        reason,
    } = told
    else {
        panic!("expected a gap with an id, not {told:?}");
    };
    (channel, from.as_deref(), to.as_deref(), reason, id)
}

async fn a_trimmed_stretch_is_told_at_every_position(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 4));
    let server = setup.start().await;
    let mut cursors = vec![server.hub.position()];
    cursors.extend(server.publish_numbers("room", 1..=10).await);
    let ids: Vec<_> = cursors.iter().map(Position::to_string).collect();
    for (seen, id) in ids.iter().enumerate() {
        let mut client = server.dial("room").cursor(id).open().await;
        if seen < 6 {
            let told = client.next().await;
            let expected = ("room", Some(&**id), Some(&*ids[6]), "trimmed", &*ids[6]);
            assert_eq!(gap(&told), expected);
        }
        for (number, id) in ids.iter().enumerate().skip(seen.max(6) + 1) {
            let told = client.next().await;
            assert_eq!((told.text(), told.id()), (&*number.to_string(), Some(&**id)));
        }
    }
}

async fn a_gap_on_several_channels_moves_the_cursor_past_nothing_of_the_others(under: Under) {
    let setup = Setup::new(under).hub(|hub| {
        hub.log_for(|channel, log| {
            if channel.as_str() == "short" {
                log.max_records = 2;
            }
        })
    });
    let server = setup.start().await;
    let start = server.hub.position();
    let mut ledger = Ledger::default();
    for number in 0..12 {
        let channel = ["short", "long"][number % 2];
        let text = number.to_string();
        ledger.note(channel, server.publish(channel, &*text).await, &text);
    }
    let channels = ["short", "long"];
    let mut client = server.dial("short,long").cursor(&start.to_string()).open().await;
    let told = client.next().await;
    let trimmed_through = ledger.positions()[6].to_string();
    let expected = (
        "short",
        Some(&*start.to_string()),
        Some(&*trimmed_through),
        "trimmed",
        &*start.to_string(),
    );
    assert_eq!(gap(&told), expected, "its id is the cursor, not its end");
    let mut all = vec![told];
    all.extend(client.take(8).await);
    assert_eq!(ledger.check(start, &channels, &all), 1);

    // Cut anywhere, the gap told again or not, nothing is lost in silence.
    for seen in 0..=all.len() {
        let mut client = server.dial("short,long").cursor(&start.to_string()).open().await;
        let mut told = client.take(seen).await;
        let cursor = client.last_id().to_owned();
        client.cut();
        let mut client = server.dial("short,long").cursor(&cursor).open().await;
        let live = format!("live {seen}");
        ledger.note("long", server.publish("long", &*live).await, &live);
        told.extend(client.until_text(&live).await);
        ledger.check(start, &channels, &told);
    }
}

async fn a_cursor_of_another_life_is_told_and_all_that_is_kept_follows(under: Under) {
    let setup = || Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 3));
    let (before, after) = (setup().start().await, setup().start().await);
    before.publish_numbers("room", 1..=9).await;
    let mut client = before.dial("room").open().await;
    before.publish("room", "the last of the old life").await;
    client.next().await;
    let cursor = client.last_id().to_owned();
    client.cut();

    let positions = after.publish_numbers("room", 1..=5).await;
    let mut client = after.dial("room").cursor(&cursor).open().await;
    let told = client.next().await;
    let (channel, from, to, reason, id) = gap(&told);
    assert_eq!((channel, reason), ("room", "epoch"));
    assert_eq!(from, Some(&*cursor));
    assert_eq!(
        (to, id),
        (Some(&*positions[1].to_string()), &*positions[1].to_string())
    );
    assert_eq!(client.texts(3).await, ["3", "4", "5"]);

    let several = after
        .dial("room,other")
        .cursor(&cursor)
        .open()
        .await
        .take(5)
        .await;
    let channels: Vec<_> = several[..2]
        .iter()
        .map(|told| (gap(told).0, gap(told).3))
        .collect();
    assert_eq!(channels, [("other", "epoch"), ("room", "epoch")]);
    assert_eq!(several[4].text(), "5");
}

async fn a_cursor_beyond_the_end_is_of_another_life(under: Under) {
    let server = Setup::new(under).start().await;
    let last = server.publish("room", "seen by nobody").await;
    let (epoch, next) = (last.epoch(), last.sequence() + 1);
    let last = last.to_string();
    for sequence in [next, 1_000_000, u64::MAX] {
        let cursor = format!("{epoch}-{sequence}");
        let mut client = server.dial("room").cursor(&cursor).open().await;
        let told = client.next().await;
        assert_eq!(
            gap(&told),
            ("room", Some(&*cursor), Some(&*last), "epoch", &*last)
        );
    }
}

async fn a_cursor_that_makes_no_sense_is_told_and_never_refused(under: Under) {
    let server = Setup::new(under).start().await;
    let mut last = server.publish("room", "seen by nobody").await.to_string();
    let long = "x".repeat(2_000);
    for garbage in [
        "garbage",
        "1",
        "-",
        "0123456789-01",
        "0123456789-",
        "%00",
        "a%20b",
        "a+b",
        "null",
        &long,
    ] {
        let by_query = server.dial("room").query(format!("last-event-id={garbage}"));
        let by_header = server.dial("room").header("last-event-id", garbage);
        for dial in [by_query, by_header] {
            let mut client = dial.open().await;
            let told = client.next().await;
            assert_eq!(
                gap(&told),
                ("room", None, Some(&*last), "unreadable", &*last),
                "{garbage}"
            );
            last = server.publish("room", "live").await.to_string();
            assert_eq!(client.next().await.text(), "live");
        }
    }
    let mut client = server
        .dial("room")
        .header("last-event-id", [0xff, 0xfe])
        .open()
        .await;
    assert_eq!(gap(&client.next().await).3, "unreadable");
    let mut client = server.dial("a,b").cursor("garbage").open().await;
    let told = client.take(2).await;
    assert_eq!((gap(&told[0]).0, gap(&told[1]).0), ("a", "b"));
}

async fn a_client_that_is_cut_between_two_gaps_is_told_the_second_one_again(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 2));
    let server = setup.start().await;
    let start = server.hub.position();
    for number in 0..10 {
        server.publish(["a", "b"][number % 2], number.to_string()).await;
    }
    for cursor in [start.to_string(), "0123456789-7".into(), "garbage".into()] {
        // Before the first gap, and between the two.
        for seen in 0..=1 {
            let mut client = server.dial("a,b").cursor(&cursor).open().await;
            let told = client.take(seen).await;
            assert!(told.iter().all(|told| gap(told).0 == "a"));
            let cursor = client.last_id().to_owned();
            client.cut();
            let mut client = server.dial("a,b").cursor(&cursor).open().await;
            let told = client.take(2).await;
            assert_eq!((gap(&told[0]).0, gap(&told[1]).0), ("a", "b"), "cut after {seen}");
        }
    }
}
