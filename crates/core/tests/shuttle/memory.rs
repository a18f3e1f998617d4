//! Channels that come and go: eviction, trimming and what all logs cost together.

use dualcast_core::{Hub, Message, RECORD_OVERHEAD_BYTES};
use shuttle::thread;

use crate::{Told, age_out, aging_hub, explore, publish, sequence, small_hub};

#[test]
fn a_record_that_meets_an_eviction_is_read_or_told() {
    explore(|| {
        let (hub, clock) = aging_hub();
        let channel = hub.channel("a").unwrap();
        let before = hub.position();
        publish(&channel, "1");
        let publisher = thread::spawn({
            let channel = channel.clone();
            move || sequence(publish(&channel, "2"))
        });
        let evicter = thread::spawn({
            let (hub, clock) = (hub.clone(), clock.clone());
            move || age_out(&hub, &clock)
        });
        let mut subscription = channel.subscribe().after(before).open().unwrap();
        let mut told = Told::default();
        told.drain(&mut subscription);
        let second = publisher.join().unwrap();
        evicter.join().unwrap();
        told.drain(&mut subscription);
        assert!(
            told.knows(&channel, 1) && told.knows(&channel, second),
            "{told:?}"
        );
        // Who comes now finds the same, or a gap that says so.
        let mut late = channel.subscribe().after(before).open().unwrap();
        let mut told = Told::default();
        told.drain(&mut late);
        assert!(
            told.knows(&channel, 1) && told.knows(&channel, second),
            "{told:?}"
        );
    });
}

#[test]
fn a_channel_that_comes_back_remembers_that_something_was_forgotten() {
    explore(|| {
        let (hub, clock) = aging_hub();
        let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
        let before = hub.position();
        publish(&a, "1");
        let evicter = thread::spawn({
            let (hub, clock) = (hub.clone(), clock.clone());
            move || age_out(&hub, &clock)
        });
        // Creates and lets go the same channel, and another one, all the while.
        let comer = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || {
                drop(a.subscribe().open().unwrap());
                drop(b.subscribe().open().unwrap());
            }
        });
        let mut subscription = a.subscribe().after(before).open().unwrap();
        let mut told = Told::default();
        told.drain(&mut subscription);
        evicter.join().unwrap();
        comer.join().unwrap();
        told.drain(&mut subscription);
        assert!(told.knows(&a, 1), "{told:?}");
    });
}

#[test]
fn followers_come_and_go_while_their_channel_is_evicted() {
    explore(|| {
        let hub = small_hub(10).build().unwrap();
        let channel = hub.channel("a").unwrap();
        let comers: Vec<_> = (0..2)
            .map(|_| {
                let channel = channel.clone();
                thread::spawn(move || drop(channel.subscribe().open().unwrap()))
            })
            .collect();
        let mut subscription = channel.subscribe().open().unwrap();
        let published = sequence(publish(&channel, "m"));
        let mut told = Told::default();
        told.drain(&mut subscription);
        assert_eq!(told.records, [published]);
        for comer in comers {
            comer.join().unwrap();
        }
        assert_eq!((hub.channel_count(), channel.followers()), (1, 1));
    });
}

#[test]
fn nothing_stays_in_memory_that_has_aged_out() {
    explore(|| {
        let (hub, clock) = aging_hub();
        let channels = ["a", "b"].map(|name| hub.channel(name).unwrap());
        let publishers = channels.map(|channel| {
            thread::spawn(move || {
                publish(&channel, "1");
                publish(&channel, "2");
            })
        });
        let maintainer = thread::spawn({
            let (hub, clock) = (hub.clone(), clock.clone());
            move || {
                age_out(&hub, &clock);
                age_out(&hub, &clock);
            }
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        maintainer.join().unwrap();
        age_out(&hub, &clock);
        assert_eq!((hub.channel_count(), hub.log_bytes()), (0, 0));
    });
}

/// A hub that has room for two messages of the largest size, and logs that keep one record.
fn tight_hub() -> Hub {
    let message = 1_000;
    let largest = message + RECORD_OVERHEAD_BYTES + 1_024;
    Hub::builder()
        .log(|log| {
            log.max_records = 1;
            log.max_bytes = largest;
        })
        .limits(|limits| {
            limits.max_message_bytes = message;
            limits.max_log_bytes = largest;
        })
        .build()
        .unwrap()
}

#[test]
fn a_record_that_fits_is_not_shed_for_a_sum_that_is_counted_late() {
    explore(|| {
        let hub = tight_hub();
        let (quiet, busy) = (hub.channel("quiet").unwrap(), hub.channel("busy").unwrap());
        publish(&quiet, "kept");
        let publishers = ["large".repeat(200), "small".to_owned()].map(|text| {
            let busy = busy.clone();
            thread::spawn(move || {
                publish(&busy, &text);
            })
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        let mut told = Told::default();
        told.drain(&mut quiet.subscribe().from_start().open().unwrap());
        assert_eq!(told.records, [1]);
    });
}

#[test]
fn all_logs_together_stay_within_the_hubs_bytes() {
    explore(|| {
        let hub = tight_hub();
        let publishers: Vec<_> = ["a", "b", "c"]
            .map(|name| {
                let channel = hub.channel(name).unwrap();
                thread::spawn(move || {
                    let message = Message::binary("e", vec![0; 900]);
                    futures::FutureExt::now_or_never(channel.publish(message))
                        .unwrap()
                        .unwrap();
                })
            })
            .into();
        for publisher in publishers {
            publisher.join().unwrap();
        }
        assert!(hub.log_bytes() <= hub.limits().max_log_bytes);
        assert_eq!(hub.log_bytes(), 901 + RECORD_OVERHEAD_BYTES);
        assert_eq!(hub.channel_count(), 1);
    });
}
