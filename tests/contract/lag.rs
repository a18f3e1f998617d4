//! Lag rules: what a client that stops reading finds when it goes on.

use dualcast::{LagRule, MaxLag, Message};
use dualcast_tests::{Client, End, Ledger, Server, Setup, Told, Under, contract};

contract!(
    over nats: a_client_that_catches_up_in_time_misses_nothing,
    a_client_that_is_overtaken_by_the_trim_is_told_so,
    several_channels_of_a_stalled_client_are_whole_or_told,
    a_client_that_skips_is_told_what_and_goes_on_at_the_head,
    a_client_that_conflates_gets_the_newest_of_each_key_and_the_number_merged,
    a_client_that_is_disconnected_for_its_lag_resumes_whole,
    a_reader_that_keeps_up_is_spared_every_rule,
    a_stalled_client_holds_up_neither_publishers_nor_others,
);

/// More than all buffers between the server and a small client hold, also where hyper takes its 16 pieces ahead.
const FLOOD: usize = 120;

const PAYLOAD_BYTES: usize = 12 << 10;

fn text(number: usize) -> String {
    format!("{number}:{}", "x".repeat(PAYLOAD_BYTES))
}

/// A message's number.
fn number(told: &Told) -> usize {
    told.text().split(':').next().unwrap().parse().unwrap()
}

fn setup(under: Under, rule: LagRule) -> Setup {
    Setup::new(under)
        .small_buffers()
        .subscribe(move |subscribe| subscribe.lag(rule))
}

/// Publishes more than a client takes that doesn't read.
async fn flood(server: &Server, channels: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0..FLOOD {
        let channel = channels[number % channels.len()];
        let text = text(number);
        ledger.note(channel, server.publish(channel, &*text).await, &text);
    }
    ledger
}

/// Publishes one more, and answers all that the client is told up to it.
async fn catch_up(server: &Server, client: &mut Client, channel: &str, ledger: &mut Ledger) -> Vec<Told> {
    ledger.note(channel, server.publish(channel, "last").await, "last");
    client.until_text("last").await
}

pub(crate) async fn a_client_that_catches_up_in_time_misses_nothing(under: Under) {
    let server = setup(under, LagRule::CatchUp).start().await;
    let mut client = server.dial("room").slow().open().await;
    let start = client.position();
    let mut ledger = flood(&server, &["room"]).await;
    let told = catch_up(&server, &mut client, "room", &mut ledger).await;
    assert_eq!(ledger.check(start, &["room"], &told), 0);
    assert_eq!(told.len(), FLOOD + 1);
}

async fn a_client_that_is_overtaken_by_the_trim_is_told_so(under: Under) {
    let setup = setup(under, LagRule::CatchUp).hub(|hub| hub.log(|log| log.max_records = 10));
    let server = setup.start().await;
    let mut client = server.dial("room").slow().open().await;
    let start = client.position();
    let mut ledger = flood(&server, &["room"]).await;
    let told = catch_up(&server, &mut client, "room", &mut ledger).await;
    assert!(ledger.check(start, &["room"], &told) > 0);
    let mut cursor = start.to_string();
    for told in &told {
        if let Told::Gap {
            id, from, to, reason, ..
        } = told
        {
            assert_eq!(reason, "trimmed");
            assert_eq!(from.as_deref(), Some(&*cursor), "from where it was");
            assert_eq!(id, to, "on one channel the gap's end is the cursor");
        }
        told.id().unwrap().clone_into(&mut cursor);
    }
    let rest = told
        .iter()
        .rev()
        .take_while(|told| !matches!(told, Told::Gap { .. }));
    assert!(rest.count() >= 10, "all that was kept came");
}

async fn several_channels_of_a_stalled_client_are_whole_or_told(under: Under) {
    for rule in [LagRule::CatchUp, LagRule::Skip(MaxLag::records(5))] {
        let setup = setup(under, rule).hub(|hub| {
            hub.log_for(|channel, log| log.max_records = if channel.as_str() == "a" { 6 } else { 1_000 })
        });
        let server = setup.start().await;
        let mut client = server.dial("a,b,c").slow().open().await;
        let start = client.position();
        let ledger = flood(&server, &["a", "b", "c"]).await;
        let told = until_head(&mut client, &ledger).await;
        assert!(ledger.check(start, &["a", "b", "c"], &told) > 0);
    }
}

/// All that a client is told until it has seen everything.
async fn until_head(client: &mut Client, ledger: &Ledger) -> Vec<Told> {
    let head = *ledger.positions().last().unwrap();
    let mut told = Vec::new();
    while client.position() < head {
        told.push(client.next().await);
    }
    told
}

async fn a_client_that_skips_is_told_what_and_goes_on_at_the_head(under: Under) {
    let server = setup(under, LagRule::Skip(MaxLag::records(20))).start().await;
    let mut client = server.dial("room").slow().open().await;
    let start = client.position();
    let mut ledger = flood(&server, &["room"]).await;
    let mut told = until_head(&mut client, &ledger).await;
    for told in &told {
        if let Told::Gap { id, to, reason, .. } = told {
            assert_eq!(reason, "slow");
            assert_eq!(id, to);
        }
    }
    assert!(told.len() < FLOOD, "what lies in a gap is not sent");
    told.extend(catch_up(&server, &mut client, "room", &mut ledger).await);
    assert!(ledger.check(start, &["room"], &told) > 0);
}

async fn a_client_that_conflates_gets_the_newest_of_each_key_and_the_number_merged(under: Under) {
    let server = setup(under, LagRule::Conflate(MaxLag::records(20))).start().await;
    let mut client = server.dial("room").slow().open().await;
    let room = server.channel("room");
    let mut newest = [0; 5];
    for number in 0..FLOOD {
        let key = number % newest.len();
        newest[key] = number;
        let message = Message::text("message", text(number)).conflation_key(key.to_string());
        room.publish(message).await.unwrap();
    }
    server.publish("room", "last").await;
    let told = client.until_text("last").await;
    let (mut received, mut merged) = (Vec::new(), 0);
    for told in &told[..told.len() - 1] {
        match told {
            Told::Merged { channel, count, id } => {
                assert_eq!(channel, "room");
                assert!(id.is_some());
                merged += count;
            }
            told => received.push(number(told)),
        }
    }
    assert!(merged > 0, "it was slow enough");
    assert_eq!(
        received.len() as u64 + merged,
        FLOOD as u64,
        "every message came or was counted"
    );
    assert!(received.is_sorted());
    for newest in newest {
        assert!(received.contains(&newest), "{newest} is the newest of its key");
    }
    // Caught up, it gets them all again.
    for number in 0..10 {
        room.publish(Message::text("message", format!("{number}:")).conflation_key("0"))
            .await
            .unwrap();
    }
    let numbers: Vec<_> = client.take(10).await.iter().map(number).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

async fn a_client_that_is_disconnected_for_its_lag_resumes_whole(under: Under) {
    let server = setup(under, LagRule::Disconnect(MaxLag::records(20)))
        .start()
        .await;
    let mut client = server.dial("room").slow().open().await;
    let start = client.position();
    let mut ledger = flood(&server, &["room"]).await;
    server.is_free_of(&["room"]).await;
    let (mut told, end) = client.until_end().await;
    let closing = told.pop_if(|told| matches!(told, Told::Closing { .. }));
    match closing {
        Some(Told::Closing {
            reason,
            code,
            reconnect,
            ..
        }) => assert_eq!((&*reason, code, reconnect), ("slow", 4001, true)),
        _ => assert_eq!(end, End::Cut, "it was to be told, or cut"),
    }
    server.is_free_of(&["room"]).await;
    let mut back = server.dial("room").cursor(client.last_id()).open().await;
    told.extend(catch_up(&server, &mut back, "room", &mut ledger).await);
    assert_eq!(ledger.check(start, &["room"], &told), 0);
}

async fn a_reader_that_keeps_up_is_spared_every_rule(under: Under) {
    let lag = MaxLag::records(5);
    for rule in [
        LagRule::Skip(lag),
        LagRule::Conflate(lag),
        LagRule::Disconnect(lag),
    ] {
        let server = setup(under, rule).start().await;
        let mut client = server.dial("room").open().await;
        for number in 0..100 {
            let message = Message::text("message", number.to_string()).conflation_key("k");
            server.channel("room").publish(message).await.unwrap();
            assert_eq!(client.next().await.text(), number.to_string());
        }
    }
}

async fn a_stalled_client_holds_up_neither_publishers_nor_others(under: Under) {
    let server = setup(under, LagRule::CatchUp).start().await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        stalled.push(server.dial("room").slow().open().await);
    }
    let mut healthy = server.dial("room").open().await;
    for number in 0..FLOOD {
        server.publish("room", text(number)).await;
        assert_eq!(healthy.next().await.text(), text(number));
    }
    for stalled in stalled {
        stalled.cut();
    }
}
