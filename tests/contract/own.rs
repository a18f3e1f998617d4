//! One's own messages, for who asked not to get them back.

use dualcast::{Identity, Message};
use dualcast_tests::{Setup, Under, contract};
use std::time::Duration;

contract!(
    over nats: who_asked_for_it_does_not_get_what_it_sent_itself,
    ones_own_messages_move_the_cursor_and_do_not_come_by_a_resume,
);

fn setup(under: Under) -> Setup {
    Setup::new(under)
        .subscribe(|subscribe| subscribe.without_own(Identity::new("ann")))
        .session(|options| options.heartbeat = Duration::from_millis(20))
}

fn from(sender: &str, text: &str) -> Message {
    Message::text("message", text).sender(Identity::new(sender))
}

async fn who_asked_for_it_does_not_get_what_it_sent_itself(under: Under) {
    let server = setup(under).start().await;
    for channels in ["room", "room,other"] {
        let mut client = server.dial(channels).open().await;
        let room = server.channel("room");
        room.publish(from("ann", "own")).await.unwrap();
        room.publish(from("ann", "own, volatile").volatile())
            .await
            .unwrap();
        room.publish(from("bob", "another's")).await.unwrap();
        room.publish(from("ann", "own")).await.unwrap();
        room.publish(Message::text("message", "nobody's")).await.unwrap();
        assert_eq!(client.next_but_heartbeats().await.text(), "another's");
        assert_eq!(client.next_but_heartbeats().await.text(), "nobody's");
    }
}

async fn ones_own_messages_move_the_cursor_and_do_not_come_by_a_resume(under: Under) {
    let server = setup(under).start().await;
    let mut client = server.dial("room").open().await;
    let cursor = client.last_id().to_owned();
    let own = server.channel("room").publish(from("ann", "own")).await.unwrap();
    while client.position() < own {
        client.next().await;
    }
    let mut back = server.dial("room").cursor(&cursor).open().await;
    server
        .channel("room")
        .publish(from("bob", "another's"))
        .await
        .unwrap();
    assert_eq!(back.next_but_heartbeats().await.text(), "another's");
}
