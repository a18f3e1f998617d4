//! Ordinary answers over HTTP/2: the client of a stream decides how much of it may leave, and must not keep it for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use axum::routing::get as route;
use dualcast_tests::{Http2, Setup, Under, WINDOW_BYTES, contract, eventually, get};
use futures::StreamExt;
use http_body_util::{BodyExt, Full};

contract!(
    http2 own_server: an_answer_of_which_nothing_is_taken_is_reset_and_its_connection_lasts,
    an_answer_that_is_taken_a_byte_at_a_time_is_reset,
    an_answer_that_is_taken_slowly_arrives,
    an_application_may_take_its_time_over_an_answer,
    an_answer_is_what_it_was_in_whatever_portions_it_leaves,
    what_a_layer_puts_in_a_sessions_place_is_an_answer_like_others,
    a_session_has_a_deadline_of_its_own,
);

const LARGE_BYTES: usize = 1 << 20;

/// What is there for as long as an answer's body.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn numbered() -> Bytes {
    (0..LARGE_BYTES).map(|number| (number % 251) as u8).collect()
}

fn in_one_piece(held: Held) -> Body {
    Body::new(Full::new(numbered()).map_frame(move |frame| {
        let _ = &held;
        frame
    }))
}

/// No more than hyper takes at once.
fn small(held: Held) -> Body {
    Body::from_stream(futures::stream::once(async move {
        let _held = held;
        Ok::<_, Infallible>(numbered().slice(..SMALL_BYTES))
    }))
}

const SMALL_BYTES: usize = 40_000;

fn in_pieces(held: Held) -> Body {
    let whole = numbered();
    let pieces = (0..LARGE_BYTES).step_by(PIECE_BYTES).map(move |from| {
        let _ = &held;
        Ok::<_, Infallible>(whole.slice(from..LARGE_BYTES.min(from + PIECE_BYTES)))
    });
    Body::from_stream(futures::stream::iter(pieces))
}

const PIECE_BYTES: usize = 9_999;

fn with_trailers(held: Held) -> Body {
    let trailers = HeaderMap::from_iter([(CHECKSUM, HeaderValue::from_static("77"))]);
    Body::new(in_one_piece(held).with_trailers(async { Some(Ok(trailers)) }))
}

const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");

/// Large answers at three more routes. Also answers how many of their bodies there are.
fn with_large(under: Under, write_timeout: Duration) -> (Setup, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under)
        .options(move |options| options.write_timeout = write_timeout)
        .app({
            let count = Arc::clone(&count);
            move |app: Router, _| {
                let answer = |body: fn(Held) -> Body| {
                    let count = Arc::clone(&count);
                    route(async move || body(Held::new(&count)))
                };
                app.route("/whole", answer(in_one_piece))
                    .route("/small", answer(small))
                    .route("/pieces", answer(in_pieces))
                    .route("/trailers", answer(with_trailers))
            }
        });
    (setup, count)
}

async fn an_answer_of_which_nothing_is_taken_is_reset_and_its_connection_lasts(under: Under) {
    let (setup, held) = with_large(under, Duration::from_millis(100));
    let server = setup.start().await;
    for window in [0, WINDOW_BYTES] {
        let http2 = Http2::connect(server.address, window).await.unwrap();
        let other = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
        let mut session = server.dial("room").over(&other).open().await;
        for path in ["/whole", "/pieces"] {
            let (response, mut stream) = http2.request(get(server.address, path)).await.unwrap();
            assert_eq!(response.status(), 200);
            eventually("it is let go", || held.load(Ordering::SeqCst) == 0).await;
            let (_, mut neighbour) = other.request(get(server.address, path)).await.unwrap();
            eventually("it is let go", || held.load(Ordering::SeqCst) == 0).await;
            let mut taken = 0;
            while let Ok(piece) = stream.piece().await {
                taken += piece.expect("it isn't said to be whole").len();
            }
            assert!(taken <= window as usize);
            while let Ok(piece) = neighbour.piece().await {
                piece.expect("it isn't said to be whole");
            }
            // Others of the connection don't notice.
            let another = http2.answer(get(server.address, "/nowhere")).await.unwrap();
            assert_eq!(another.status(), 404);
            server.publish("room", path).await;
            assert_eq!(session.next().await.text(), path);
        }
    }
}

async fn an_answer_that_is_taken_a_byte_at_a_time_is_reset(under: Under) {
    let (setup, held) = with_large(under, Duration::from_millis(300));
    let server = setup.start().await;
    // One byte, and another each time that one is taken.
    let http2 = Http2::connect(server.address, 1).await.unwrap();
    for path in ["/whole", "/small"] {
        let (_, mut stream) = http2.request(get(server.address, path)).await.unwrap();
        let mut taken = 0;
        while let Ok(piece) = stream.piece().await {
            taken += piece.expect("it isn't said to be whole").len();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(taken < SMALL_BYTES, "{taken} bytes");
        eventually("it is let go", || held.load(Ordering::SeqCst) == 0).await;
    }
}

async fn an_answer_that_is_taken_slowly_arrives(under: Under) {
    let (setup, _) = with_large(under, Duration::from_secs(1));
    let server = setup.start().await;
    for path in ["/whole", "/pieces"] {
        let http2 = Http2::connect(server.address, 128 << 10).await.unwrap();
        let (_, mut stream) = http2.request(get(server.address, path)).await.unwrap();
        stream.set_bite(16 << 10);
        let mut taken = 0;
        while let Some(piece) = stream.piece().await.unwrap() {
            taken += piece.len();
            // All of it takes longer than the deadline.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(taken, LARGE_BYTES);
    }
}

async fn an_application_may_take_its_time_over_an_answer(under: Under) {
    let setup = Setup::new(under)
        .options(|options| options.write_timeout = Duration::from_millis(50))
        .app(|app, _| {
            let answer = async || {
                let pieces = futures::stream::iter(["one", "two", "three"]).then(async |piece| {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Ok::<_, Infallible>(piece)
                });
                Body::from_stream(pieces)
            };
            app.route("/slow", route(answer))
        });
    let server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    let answer = http2.answer(get(server.address, "/slow")).await.unwrap();
    assert_eq!(answer.text(), "onetwothree");
}

async fn an_answer_is_what_it_was_in_whatever_portions_it_leaves(under: Under) {
    let (setup, _) = with_large(under, Duration::from_secs(30));
    let server = setup.start().await;
    let http2 = Http2::connect(server.address, WINDOW_BYTES).await.unwrap();
    for (path, length, checksum) in [
        ("/whole", LARGE_BYTES, None),
        ("/pieces", LARGE_BYTES, None),
        ("/small", SMALL_BYTES, None),
        ("/trailers", LARGE_BYTES, Some("77")),
    ] {
        let (_, mut stream) = http2.request(get(server.address, path)).await.unwrap();
        let mut body = Vec::new();
        while let Some(piece) = stream.piece().await.unwrap() {
            body.extend_from_slice(&piece);
        }
        assert!(body == numbered()[..length], "{path}");
        let trailers = stream.trailers().await.unwrap();
        let found = trailers.as_ref().and_then(|trailers| trailers.get(CHECKSUM));
        assert_eq!(found.map(|value| value.to_str().unwrap()), checksum);
    }
}

async fn what_a_layer_puts_in_a_sessions_place_is_an_answer_like_others(under: Under) {
    let held = Arc::new(AtomicUsize::new(0));
    let setup = Setup::new(under)
        .options(|options| options.write_timeout = Duration::from_millis(100))
        .app({
            let held = Arc::clone(&held);
            move |app, _| {
                app.layer(middleware::map_response(move |response: Response| {
                    let body = in_one_piece(Held::new(&held));
                    async { Response::from_parts(response.into_parts().0, body) }
                }))
            }
        });
    let server = setup.start().await;
    let http2 = Http2::connect(server.address, 0).await.unwrap();
    let request = get(server.address, "/sse?channels=room");
    let (_, mut stream) = http2.request(request).await.unwrap();
    assert!(stream.piece().await.is_err());
    eventually("it is let go", || held.load(Ordering::SeqCst) == 0).await;
    server.is_free_of(&["room"]).await;
}

/// Not that of ordinary answers.
async fn a_session_has_a_deadline_of_its_own(under: Under) {
    let setup = Setup::new(under)
        .options(|options| options.write_timeout = Duration::from_millis(50))
        .session(|options| options.write_timeout = Duration::from_secs(3_600));
    let server = setup.start().await;
    let mut client = server.dial("room").slow().open().await;
    for number in 0..60 {
        let text = format!("{number}:{}", "x".repeat(12 << 10));
        server.publish("room", text).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.hub.session_count(), 1);
    server.publish("room", "last").await;
    assert_eq!(client.until_text("last").await.len(), 61);
}
