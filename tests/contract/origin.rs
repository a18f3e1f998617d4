//! Origins: a page of another site may neither listen nor speak, unless the application lists it.

use axum::Extension;
use dualcast::OriginPolicy;
use dualcast_tests::{Answer, Server, Setup, Told, Under, contract};

contract!(
    a_page_of_another_origin_is_refused,
    a_page_of_the_same_origin_and_a_client_that_is_no_browser_are_let_in,
    the_application_may_list_origins,
    the_application_may_let_in_null_or_refuse_what_names_no_origin,
);
contract!(servers: the_companion_post_is_held_to_the_same_policy);

/// Refused, or None.
async fn refusal(server: &Server, headers: &[(&str, &str)]) -> Option<Answer> {
    let mut dial = server.dial("room");
    for (name, value) in headers {
        dial = dial.header(name, value);
    }
    dial.attempt().await.err()
}

async fn expect_refused(server: &Server, headers: &[(&str, &str)]) {
    let answer = refusal(server, headers)
        .await
        .unwrap_or_else(|| panic!("{headers:?} was let in"));
    assert_eq!(answer.status(), 403);
    let told = Told::from_answer(&answer.json());
    assert!(matches!(told, Told::Error { code, .. } if code == "foreign-origin"));
    assert_eq!(answer.head.get("access-control-allow-origin"), None);
    assert_eq!(server.hub.session_count(), 0);
}

async fn a_page_of_another_origin_is_refused(under: Under) {
    let server = Setup::new(under).start().await;
    let (host, port) = (server.address.ip(), server.address.port());
    let foreign = [
        "https://evil.example".to_owned(),
        "null".into(),
        "".into(),
        format!("http://{host}:{port}.evil.example"),
        format!("http://{host}.evil.example:{port}"),
        format!("http://evil.example/?{host}:{port}"),
        format!("http://user@{host}:{port}"),
        format!("http://{host}:{}", port ^ 1),
        format!("http://{host}"),
        format!("http://localhost:{port}"),
        format!("{host}:{port}"),
        format!("//{host}:{port}"),
        format!("http://{host}:{port}/"),
    ];
    for origin in &foreign {
        expect_refused(&server, &[("origin", origin)]).await;
    }
    for site in ["cross-site", "same-site"] {
        expect_refused(&server, &[("sec-fetch-site", site)]).await;
    }
}

async fn a_page_of_the_same_origin_and_a_client_that_is_no_browser_are_let_in(under: Under) {
    let server = Setup::new(under).start().await;
    let own = format!("http://{}", server.address);
    for headers in [
        &[][..],
        &[("origin", &*own)],
        &[("origin", &own.to_uppercase())],
        &[("origin", &*own), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ] {
        assert!(refusal(&server, headers).await.is_none(), "{headers:?}");
    }
}

async fn listing(under: Under, policy: OriginPolicy) -> Server {
    Setup::new(under)
        .app(|app, _| app.layer(Extension(policy)))
        .start()
        .await
}

async fn the_application_may_list_origins(under: Under) {
    let policy = OriginPolicy::allow(["https://app.example", "https://*.example.org"]).unwrap();
    let server = listing(under, policy).await;
    for origin in [
        "https://app.example",
        "https://app.example:443",
        "https://a.example.org",
        "https://a.b.example.org",
    ] {
        assert!(
            refusal(&server, &[("origin", origin)]).await.is_none(),
            "{origin}"
        );
    }
    let own = format!("http://{}", server.address);
    assert!(
        refusal(&server, &[("origin", &own)]).await.is_none(),
        "its own still may"
    );
    server.is_free_of(&["room"]).await;
    for origin in [
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://example.org",
        "https://evilexample.org",
        "https://a.example.org.evil.example",
        "null",
    ] {
        expect_refused(&server, &[("origin", origin)]).await;
    }
}

async fn the_application_may_let_in_null_or_refuse_what_names_no_origin(under: Under) {
    let server = listing(under, OriginPolicy::same_origin().allow_null().refuse_missing()).await;
    assert!(refusal(&server, &[("origin", "null")]).await.is_none());
    server.is_free_of(&["room"]).await;
    expect_refused(&server, &[]).await;
    let server = listing(under, OriginPolicy::any()).await;
    for origin in ["null", "https://evil.example", "nonsense"] {
        assert!(
            refusal(&server, &[("origin", origin)]).await.is_none(),
            "{origin}"
        );
    }
}

async fn the_companion_post_is_held_to_the_same_policy(under: Under) {
    let policy = OriginPolicy::allow(["https://app.example"]).unwrap();
    let setup = Setup::new(under)
        .on_message(|channel, message| async move { channel.publish(message.into_message()).await })
        .app(|app, _| app.layer(Extension(policy)));
    let server = setup.start().await;
    let before = server.hub.position();
    for origin in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let answer = server
            .say_text("room", r#"{"event":"e"}"#, &format!("origin: {origin}\r\n"))
            .await;
        assert_eq!(
            (answer.status(), answer.json()["code"].as_str()),
            (403, Some("foreign-origin"))
        );
    }
    let cross = server
        .say_text("room", r#"{"event":"e"}"#, "sec-fetch-site: cross-site\r\n")
        .await;
    assert_eq!(cross.status(), 403);
    assert_eq!(server.hub.position(), before, "nothing was published");
    for headers in [
        "",
        "origin: https://app.example\r\n",
        "sec-fetch-site: same-origin\r\n",
    ] {
        assert_eq!(
            server
                .say_text("room", r#"{"event":"e"}"#, headers)
                .await
                .status(),
            200
        );
    }
}
