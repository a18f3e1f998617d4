//! How a shutdown drains: a crowd comes back over a window, who has leave to finish finishes, and thousands are told under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dualcast::{CloseReason, Identity, Message, SessionOptions, Transport};
use dualcast_tests::{Client, End, Server, Setup, Told, Under, contract, eventually};
use serde_json::json;
use tokio::sync::Semaphore;

contract!(
    over nats: a_crowd_is_told_to_come_back_over_the_whole_window,
    a_user_is_sent_away_also_while_the_server_waits_for_her,
);
contract!(
    a_stream_with_leave_to_finish_comes_to_its_own_end,
    a_stream_that_takes_longer_than_its_leave_is_told,
);
contract!(
    own_server: a_handler_whose_client_has_vanished_is_waited_for,
    a_handler_at_work_is_waited_for_and_its_client_is_not,
    a_handler_that_comes_to_no_end_is_dropped_after_its_grace,
);
contract!(http1 own_server: two_thousand_clients_are_told_in_the_middle_of_everything);

/// The closing, with the moment that it names.
async fn retry(client: &mut Client) -> u64 {
    let told = client.next_but_heartbeats().await;
    let Told::Closing { reason, retry, .. } = told else {
        panic!("expected a closing, not {told:?}");
    };
    assert_eq!(reason, CloseReason::Shutdown.name());
    let retry = retry.expect("it is told when to come back");
    if client.transport() == Transport::Sse {
        assert_eq!(
            client.events().retry(),
            Some(retry),
            "an `EventSource` is told, too"
        );
    }
    retry
}

async fn a_crowd_is_told_to_come_back_over_the_whole_window(under: Under) {
    let mut server = Setup::new(under).start().await;
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(server.dial("room").open().await);
    }
    server.begin_shutdown();
    let mut moments = Vec::new();
    for client in &mut crowd {
        moments.push(retry(client).await);
    }
    let defaults = SessionOptions::default();
    let least = (defaults.retry / 2).as_millis() as u64;
    let window = defaults.restart_window.as_millis() as u64;
    assert!(
        moments.iter().all(|at| (least..=window).contains(at)),
        "{moments:?}"
    );
    for part in 1..4 {
        let (from, to) = (window * part / 4, window * (part + 1) / 4);
        let here = moments.iter().filter(|at| (from..=to).contains(*at));
        assert!(
            here.count() > 0,
            "nobody comes between {from} and {to}: {moments:?}"
        );
    }
}

fn with_grace(under: Under, grace: Duration) -> Setup {
    Setup::new(under)
        .session(move |options| options.shutdown_grace = grace)
        .options(|options| options.drain_timeout = Duration::from_secs(50))
}

async fn a_stream_with_leave_to_finish_comes_to_its_own_end(under: Under) {
    let mut server = with_grace(under, Duration::from_secs(40)).start().await;
    let mut client = server.dial("run").open().await;
    server.publish("run", "before").await;
    assert_eq!(client.next().await.text(), "before");
    server.begin_shutdown();
    for number in 0..5 {
        server.publish("run", number.to_string()).await;
        assert_eq!(client.next().await.text(), number.to_string());
    }
    assert_eq!(server.hub.session_count(), 1, "it is waited for");
    server.channel("run").finish().await.unwrap();
    assert!(matches!(client.next().await, Told::Finished { .. }));
    assert_eq!(client.closing().await, ("finished".into(), false));
    drop(client);
    server.is_over().await;
    server.is_free_of(&["run"]).await;
}

async fn a_stream_that_takes_longer_than_its_leave_is_told(under: Under) {
    let mut server = with_grace(under, Duration::from_millis(200)).start().await;
    let mut client = server.dial("run").open().await;
    server.begin_shutdown();
    server.publish("run", "still").await;
    assert_eq!(client.next().await.text(), "still");
    assert_eq!(client.closing().await, ("shutdown".into(), true));
    drop(client);
    server.is_over().await;
}

async fn a_user_is_sent_away_also_while_the_server_waits_for_her(under: Under) {
    let mut server = with_grace(under, Duration::from_secs(40)).start().await;
    let mut client = server.dial("run").query("who=anna").open().await;
    server.begin_shutdown();
    server.publish("run", "still").await;
    assert_eq!(client.next().await.text(), "still");
    server.hub.disconnect(&Identity::new("anna"));
    assert_eq!(client.closing().await, ("disconnected".into(), false));
    drop(client);
    server.is_over().await;
}

/// Both transports; messages without a pause; and each client sees all of them in order up to its goodbye, and is told when to
/// come back. What it came to is printed: the figures of one run.
async fn two_thousand_clients_are_told_in_the_middle_of_everything(under: Under) {
    const CLIENTS: usize = 2_000;
    let mut server = Setup::new(under)
        .options(|options| options.drain_timeout = Duration::from_secs(50))
        .start()
        .await;
    let mut hearing = Vec::new();
    for number in 0..CLIENTS {
        // Half of each, whichever the test is of.
        let transport = if number % 2 == 0 {
            under.transport
        } else {
            under.other_transport()
        };
        let client = server.dial_by(transport, "room").open().await;
        // At once, since one that answers no ping while all the others open is given up.
        hearing.push(tokio::spawn(hears_all_up_to_the_shutdown(client)));
    }
    assert_eq!(server.hub.session_count(), CLIENTS);
    let is_over = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let (room, is_over) = (server.channel("room"), Arc::clone(&is_over));
        async move {
            let mut number = 0_u64;
            while !is_over.load(Ordering::SeqCst) {
                let message = Message::text("message", number.to_string());
                room.publish(message).await.unwrap();
                number += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            number
        }
    });
    eventually("messages flow", || {
        server.hub.position().to_string().ends_with('5')
    })
    .await;
    let begun = std::time::Instant::now();
    server.begin_shutdown();
    server.is_over().await;
    let took = begun.elapsed();
    is_over.store(true, Ordering::SeqCst);
    for client in hearing {
        client.await.unwrap();
    }
    let published = publisher.await.unwrap();
    server.is_free_of(&["room"]).await;
    eprintln!(
        "{CLIENTS} clients were told and gone after {took:?}, with {published} messages published around it"
    );
}

async fn hears_all_up_to_the_shutdown(mut client: Client) {
    let mut next = None;
    loop {
        match client.next_but_heartbeats().await {
            told @ Told::Message { .. } => {
                let number: u64 = told.text().parse().unwrap();
                assert_eq!(number, next.unwrap_or(number), "none lost, none twice");
                next = Some(number + 1);
            }
            Told::Closing { reason, retry, .. } => {
                assert_eq!(reason, "shutdown");
                assert!(retry.is_some());
                let end = client.next().await;
                assert!(matches!(end, Told::End(End::Complete(_))), "{end:?}");
                return;
            }
            told => panic!("{told:?}"),
        }
    }
}

/// Whether a handler was let go on, and whether it was done.
#[derive(Clone)]
struct Gate {
    open: Arc<Semaphore>,
    is_done: Arc<AtomicBool>,
}

/// A server with a handler that has begun, and the client that it works for.
async fn at_work(setup: Setup) -> (Server, Client, Gate) {
    let begun = Arc::new(Semaphore::new(0));
    let gate = Gate {
        open: Arc::new(Semaphore::new(0)),
        is_done: Arc::default(),
    };
    let setup = setup.on_message({
        let (begun, gate) = (Arc::clone(&begun), gate.clone());
        move |_, _| {
            let (begun, gate) = (Arc::clone(&begun), gate.clone());
            async move {
                begun.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
                gate.is_done.store(true, Ordering::SeqCst);
            }
        }
    });
    let server = setup.start().await;
    let mut client = server.dial_by(Transport::WebSocket, "room").open().await;
    client.send(&json!({ "event": "e" })).await;
    begun.acquire().await.unwrap().forget();
    (server, client, gate)
}

async fn a_handler_whose_client_has_vanished_is_waited_for(under: Under) {
    let (mut server, client, gate) = at_work(Setup::new(under)).await;
    client.cut();
    server.is_free_of(&["room"]).await;
    server.begin_shutdown();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.is_running());
    gate.open.add_permits(1);
    server.is_over().await;
    assert!(gate.is_done.load(Ordering::SeqCst));
}

async fn a_handler_at_work_is_waited_for_and_its_client_is_not(under: Under) {
    let (mut server, mut client, gate) = at_work(Setup::new(under)).await;
    server.begin_shutdown();
    assert_eq!(client.closing().await, ("shutdown".into(), true));
    drop(client);
    server.is_free_of(&["room"]).await;
    assert!(server.is_running());
    gate.open.add_permits(1);
    server.is_over().await;
    assert!(gate.is_done.load(Ordering::SeqCst));
}

async fn a_handler_that_comes_to_no_end_is_dropped_after_its_grace(under: Under) {
    let setup = Setup::new(under).options(|options| {
        options.drain_timeout = Duration::from_millis(50);
        options.handler_grace = Duration::from_millis(50);
    });
    let (mut server, client, gate) = at_work(setup).await;
    client.cut();
    server.begin_shutdown();
    server.is_over().await;
    assert_eq!(Arc::strong_count(&gate.is_done), 1, "it is gone, as its route is");
}
