//! Origins: a page of another site may neither listen nor speak, unless the application lists it.

use axum::routing::get;
use axum::{Extension, Router};
use dualcast::{ClientAddress, OriginPolicy, Transport, TrustedProxies};
use dualcast_tests::{Answer, Server, Setup, Told, Under, contract};

contract!(
    a_page_of_another_origin_is_refused,
    a_page_of_the_same_origin_and_a_client_that_is_no_browser_are_let_in,
    the_application_may_list_origins,
    the_application_may_list_all_that_may_connect,
    the_application_may_let_in_null_or_refuse_what_names_no_origin,
    what_is_said_twice_or_not_at_all_is_no_origin,
    the_target_of_a_request_goes_before_its_host,
    a_trusted_proxy_says_which_origin_is_the_same,
);
contract!(
    servers:
    the_companion_post_is_held_to_the_same_policy,
    who_is_refused_is_told_the_origin_and_how_to_allow_it,
    the_address_of_a_client_is_told_by_its_connection_or_by_trusted_proxies,
);

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
    let own = format!("http://{host}:{port}");
    let foreign = [
        "https://evil.example".to_owned(),
        "null".into(),
        "".into(),
        "http://".into(),
        own.replace("http", "ftp"),
        own.replace("http", "chrome-extension"),
        format!("{own}."),
        format!("http://{host}.:{port}"),
        format!("http://0x7f.1:{port}"),
        format!("http://[::ffff:{host}]:{port}"),
        format!("http://{host}:+{port}"),
        format!("http://{host}:{port}{port}"),
        format!("{own}, {own}"),
        format!("{own} {own}"),
        format!("{own} https://evil.example"),
        format!("http://{}", "a.".repeat(4_000)),
        format!("http://%00{host}:{port}"),
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
        expect_refused(&server, &[("sec-fetch-site", site), ("origin", &own)]).await;
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
    let server = listing(under, OriginPolicy::any().refuse_missing()).await;
    expect_refused(&server, &[]).await;
    expect_refused(&server, &[("sec-fetch-site", "cross-site")]).await;
    assert!(
        refusal(&server, &[("sec-fetch-site", "same-origin")])
            .await
            .is_none()
    );
    let server = listing(under, OriginPolicy::any()).await;
    for origin in ["null", "https://evil.example", "nonsense"] {
        assert!(
            refusal(&server, &[("origin", origin)]).await.is_none(),
            "{origin}"
        );
    }
}

async fn the_application_may_list_all_that_may_connect(under: Under) {
    let server = listing(under, OriginPolicy::only(["https://app.example"]).unwrap()).await;
    assert!(
        refusal(&server, &[("origin", "https://app.example")])
            .await
            .is_none()
    );
    assert!(refusal(&server, &[]).await.is_none(), "no browser");
    server.is_free_of(&["room"]).await;
    let own = format!("http://{}", server.address);
    expect_refused(&server, &[("origin", &own)]).await;
    expect_refused(&server, &[("sec-fetch-site", "same-origin")]).await;
}

/// The status that answers a request for a stream, of the test's transport, with these lines in its head.
async fn status_of(server: &Server, under: Under, target: &str, lines: &[String]) -> u16 {
    let path = match under.transport {
        Transport::Sse => "/sse",
        Transport::WebSocket => "/ws",
    };
    let handshake = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let handshake = match under.transport {
        Transport::Sse => "",
        Transport::WebSocket => handshake,
    };
    let lines = lines.join("\r\n");
    let request = format!("GET {target}{path}?channels=room HTTP/1.1\r\n{handshake}{lines}\r\n\r\n");
    let mut http = server.http().await;
    http.send(request).await.unwrap();
    http.head().await.unwrap().status
}

fn is_let_in(status: u16) -> bool {
    matches!(status, 101 | 200)
}

async fn what_is_said_twice_or_not_at_all_is_no_origin(under: Under) {
    let server = Setup::new(under).start().await;
    let address = server.address;
    let (host, origin) = (format!("host: {address}"), format!("origin: http://{address}"));
    assert!(is_let_in(
        status_of(&server, under, "", &[host.clone(), origin.clone()]).await
    ));
    for lines in [
        vec![host.clone(), origin.clone(), origin.clone()],
        vec![
            host.clone(),
            origin.clone(),
            "origin: https://evil.example".into(),
        ],
        vec![host.clone(), host.clone(), origin.clone()],
        vec!["host: evil.example".into(), host.clone(), origin.clone()],
        vec!["host:".into(), origin.clone()],
        vec![origin.clone()],
    ] {
        let status = status_of(&server, under, "", &lines).await;
        // hyper may refuse a request without a host by itself.
        assert!(matches!(status, 400 | 403), "{status} for {lines:?}");
    }
}

async fn the_target_of_a_request_goes_before_its_host(under: Under) {
    let server = Setup::new(under).start().await;
    let lines = ["host: b.example", "origin: http://a.example"].map(ToOwned::to_owned);
    assert!(is_let_in(
        status_of(&server, under, "http://a.example", &lines).await
    ));
    for target in [
        "",
        "http://b.example",
        "http://a.example:8080",
        "https://a.example",
    ] {
        assert_eq!(status_of(&server, under, target, &lines).await, 403, "{target}");
    }
}

async fn a_trusted_proxy_says_which_origin_is_the_same(under: Under) {
    let behind = async |proxies: TrustedProxies| {
        Setup::new(under)
            .app(|app, _| app.layer(Extension(proxies)))
            .start()
            .await
    };
    let page = ("origin", "https://app.example");
    let said = [
        page,
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "app.example"),
        ("x-forwarded-proto", "https"),
    ];
    let forwarded = [page, ("forwarded", "for=192.0.2.1;host=app.example;proto=https")];

    let server = behind(TrustedProxies::loopback()).await;
    assert!(refusal(&server, &said).await.is_none());
    server.is_free_of(&["room"]).await;
    expect_refused(&server, &forwarded).await;
    let http = ("origin", "http://app.example");
    expect_refused(&server, &[&[http], &said[1..]].concat()).await;
    let other = ("origin", "https://app.example:8443");
    expect_refused(&server, &[&[other], &said[1..]].concat()).await;

    let server = behind(TrustedProxies::loopback().by_forwarded()).await;
    assert!(refusal(&server, &forwarded).await.is_none());
    server.is_free_of(&["room"]).await;
    expect_refused(&server, &said).await;

    let elsewhere = TrustedProxies::networks(["192.0.2.0/24"]).unwrap();
    for proxies in [TrustedProxies::none(), elsewhere] {
        let server = behind(proxies).await;
        expect_refused(&server, &said).await;
        expect_refused(&server, &forwarded).await;
    }
}

async fn who_is_refused_is_told_the_origin_and_how_to_allow_it(under: Under) {
    let server = Setup::new(under).start().await;
    let answer = refusal(&server, &[("origin", "https://app.example")])
        .await
        .unwrap();
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains(r#"OriginPolicy::allow(["https://app.example"])"#),
        "{message}"
    );
    // As much as a header may have is not sent back.
    let long = "a".repeat(10_000);
    let answer = refusal(&server, &[("origin", &long)]).await.unwrap();
    assert!(answer.body.len() < 1_000);
}

async fn the_address_of_a_client_is_told_by_its_connection_or_by_trusted_proxies(under: Under) {
    let address = async |ClientAddress(address): ClientAddress| address.to_string();
    let server = Setup::new(under)
        .app(move |app, _| {
            let behind = Router::new().route("/behind", get(address));
            app.route("/direct", get(address))
                .merge(behind.layer(Extension(TrustedProxies::loopback())))
        })
        .start()
        .await;
    let ask = async |path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 198.51.100.9, 192.0.2.1\r\n\r\n");
        server.request(request).await.text().to_owned()
    };
    assert_eq!(ask("/direct").await, "127.0.0.1");
    assert_eq!(ask("/behind").await, "192.0.2.1");
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
