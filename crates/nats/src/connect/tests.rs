//! Each way in, and what is learned when a connection fails.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dualcast_nats_server::{Link as Network, NatsServer};
use futures::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::time;

use super::*;
use crate::fixture::{Fixture, PATIENCE, options};

async fn open(options: &NatsOptions) -> Result<Connection, ConnectError> {
    Connection::open(options, Purpose::Live).await
}

async fn until(link: &mut watch::Receiver<Link>, holds: impl FnMut(&Link) -> bool) -> Link {
    let seen = time::timeout(PATIENCE, link.wait_for(holds)).await;
    seen.expect("it comes about").unwrap().clone()
}

#[tokio::test]
async fn each_kind_of_access_lets_us_in() {
    let user = KeyPair::new_user();
    let ways = [
        (
            "authorization { user: anna, password: \"secret\" }".to_owned(),
            Access::UserPassword {
                user: "anna".into(),
                password: "secret".into(),
            },
        ),
        (
            "authorization { token: \"secret\" }".to_owned(),
            Access::Token("secret".into()),
        ),
        (
            format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key()),
            Access::Nkey(user.seed().unwrap()),
        ),
    ];
    for (config, access) in ways {
        let server = NatsServer::builder().config(&config).start().await;
        let mut options = options(&server);
        let refused = open(&options).await.unwrap_err();
        assert!(matches!(refused, ConnectError::NotLetIn { .. }), "{refused}");
        options.access = access;
        open(&options).await.unwrap();
        // Twice by the same options.
        Connection::open(&options, Purpose::Reads).await.unwrap();
    }
}

#[tokio::test]
async fn credentials_let_us_in_as_text_and_as_a_file() {
    let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
    let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
    let of_account = |account| {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        });
        token(
            &operator,
            account,
            json!({ "type": "account", "version": 2, "limits": limits }),
        )
    };
    let config = format!(
        "operator: {}\nsystem_account: {sys}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {sys}: {} }}",
        token(&operator, &operator, json!({ "type": "operator", "version": 2 })),
        account.public_key(),
        of_account(&account),
        of_account(&system),
        sys = system.public_key(),
    );
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        token(
            &account,
            &user,
            json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 })
        ),
        user.seed().unwrap(),
    );
    let server = NatsServer::builder()
        .config(&config)
        .file("anna.creds", &credentials)
        .start()
        .await;
    let mut options = options(&server);
    assert!(matches!(open(&options).await, Err(ConnectError::NotLetIn { .. })));
    options.access = Access::Credentials(credentials);
    open(&options).await.unwrap();
    options.access = Access::CredentialsFile(server.directory().join("anna.creds"));
    open(&options).await.unwrap();
    options.access = Access::CredentialsFile(server.directory().join("nobody.creds"));
    assert!(matches!(
        open(&options).await,
        Err(ConnectError::Credentials { .. })
    ));
}

/// A token by which one key says something of another, as the servers of an operator want them.
fn token(issuer: &KeyPair, subject: &KeyPair, says: Value) -> String {
    let claims = json!({
        "jti": "none", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "test", "nats": says,
    });
    let parts = [json!({ "typ": "JWT", "alg": "ed25519-nkey" }), claims];
    let signed = parts
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line) + "\n");
    format!(
        "-----BEGIN {label}-----\n{}-----END {label}-----\n",
        lines.collect::<String>()
    )
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_root_certificate_signed() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = NatsServer::builder()
        .file("server.pem", &pem("CERTIFICATE", signed.cert.der()))
        .file(
            "server.key",
            &pem("PRIVATE KEY", &signed.signing_key.serialize_der()),
        )
        .config("tls { cert_file: \"server.pem\", key_file: \"server.key\" }")
        .start()
        .await;
    let mut options = options(&server);
    options.servers = vec![server.url().replace("127.0.0.1", "localhost")];
    // Nobody that the system trusts signed it.
    let refused = open(&options).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ConnectError::Tls { .. } | ConnectError::Unreachable { .. }
        ),
        "{refused:?}"
    );
    options.tls.root_certificates = Some(server.directory().join("server.pem"));
    open(&options).await.unwrap();
    let plain = NatsServer::start().await;
    options.servers = vec![plain.url()];
    options.tls.is_required = true;
    assert!(open(&options).await.is_err());
}

#[tokio::test]
async fn whichever_server_answers_serves_and_an_error_says_where_nobody_does() {
    let server = NatsServer::start().await;
    let mut gone = NatsServer::start().await;
    gone.kill();
    let mut options = options(&server);
    options.servers.insert(0, gone.url());
    open(&options).await.unwrap();
    options.servers = vec![gone.url(), format!("nats://anna:secret@{}", gone.address())];
    let error = open(&options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.contains(&gone.address()) && !said.contains("secret"),
        "{said}"
    );
    options.servers = vec!["nats://no port".into()];
    assert!(matches!(open(&options).await, Err(ConnectError::Address { .. })));
}

#[tokio::test]
async fn a_lost_connection_and_the_next_are_each_a_doubt() {
    let server = NatsServer::start().await;
    let network = Network::to(server.address()).await;
    let mut options = options(&server);
    options.servers = vec![network.url()];
    let connection = open(&options).await.unwrap();
    let mut link = connection.link();
    let before = until(&mut link, |link| link.is_connected).await;
    network.refuse();
    network.reset();
    let lost = until(&mut link, |link| !link.is_connected).await;
    assert!(lost.doubts > before.doubts);
    // It says why it isn't back.
    until(&mut link, |link| link.trouble.is_some()).await;
    network.pass();
    let back = until(&mut link, |link| link.is_connected).await;
    assert!(back.doubts > lost.doubts && !back.is_over);
}

#[tokio::test]
async fn a_link_on_which_nothing_arrives_is_given_up() {
    let server = NatsServer::start().await;
    let network = Network::to(server.address()).await;
    let mut options = options(&server);
    options.servers = vec![network.url()];
    options.client = options.client.ping_interval(Duration::from_millis(20));
    let connection = open(&options).await.unwrap();
    let mut link = connection.link();
    until(&mut link, |link| link.is_connected).await;
    network.swallow();
    until(&mut link, |link| !link.is_connected).await;
    network.pass();
    until(&mut link, |link| link.is_connected).await;
}

#[tokio::test]
async fn a_full_subscription_is_a_doubt() {
    let server = NatsServer::start().await;
    let mut options = options(&server);
    options.max_live_messages = 1;
    let connection = open(&options).await.unwrap();
    let mut link = connection.link();
    let before = until(&mut link, |link| link.is_connected).await;
    let client = connection.client().await.unwrap();
    let _never_read = client.subscribe("x").await.unwrap();
    client.flush().await.unwrap();
    let other = async_nats::connect(server.url()).await.unwrap();
    for _ in 0..3 {
        other.publish("x", "".into()).await.unwrap();
    }
    until(&mut link, |link| link.doubts > before.doubts).await;
}

#[tokio::test]
async fn what_we_may_not_is_heard() {
    let config =
        "authorization { users: [ { user: a, password: b, permissions: { publish: { deny: \"x\" } } } ] }";
    let server = NatsServer::builder().config(config).start().await;
    let mut options = options(&server);
    options.access = Access::UserPassword {
        user: "a".into(),
        password: "b".into(),
    };
    let connection = open(&options).await.unwrap();
    let mut denials = connection.denials();
    connection
        .client()
        .await
        .unwrap()
        .publish("x", "".into())
        .await
        .unwrap();
    let denial = time::timeout(PATIENCE, denials.recv()).await.unwrap().unwrap();
    assert!(denial.contains("\"x\""), "{denial}");
}

/// What NATS' client makes of headers that it can't read. A server passes them on all the same, to everybody who hears the subject.
#[tokio::test]
async fn headers_that_kill_the_client_are_survived() {
    let fixture = Fixture::start().await;
    let connection = Connection::open(&fixture.options, Purpose::Live).await.unwrap();
    let mut link = connection.link();
    for block in POISON {
        let client = connection.client().await.unwrap();
        let _hearing = client.subscribe(fixture.subjects.every_live()).await.unwrap();
        client.request("$JS.API.INFO", "".into()).await.unwrap();
        let before = link.borrow_and_update().doubts;
        fixture.publish_block("shop.log.room", block, b"x");
        let seen = until(&mut link, |link| link.doubts > before).await;
        if !seen.is_over {
            until(&mut link, |link| link.is_connected).await;
        }
        // Of one that is dead another is made.
        let client = connection.client().await.unwrap();
        let mut hearing = client.subscribe(fixture.subjects.every_live()).await.unwrap();
        client.request("$JS.API.INFO", "".into()).await.unwrap();
        fixture.publish_block("shop.log.room", b"NATS/1.0\r\nA: b\r\n\r\n", b"after it");
        let heard = time::timeout(PATIENCE, hearing.next()).await.unwrap().unwrap();
        assert_eq!(heard.payload, "after it");
        until(&mut link, |link| link.is_connected && !link.is_over).await;
    }
}

/// At the first three it gives the connection up, at the last its task panics.
const POISON: [&[u8]; 4] = [
    b"NATS/1.0\r\nA: \xff\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nb\xc3\xa4d: 1\r\n\r\n",
    b"NATS/1.0\r\nA: a\rb\r\n\r\n",
];
