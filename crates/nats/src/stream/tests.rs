//! A stream is made once, checked after that, and an error says what is the matter with it.

use std::time::Duration;

use dualcast_nats_server::{Cluster, NatsServer};
use futures::future::join_all;

use super::*;
use crate::access::Access;
use crate::fixture::{Fixture, api, make, open, options};

async fn config(options: &NatsOptions) -> Map<String, Value> {
    info(&api(options).await, &options.stream_name())
        .await
        .unwrap()
        .config
}

fn settings(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(|difference| difference.setting).collect()
}

#[tokio::test]
async fn it_is_made_once_and_found_after_that() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let first = open(&options).await.unwrap().state().await.unwrap();
    let second = open(&options).await.unwrap().state().await.unwrap();
    assert_eq!(first.created_ns, second.created_ns);
    let config = config(&options).await;
    for (setting, value) in [
        ("subjects", json!(["shop.log.>"])),
        ("republish", json!({ "src": "shop.log.>", "dest": "shop.live.>" })),
        ("storage", json!("file")),
        ("max_age", json!(3_600_000_000_000_u64)),
        ("deny_delete", json!(true)),
        ("deny_purge", json!(true)),
        ("allow_direct", json!(true)),
    ] {
        assert_eq!(config[setting], value, "{setting}");
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_all_succeed() {
    let server = NatsServer::start().await;
    let options = options(&server);
    let streams = join_all((0..8).map(|_| open(&options))).await;
    for stream in streams {
        stream.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_keeps_it_on_as_many_servers_as_are_asked_for() {
    let cluster = Cluster::start(3).await;
    let mut options = NatsOptions::new(cluster.urls());
    options.stream.replicas = 3;
    let streams = join_all((0..4).map(|_| open(&options))).await;
    for stream in streams {
        assert_eq!(stream.unwrap().state().await.unwrap().last_sequence, 0);
    }
    assert_eq!(config(&options).await["num_replicas"], 3);
}

#[tokio::test]
async fn other_settings_are_refused_adopted_or_changed() {
    let server = NatsServer::start().await;
    let mut options = options(&server);
    make(&options, |config| {
        config.insert("max_age".into(), json!(600_000_000_000_u64));
        config.insert("compression".into(), json!("s2"));
        config.insert("description".into(), json!("of the shop"));
        config.remove("deny_purge");
    })
    .await;
    match open(&options).await {
        Err(StreamError::Differs { stream, differences }) => {
            assert_eq!(stream, "shop");
            assert_eq!(settings(&differences), ["deny_purge", "max_age", "compression"]);
            assert_eq!(differences[1].found, "600000000000");
            assert_eq!(differences[1].expected, "3600000000000");
        }
        other => panic!("not {other:?}"),
    }
    options.stream.existing = Existing::Adopt;
    open(&options).await.unwrap();
    assert_eq!(config(&options).await["max_age"], 600_000_000_000_u64);
    options.stream.existing = Existing::Update;
    let updates = join_all((0..4).map(|_| open(&options))).await;
    for update in updates {
        update.unwrap();
    }
    let config = config(&options).await;
    assert_eq!(config["max_age"], 3_600_000_000_000_u64);
    assert_eq!(config["description"], "of the shop");
    options.stream.existing = Existing::Refuse;
    open(&options).await.unwrap();
}

#[tokio::test]
async fn a_stream_from_which_messages_could_vanish_is_never_adopted() {
    type Change = fn(&mut Map<String, Value>);
    let ways: [(&str, Change); 8] = [
        ("storage", |config| {
            drop(config.insert("storage".into(), json!("memory")))
        }),
        ("retention", |config| {
            drop(config.insert("retention".into(), json!("interest")))
        }),
        ("republish", |config| drop(config.remove("republish"))),
        ("republish", |config| {
            config["republish"]["headers_only"] = json!(true)
        }),
        ("allow_direct", |config| drop(config.remove("allow_direct"))),
        ("max_msgs_per_subject", |config| {
            drop(config.insert("max_msgs_per_subject".into(), json!(1)))
        }),
        ("subjects", |config| {
            drop(config.insert("subjects".into(), json!(["shop.log.>", "orders"])))
        }),
        ("allow_msg_ttl", |config| {
            drop(config.insert("allow_msg_ttl".into(), json!(true)))
        }),
    ];
    for (setting, change) in ways {
        let server = NatsServer::start().await;
        let mut options = options(&server);
        options.stream.existing = Existing::Adopt;
        make(&options, change).await;
        match open(&options).await {
            Err(StreamError::Unfit { differences, .. }) => {
                assert_eq!(settings(&differences), [setting]);
                assert!(differences[0].because.is_some());
            }
            other => panic!("{setting}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_with_records_missing_in_its_middle_is_never_adopted() {
    let server = NatsServer::start().await;
    let mut options = options(&server);
    make(&options, |config| {
        config.remove("deny_delete");
    })
    .await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    for _ in 0..3 {
        jetstream
            .publish("shop.log.a", "x".into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    options.stream.existing = Existing::Adopt;
    open(&options).await.unwrap();
    jetstream
        .get_stream("shop")
        .await
        .unwrap()
        .delete_message(2)
        .await
        .unwrap();
    match open(&options).await {
        Err(StreamError::Unfit { differences, .. }) => assert_eq!(settings(&differences), ["num_deleted"]),
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn what_a_server_does_not_change_is_told() {
    let server = NatsServer::start().await;
    let mut options = options(&server);
    options.stream.existing = Existing::Update;
    make(&options, |config| {
        config.insert("storage".into(), json!("memory"));
    })
    .await;
    match open(&options).await {
        Err(StreamError::Unchangeable { differences, .. }) => assert_eq!(settings(&differences), ["storage"]),
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn a_stream_in_the_way_is_named() {
    let server = NatsServer::start().await;
    let options = options(&server);
    make(&options, |config| {
        config.insert("name".into(), json!("everything"));
        config.insert("subjects".into(), json!(["shop.>"]));
        config.remove("republish");
    })
    .await;
    match open(&options).await {
        Err(StreamError::Overlap { others, .. }) => assert_eq!(others, ["everything"]),
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn two_prefixes_share_a_server() {
    let server = NatsServer::start().await;
    let mut options = options(&server);
    open(&options).await.unwrap();
    options.prefix = "shop.two".into();
    let other = open(&options).await.unwrap();
    assert_eq!(other.name(), "shop_x2etwo");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told() {
    let accounts = "accounts { A: { users: [ { user: a, password: b } ] } }";
    let server = NatsServer::builder().config(accounts).start().await;
    let mut options = options(&server);
    options.access = Access::UserPassword {
        user: "a".into(),
        password: "b".into(),
    };
    let error = open(&options).await.unwrap_err();
    assert!(matches!(error, StreamError::NoJetStream { .. }), "{error:?}");
}

#[tokio::test]
async fn what_we_may_not_do_is_told_and_named() {
    let user = "authorization { users: [ { user: a, password: b, permissions: { publish: { \
                deny: \"$JS.API.STREAM.CREATE.>\" } } } ] }";
    let server = NatsServer::builder().config(user).start().await;
    let mut options = options(&server);
    options.request_deadline = Duration::from_secs(3_600);
    options.access = Access::UserPassword {
        user: "a".into(),
        password: "b".into(),
    };
    match open(&options).await {
        Err(StreamError::Api(ApiError::Denied { subject, .. })) => {
            assert_eq!(subject, "$JS.API.STREAM.CREATE.shop");
        }
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn no_room_is_told() {
    let accounts = "accounts { A: { users: [ { user: a, password: b } ], jetstream: { max_file: 1M } } }\n\
                    no_auth_user: a";
    let server = NatsServer::builder().config(accounts).start().await;
    let mut options = options(&server);
    let error = open(&options).await.unwrap_err();
    assert!(matches!(error, StreamError::NoRoom { .. }), "{error:?}");
    options.stream.max_bytes = 1 << 19;
    open(&options).await.unwrap();
    let alone = NatsServer::start().await;
    let mut options = crate::fixture::options(&alone);
    options.stream.replicas = 3;
    let error = open(&options).await.unwrap_err();
    assert!(matches!(error, StreamError::NoRoom { .. }), "{error:?}");
}

#[tokio::test]
async fn a_domain_is_asked_by_its_name() {
    let server = NatsServer::builder()
        .config("jetstream { domain: hub }")
        .start()
        .await;
    let mut options = options(&server);
    options.domain = Some("hub".into());
    open(&options).await.unwrap();
    options.domain = Some("other".into());
    let error = open(&options).await.unwrap_err();
    assert!(matches!(error, StreamError::NoJetStream { .. }), "{error:?}");
}

#[tokio::test]
async fn its_state_is_that_of_its_records() {
    let fixture = Fixture::start().await;
    let empty = fixture.stream.state().await.unwrap();
    assert_eq!(
        (empty.first_sequence, empty.last_sequence, empty.last_timestamp_ns),
        (1, 0, 0)
    );
    assert!(empty.now_ns >= empty.created_ns && empty.created_ns > 1_700_000_000_000_000_000);
    fixture.publish_numbers("a", 1..=3).await;
    let state = fixture.stream.state().await.unwrap();
    assert_eq!(
        (
            state.first_sequence,
            state.last_sequence,
            state.records,
            state.deleted
        ),
        (1, 3, 3, 0)
    );
    assert!(
        state.bytes > 0 && state.last_timestamp_ns >= empty.now_ns && state.last_timestamp_ns <= state.now_ns
    );
    let jetstream = async_nats::jetstream::new(fixture.client.clone());
    jetstream.delete_stream(fixture.stream.name()).await.unwrap();
    assert_eq!(fixture.stream.state().await.unwrap_err().code(), Some(NOT_FOUND));
}
