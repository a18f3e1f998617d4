//! Cross-origin reads: a page of a listed origin may read whatever a route answers, and no other page may.

use std::time::Duration;

use dualcast::{Cors, Message, OriginPolicy};
use dualcast_tests::{Answer, Head, Server, Setup, Under, contract};

contract!(
    sse:
    a_listed_page_reads_the_stream_as_it_comes,
    a_listed_page_reads_that_nothing_is_left,
    a_page_that_is_not_listed_reads_nothing,
    without_the_layer_nobody_is_told_that_a_page_may_read,
);
contract!(
    servers:
    preflights_are_answered_for_listed_pages,
    a_listed_page_reads_errors_too,
    any_page_reads_what_is_for_all_but_never_with_credentials,
);
contract!(a_page_connects_as_the_policy_of_the_layer_says);

const LISTED: &str = "https://app.example";

async fn serve(under: Under, cors: Cors) -> Server {
    let setup = Setup::new(under)
        .on_message(|channel, message| async move { channel.publish(message.into_message()).await });
    setup.app(move |app, _| app.layer(cors)).start().await
}

async fn listing(under: Under) -> Server {
    let policy = OriginPolicy::allow([LISTED]).unwrap();
    serve(under, Cors::new(policy).credentials()).await
}

/// What a browser asks before it lets a page send what the page wants to.
async fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let request = format!(
        "OPTIONS {path}?channels=room HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: authorization,last-event-id\r\n\r\n",
        server.address
    );
    server.request(request).await
}

/// A browser shows an answer to a page that sent the user's cookies only if both are there.
fn expect_readable(head: &Head) {
    assert_eq!(head.get("access-control-allow-origin"), Some(LISTED), "{head:?}");
    assert_eq!(head.get("access-control-allow-credentials"), Some("true"));
    assert_eq!(head.get("vary"), Some("origin"));
}

fn expect_unreadable(head: &Head) {
    let told = head
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(told, None);
}

async fn a_listed_page_reads_the_stream_as_it_comes(under: Under) {
    let server = listing(under).await;
    let mut client = server.dial("room").header("origin", LISTED).open().await;
    expect_readable(client.head());
    let exposed = client.head().get("access-control-expose-headers").unwrap();
    assert!(
        exposed.split(", ").any(|name| name == "dualcast-channel"),
        "{exposed}"
    );
    for text in ["1", "2"] {
        server.publish("room", text).await;
        assert_eq!(client.next().await.text(), text);
    }
}

async fn a_listed_page_reads_that_nothing_is_left(under: Under) {
    let server = listing(under).await;
    server.publish("room", "last").await;
    let end = server.channel("room").finish().await.unwrap().to_string();
    let dial = server.dial("room").cursor(&end).header("origin", LISTED);
    let answer = dial.attempt().await.unwrap_err();
    assert_eq!(answer.status(), 204);
    expect_readable(&answer.head);
}

async fn a_page_that_is_not_listed_reads_nothing(under: Under) {
    let server = listing(under).await;
    for origin in [
        "https://evil.example",
        "http://app.example",
        "null",
        "https://app.example.evil.example",
    ] {
        let answer = server
            .dial("room")
            .header("origin", origin)
            .attempt()
            .await
            .unwrap_err();
        assert_eq!(answer.status(), 403);
        expect_unreadable(&answer.head);
        let answer = preflight(&server, "/sse", origin).await;
        assert_eq!(
            (answer.status(), answer.json()["code"].as_str()),
            (403, Some("foreign-origin"))
        );
        expect_unreadable(&answer.head);
    }
    let client = server.dial("room").open().await;
    expect_unreadable(client.head());
    assert_eq!(
        client.head().get("vary"),
        Some("origin"),
        "no cache may show it to a page"
    );
}

async fn without_the_layer_nobody_is_told_that_a_page_may_read(under: Under) {
    let policy = OriginPolicy::allow([LISTED]).unwrap();
    let server = Setup::new(under)
        .app(|app, _| app.layer(axum::Extension(policy)))
        .start()
        .await;
    let client = server.dial("room").header("origin", LISTED).open().await;
    expect_unreadable(client.head());
}

async fn preflights_are_answered_for_listed_pages(under: Under) {
    let server = listing(under).await;
    for path in ["/sse", "/ws", "/say"] {
        let answer = preflight(&server, path, LISTED).await;
        assert_eq!(answer.status(), 204);
        assert!(answer.body.is_empty());
        expect_readable(&answer.head);
        let words = |name| {
            let list = answer.head.get(name).unwrap();
            list.split(", ").map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let methods = words("access-control-allow-methods");
        assert!(
            ["GET", "POST"]
                .iter()
                .all(|method| methods.contains(&(*method).to_owned()))
        );
        let headers = words("access-control-allow-headers");
        for name in ["authorization", "content-type", "last-event-id"] {
            assert!(headers.contains(&name.to_owned()), "{name}");
        }
        assert!(answer.head.get("access-control-max-age").is_some());
        assert_eq!(answer.head.get("access-control-allow-private-network"), None);
    }
    assert_eq!(server.hub.session_count(), 0, "nobody was let in");
}

async fn a_listed_page_reads_errors_too(under: Under) {
    let server = listing(under).await;
    let origin = format!("origin: {LISTED}\r\n");
    for (expected, answer) in [
        (200, server.say_text("room", r#"{"event":"e"}"#, &origin).await),
        (400, server.say_text("room", "{}", &origin).await),
        (400, server.say_text("a..b", r#"{"event":"e"}"#, &origin).await),
        (413, server.say_text("room", &" ".repeat(70_000), &origin).await),
        (
            400,
            server
                .request(format!(
                    "GET /sse?channels=a..b HTTP/1.1\r\nhost: a\r\n{origin}\r\n"
                ))
                .await,
        ),
        (
            404,
            server
                .request(format!("GET /none HTTP/1.1\r\nhost: a\r\n{origin}\r\n"))
                .await,
        ),
    ] {
        assert_eq!(answer.status(), expected);
        expect_readable(&answer.head);
    }
}

async fn any_page_reads_what_is_for_all_but_never_with_credentials(under: Under) {
    let server = serve(
        under,
        Cors::new(OriginPolicy::any())
            .credentials()
            .max_age(Duration::ZERO),
    )
    .await;
    for origin in ["https://evil.example", "null"] {
        for answer in [
            server
                .say_text("room", r#"{"event":"e"}"#, &format!("origin: {origin}\r\n"))
                .await,
            preflight(&server, "/say", origin).await,
        ] {
            assert_eq!(answer.head.get("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.head.get("access-control-allow-credentials"), None);
        }
    }
}

async fn a_page_connects_as_the_policy_of_the_layer_says(under: Under) {
    let server = listing(under).await;
    let refused = server
        .dial("room")
        .header("origin", "https://evil.example")
        .attempt()
        .await;
    assert_eq!(refused.unwrap_err().status(), 403);
    let mut client = server.dial("room").header("origin", LISTED).open().await;
    let message = Message::text("message", "hello");
    server.channel("room").publish(message).await.unwrap();
    assert_eq!(client.next().await.text(), "hello");
}
