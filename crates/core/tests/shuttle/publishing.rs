//! Publishers against each other.

use dualcast_core::{CloseReason, Hub, Message, PublishError};
use futures::FutureExt;
use shuttle::future::block_on;
use shuttle::thread;

use crate::{Told, explore, sequence};

#[test]
fn two_repeats_at_once_are_logged_once() {
    explore(|| {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let publishers = [(); 3].map(|()| {
            let channel = channel.clone();
            thread::spawn(move || {
                let message = Message::text("e", "m").idempotency_key("once");
                sequence(channel.publish(message).now_or_never().unwrap().unwrap())
            })
        });
        let positions = publishers.map(|publisher| publisher.join().unwrap());
        assert_eq!(positions, [1, 1, 1]);
        assert_eq!(sequence(hub.position()), 1);
    });
}

#[test]
fn a_repeat_is_answered_only_once_its_first_can_be_read() {
    explore(|| {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let publishers = [(); 2].map(|()| {
            let (hub, channel) = (hub.clone(), channel.clone());
            thread::spawn(move || {
                let message = Message::text("e", "m").idempotency_key("once");
                let position = channel.publish(message).now_or_never().unwrap().unwrap();
                assert!(hub.position() >= position);
                let mut told = Told::default();
                told.drain(&mut channel.subscribe().from_start().open().unwrap());
                assert_eq!(told.records, [sequence(position)]);
            })
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
    });
}

#[test]
fn what_is_published_is_before_the_end_or_refused() {
    explore(|| {
        let hub = Hub::new();
        let channel = hub.channel("a").unwrap();
        let mut subscription = channel.subscribe().open().unwrap();
        let publishers = [(); 2].map(|()| {
            let channel = channel.clone();
            thread::spawn(move || {
                let published = channel.publish(Message::text("e", "m")).now_or_never().unwrap();
                match published {
                    Ok(position) => Some(sequence(position)),
                    Err(PublishError::Finished) => None,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let finisher = thread::spawn({
            let channel = channel.clone();
            move || sequence(channel.finish().now_or_never().unwrap().unwrap())
        });
        let mut told = Told::default();
        let reason = loop {
            match block_on(subscription.next(1)) {
                Ok(items) => told.hear(&items),
                Err(reason) => break reason,
            }
        };
        assert_eq!(reason, CloseReason::Finished);
        let mut logged: Vec<u64> = publishers.into_iter().filter_map(|p| p.join().unwrap()).collect();
        logged.sort_unstable();
        let end = finisher.join().unwrap();
        assert!(logged.iter().all(|sequence| *sequence < end));
        logged.push(end);
        assert_eq!(told.records, logged);
    });
}
