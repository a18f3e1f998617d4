//! Who is present: told whole at the beginning, by change from then on, and lost to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dualcast::{Error, Identity, Member as Present, Transport};
use dualcast_tests::{Client, Member, Presence, Server, Setup, Told, Under, contract, eventually};
use serde_json::json;

contract!(
    over nats: who_comes_is_told_who_is_there_and_the_others_that_it_came,
    who_only_looks_on_is_told_and_not_counted,
    who_comes_back_within_the_grace_was_never_away,
    who_is_gone_is_told_to_have_left,
    who_is_sent_away_has_left_at_once,
    a_heartbeat_says_up_to_which_version_its_client_was_told,
    who_comes_back_is_told_the_whole_again,
    a_client_that_does_not_read_is_told_the_whole_when_it_does,
    whose_name_breaks_a_rule_is_refused,
    a_right_that_is_taken_back_ends_the_grace_on_that_channel_alone,
    data_arrive_as_they_are_however_they_are_written,
);
contract!(sse: a_plain_stream_is_told_of_nobody);
contract!(ws: a_joined_channel_has_a_presence_of_its_own);
contract!(servers: sessions_of_either_transport_count_as_one_member);

/// Long enough for a client to come back, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

async fn start(under: Under, grace: Duration) -> Server {
    let setup = Setup::new(under).present();
    let setup = setup.hub(move |hub| hub.limits(|limits| limits.presence_grace = grace));
    setup.start().await
}

async fn enter(server: &Server, who: &str) -> Client {
    server.dial("room").query(format!("who={who}")).open().await
}

async fn presence(client: &mut Client) -> Presence {
    match client.next().await {
        Told::Presence(presence) => presence,
        other => panic!("expected to be told who is present, not {other:?}"),
    }
}

fn member(id: &str) -> Member {
    let data = Some(json!({ "name": id }));
    Member { id: id.into(), data }
}

/// `2: ada bob` for the whole, `2: +bob -ada` for a change.
fn line(presence: &Presence) -> String {
    let mut words = vec![format!("{}:", presence.count)];
    assert_eq!(presence.members.is_some(), presence.since.is_none());
    for known in presence.members.iter().flatten() {
        assert_eq!(known, &member(&known.id));
        words.push(known.id.clone());
    }
    words.extend(presence.joined.iter().map(|joined| format!("+{}", joined.id)));
    words.extend(presence.left.iter().map(|left| format!("-{left}")));
    words.join(" ")
}

async fn next_line(client: &mut Client) -> String {
    line(&presence(client).await)
}

async fn who_comes_is_told_who_is_there_and_the_others_that_it_came(under: Under) {
    let server = start(under, LONG).await;
    let mut ada = enter(&server, "ada").await;
    let whole = presence(&mut ada).await;
    assert_eq!((line(&whole), &*whole.channel), ("1: ada".into(), "room"));
    let mut bob = enter(&server, "bob").await;
    assert_eq!(next_line(&mut bob).await, "2: ada bob");
    let change = presence(&mut ada).await;
    assert_eq!(line(&change), "2: +bob");
    assert_eq!(change.joined, [member("bob")]);
    assert_eq!(
        (change.since, change.version),
        (Some(whole.version), whole.version + 1)
    );
}

async fn who_only_looks_on_is_told_and_not_counted(under: Under) {
    let server = start(under, LONG).await;
    let mut viewer = server.dial("room").open().await;
    assert_eq!(next_line(&mut viewer).await, "0:");
    let mut ada = enter(&server, "ada").await;
    assert_eq!(next_line(&mut viewer).await, "1: +ada");
    assert_eq!(next_line(&mut ada).await, "1: ada");
}

async fn who_comes_back_within_the_grace_was_never_away(under: Under) {
    let server = start(under, LONG).await;
    let mut viewer = server.dial("room").open().await;
    next_line(&mut viewer).await;
    for _ in 0..3 {
        let ada = enter(&server, "ada").await;
        ada.cut();
        eventually("the server knows", || server.channel("room").followers() == 1).await;
    }
    let _ada = enter(&server, "ada").await;
    server.hub.maintain();
    assert_eq!(next_line(&mut viewer).await, "1: +ada");
    server.publish("room", "after").await;
    assert_eq!(
        viewer.next().await.text(),
        "after",
        "and nothing of her comings and goings"
    );
}

async fn who_is_gone_is_told_to_have_left(under: Under) {
    let server = start(under, Duration::from_millis(50)).await;
    let mut viewer = server.dial("room").open().await;
    next_line(&mut viewer).await;
    let ada = enter(&server, "ada").await;
    let _bob = enter(&server, "bob").await;
    let mut count = 0;
    while count < 2 {
        count = presence(&mut viewer).await.count;
    }
    ada.leave().await;
    assert_eq!(next_line(&mut viewer).await, "1: -ada");
}

async fn who_is_sent_away_has_left_at_once(under: Under) {
    let server = start(under, LONG).await;
    let mut viewer = server.dial("room").open().await;
    next_line(&mut viewer).await;
    let _ada = enter(&server, "ada").await;
    assert_eq!(next_line(&mut viewer).await, "1: +ada");
    server.hub.disconnect(&Identity::new("ada"));
    assert_eq!(next_line(&mut viewer).await, "0: -ada");
    let _bob = enter(&server, "bob").await;
    assert_eq!(next_line(&mut viewer).await, "1: +bob");
    server
        .hub
        .unsubscribe(&Identity::new("bob"), server.channel("room").name());
    assert_eq!(next_line(&mut viewer).await, "0: -bob");
}

async fn a_heartbeat_says_up_to_which_version_its_client_was_told(under: Under) {
    let setup = Setup::new(under).present();
    let setup = setup.session(|options| options.heartbeat = Duration::from_millis(20));
    let server = setup.start().await;
    let mut viewer = server.dial("room,hall").open().await;
    let mut told = BTreeMap::new();
    let mut ada = None;
    for round in 0..6 {
        match viewer.next().await {
            Told::Presence(presence) => {
                told.insert(presence.channel, presence.version);
            }
            Told::Heartbeat { presence, .. } => assert_eq!(presence, told),
            other => panic!("{other:?}"),
        }
        if round == 3 {
            ada = Some(enter(&server, "ada").await);
        }
    }
    assert_eq!(told.len(), 2);
    drop(ada);
}

async fn who_comes_back_is_told_the_whole_again(under: Under) {
    let server = start(under, LONG).await;
    let mut ada = enter(&server, "ada").await;
    assert_eq!(next_line(&mut ada).await, "1: ada");
    let cursor = ada.last_id().to_owned();
    ada.cut();
    let _bob = enter(&server, "bob").await;
    server.publish("room", "missed").await;
    let back = server.dial("room").query("who=ada").cursor(&cursor);
    let mut back = back.open().await;
    assert_eq!(next_line(&mut back).await, "2: ada bob");
    assert_eq!(back.next().await.text(), "missed");
}

async fn a_client_that_does_not_read_is_told_the_whole_when_it_does(under: Under) {
    let setup = Setup::new(under).small_buffers().present();
    let server = setup.start().await;
    let mut slow = server.dial("room").slow().open().await;
    assert_eq!(next_line(&mut slow).await, "0:");
    let mut all = Vec::new();
    let long = "x".repeat(180);
    for number in 10..99 {
        // Each is told to the slow one, until nothing more fits.
        server.publish("room", "x".repeat(4 << 10)).await;
        let name = format!("{number}{long}");
        all.push(
            server
                .hub
                .channel("room")
                .unwrap()
                .presence()
                .join(Present::new(&*name))
                .unwrap(),
        );
    }
    let (mut known, mut version) = (BTreeSet::new(), 0);
    let mut wholes = 0;
    while known.len() < all.len() {
        let Told::Presence(told) = slow.next().await else {
            continue;
        };
        match told.since {
            Some(since) => assert_eq!(since, version, "it has missed nothing"),
            None => {
                known.clear();
                wholes += 1;
            }
        }
        version = told.version;
        let members = told.members.into_iter().flatten().chain(told.joined);
        known.extend(members.map(|member| member.id));
        assert_eq!(known.len(), told.count);
    }
    assert!(wholes > 0, "it was not told each by each");
}

async fn whose_name_breaks_a_rule_is_refused(under: Under) {
    let server = start(under, LONG).await;
    for who in ["", &*"x".repeat(201)] {
        let refused = server.dial("room").query(format!("who={who}")).attempt().await;
        let answer = refused.expect_err("it is refused");
        let told = Told::from_answer(&answer.json());
        assert_eq!(answer.status(), 400);
        assert!(
            matches!(&told, Told::Error { code, .. } if code == "bad-member"),
            "{told:?}"
        );
    }
    assert_eq!(server.channel("room").presence().now().count(), 0);
}

async fn a_right_that_is_taken_back_ends_the_grace_on_that_channel_alone(under: Under) {
    let server = start(under, LONG).await;
    let mut ada = server.dial("room,hall").query("who=ada").open().await;
    let whole = |told: &Presence| (told.channel.clone(), told.count);
    let told = [presence(&mut ada).await, presence(&mut ada).await];
    assert_eq!(
        told.each_ref().map(whole),
        [("hall".into(), 1), ("room".into(), 1)]
    );
    server
        .hub
        .unsubscribe(&Identity::new("ada"), server.channel("room").name());
    assert_eq!(ada.closing().await, ("revoked".into(), true));
    let count = |channel: &str| server.channel(channel).presence().now().count();
    eventually("she has left the room", || count("room") == 0).await;
    assert_eq!(count("hall"), 1, "to which she may come back");
}

async fn data_arrive_as_they_are_however_they_are_written(under: Under) {
    let server = start(under, LONG).await;
    let mut viewer = server.dial("room").open().await;
    next_line(&mut viewer).await;
    let written = serde_json::value::RawValue::from_string("{\r\n\"name\":\n\"A\\nda\"\n}".into());
    let member = Present::new("ada").data(&written.unwrap()).unwrap();
    let _ada = server.channel("room").presence().join(member).unwrap();
    let told = presence(&mut viewer).await;
    assert_eq!(told.joined[0].data, Some(json!({ "name": "A\nda" })));
}

async fn a_plain_stream_is_told_of_nobody(under: Under) {
    let setup = Setup::new(under).present().sse(|options| options.is_plain = true);
    let server = setup.start().await;
    let mut http = server.http().await;
    let request = "GET /sse?channels=room&who=eve HTTP/1.1\r\nhost: a\r\n\r\n";
    http.send(request).await.unwrap();
    let mut framing = http.head().await.unwrap().body();
    assert_eq!(
        server.channel("room").presence().now().count(),
        0,
        "nor is it told to others"
    );
    let _ada = server
        .channel("room")
        .presence()
        .join(Present::new("ada"))
        .unwrap();
    server.publish("room", "after").await;
    server.channel("room").finish().await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = http.body(&mut framing).await.unwrap() {
        all.extend_from_slice(&piece);
    }
    let all = String::from_utf8(all).unwrap();
    assert!(
        all.ends_with("data: [DONE]\n\n") && !all.contains("ada") && !all.contains("presence"),
        "{all}"
    );
}

async fn a_joined_channel_has_a_presence_of_its_own(under: Under) {
    let setup = Setup::new(under).on_subscribe(|hub, request| async move {
        let channel = hub.channel(&request.channel)?;
        Ok::<_, Error>(channel.subscribe().present(Present::new("ada")))
    });
    let server = setup.start().await;
    let hall = server.hub.channel("hall").unwrap();
    let mut ada = server.dial("room").open().await;
    ada.ask(&json!({ "control": "subscribe", "channel": "hall", "ref": 1 }))
        .await;
    let told = presence(&mut ada).await;
    assert_eq!((&*told.channel, told.count), ("hall", 1));
    assert_eq!(server.channel("room").presence().now().count(), 0);
    ada.ask(&json!({ "control": "unsubscribe", "channel": "hall", "ref": 2 }))
        .await;
    assert_eq!(
        hall.presence().now().count(),
        0,
        "whoever leaves a channel is not waited for"
    );
}

async fn sessions_of_either_transport_count_as_one_member(under: Under) {
    let server = start(under, LONG).await;
    let mut first = None;
    for transport in [Transport::Sse, Transport::WebSocket] {
        let mut ada = server.dial_by(transport, "room").query("who=ada").open().await;
        assert_eq!(next_line(&mut ada).await, "1: ada");
        first.get_or_insert(ada);
    }
    server.publish("room", "after").await;
    assert_eq!(first.unwrap().next().await.text(), "after");
}
