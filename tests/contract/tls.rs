//! TLS: what holds without it holds with it, over both versions of HTTP.

use std::time::Duration;

use dualcast::Transport;
use dualcast_tests::{Http, HttpVersion, Setup, Socket, Under, contract};

use crate::lag::a_client_that_catches_up_in_time_misses_nothing;
use crate::leaving::{
    a_client_that_closes_its_socket_frees_everything, a_client_that_is_reset_frees_everything,
    a_client_that_says_goodbye_frees_everything,
};
use crate::limits::a_client_that_does_not_read_is_cut_at_the_write_deadline;
use crate::pipelined::{
    a_handler_that_panics_takes_no_answer_before_it_along, an_answer_does_not_wait_for_a_slow_one_behind_it,
    an_answer_that_breaks_off_takes_none_before_it_along, answers_come_in_the_order_of_their_requests,
    the_last_answers_of_a_connection_come_before_its_end,
};
use crate::shutdown::{a_shutdown_ends_with_every_client_told, a_shutdown_waits_for_no_stalled_client};

contract!(
    tls: a_client_that_catches_up_in_time_misses_nothing,
    a_client_that_says_goodbye_frees_everything,
    a_client_that_is_reset_frees_everything,
    a_client_that_closes_its_socket_frees_everything,
    a_client_that_does_not_read_is_cut_at_the_write_deadline,
    a_shutdown_ends_with_every_client_told,
    a_shutdown_waits_for_no_stalled_client,
    a_session_takes_its_socket_back_with_its_encryption,
    a_handshake_that_is_never_finished_is_cut,
    a_page_without_encryption_is_another_origin,
);
contract!(
    http1 tls: answers_come_in_the_order_of_their_requests,
    an_answer_does_not_wait_for_a_slow_one_behind_it,
    the_last_answers_of_a_connection_come_before_its_end,
    an_answer_that_breaks_off_takes_none_before_it_along,
    a_handler_that_panics_takes_no_answer_before_it_along,
);

async fn a_session_takes_its_socket_back_with_its_encryption(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    for number in 0..50 {
        let text = format!("{number}:{}", "x".repeat(5_000));
        server.publish("room", &*text).await;
        assert_eq!(client.next().await.text(), text);
    }
    if under.transport == Transport::Sse && under.version == HttpVersion::Http1 {
        // Not of hyper's making.
        assert_eq!(client.head().get("keep-alive"), Some("timeout=0"));
    }
}

/// Whoever sits on the network can write such a page, whatever its host.
async fn a_page_without_encryption_is_another_origin(under: Under) {
    let server = Setup::new(under).start().await;
    let page = |scheme: &str| {
        server
            .dial("room")
            .header("origin", format!("{scheme}://{}", server.address))
    };
    page("https").open().await;
    let Err(refused) = page("http").attempt().await else {
        panic!("let in");
    };
    assert_eq!(refused.status(), 403);
}

async fn a_handshake_that_is_never_finished_is_cut(under: Under) {
    let setup = Setup::new(under).options(|options| options.head_timeout = Duration::from_millis(50));
    let server = setup.start().await;
    // Nothing, the beginning of a record, a handshake and then no request; and one who speaks no TLS.
    for sent in [
        &b""[..],
        &[0x16, 3, 1, 0, 200, 1],
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut http = Http::over(Socket::connect(server.address, false).await.unwrap());
        http.send(sent).await.unwrap();
        let _ = http.drain().await;
    }
    let socket = Socket::connect(server.address, false).await.unwrap();
    let stream = server.tls().connect(socket, under.version).await.unwrap();
    let _ = Http::over(stream).drain().await;
}
