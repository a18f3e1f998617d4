//! Who a node is to its servers, and they to it: by each of the ways everything works, and by none of them nobody is let in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dualcast::{Access, Nats, NatsError, NatsOptions};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Under, run};
use nkeys::KeyPair;
use rcgen::CertifiedKey;
use serde_json::{Value, json};

use crate::works::{everything_works, under};

#[test]
fn a_node_comes_in_with_a_user_and_a_password() {
    run(
        |_| async {
            let config = "authorization { user: anna, password: \"secret\" }";
            let access = Access::UserPassword {
                user: "anna".into(),
                password: "secret".into(),
            };
            comes_in(NatsServer::builder().config(config).start().await, access).await;
        },
        under(),
    );
}

#[test]
fn a_node_comes_in_with_a_token() {
    run(
        |_| async {
            let server = NatsServer::builder().config("authorization { token: \"secret\" }");
            comes_in(server.start().await, Access::Token("secret".into())).await;
        },
        under(),
    );
}

#[test]
fn a_node_comes_in_with_an_nkey() {
    run(
        |_| async {
            let key = KeyPair::new_user();
            let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
            let server = NatsServer::builder().config(&config).start().await;
            comes_in(server, Access::Nkey(key.seed().unwrap())).await;
        },
        under(),
    );
}

#[test]
fn a_node_comes_in_with_a_credentials_file() {
    run(with_credentials, under());
}

/// Servers of an operator, an account that has JetStream, and a user of it.
async fn with_credentials(_: Under) {
    let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
    let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
    let of_account = |account, more: Value| {
        let mut limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        });
        limits
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let says = json!({ "type": "account", "version": 2, "limits": limits });
        token(&operator, account, says)
    };
    let stored = json!({ "mem_storage": 0, "disk_storage": -1, "streams": -1, "consumer": -1 });
    let config = format!(
        "operator: {}\nsystem_account: {sys}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {sys}: {} }}",
        token(&operator, &operator, json!({ "type": "operator", "version": 2 })),
        account.public_key(),
        of_account(&account, stored),
        of_account(&system, json!({})),
        sys = system.public_key(),
    );
    let limits = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        token(&account, &user, limits),
        user.seed().unwrap(),
    );
    let server = NatsServer::builder()
        .config(&config)
        .file("node.creds", &credentials);
    let server = server.start().await;
    let file = server.directory().join("node.creds");
    comes_in(server, Access::CredentialsFile(file)).await;
}

/// What one key says of another, as the servers of an operator want it.
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

async fn comes_in(server: NatsServer, access: Access) {
    let mut options = NatsOptions::new([server.url()]);
    is_refused(&options).await;
    options.access = access;
    everything_works(options).await;
}

async fn is_refused(options: &NatsOptions) {
    let refused = Nats::connect(options.clone()).await;
    assert!(matches!(refused, Err(NatsError::Connect(_))), "{refused:?}");
}

#[test]
fn a_node_speaks_tls_and_shows_a_certificate() {
    run(over_tls, under());
}

async fn over_tls(_: Under) {
    let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (theirs, ours) = (made("localhost"), made("node"));
    let server = NatsServer::builder()
        .file("server.pem", &certificate(&theirs))
        .file("server.key", &key(&theirs))
        .file("node.pem", &certificate(&ours))
        .file("node.key", &key(&ours))
        .config("tls { cert_file: \"server.pem\", key_file: \"server.key\", ca_file: \"node.pem\", verify: true }")
        .start()
        .await;
    let file = |name: &str| server.directory().join(name);
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    let mut options = NatsOptions::new([url]);
    options.tls.is_required = true;
    options.tls.client_certificate = Some((file("node.pem"), file("node.key")));
    // Whoever signed the server's certificate is a stranger.
    is_refused(&options).await;
    options.tls.root_certificates = Some(file("server.pem"));
    let mut nameless = options.clone();
    nameless.tls.client_certificate = None;
    is_refused(&nameless).await;
    everything_works(options).await;
}

fn certificate(made: &CertifiedKey<rcgen::KeyPair>) -> String {
    pem("CERTIFICATE", made.cert.der())
}

fn key(made: &CertifiedKey<rcgen::KeyPair>) -> String {
    pem("PRIVATE KEY", &made.signing_key.serialize_der())
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line) + "\n");
    let lines: String = lines.collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

#[test]
fn of_several_servers_one_that_answers_is_enough() {
    run(
        |_| async {
            let (server, mut gone) = (NatsServer::start().await, NatsServer::start().await);
            gone.kill();
            everything_works(NatsOptions::new([gone.url(), server.url()])).await;
        },
        under(),
    );
}
