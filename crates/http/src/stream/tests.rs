//! A stream and its client over memory: what waits, how it ends, and who learns of it.

use axum::http::{Method, Request, Response};
use futures::FutureExt;
use h2::client::{ResponseFuture, SendRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{self, JoinHandle};

use super::*;

/// How much is taken for a client that doesn't read.
const MAX_UNSENT: usize = 40_000;
/// What a client has room for at first (RFC 9113 section 6.9.2).
const WINDOW: usize = 65_535;

/// A stream and its client, over memory.
pub(crate) struct Scene {
    pub(crate) stream: StreamSocket,
    pub(crate) answer: RecvStream,
    /// What the client says, where it goes on speaking.
    said: SendStream<Bytes>,
    client: JoinHandle<()>,
    server: JoinHandle<()>,
    _asks: SendRequest<Bytes>,
}

/// The request of a client, which may go on speaking.
pub(crate) async fn asked(goes_on: bool) -> Scene {
    let (near, far) = duplex(1 << 20);
    let (accepted, mut requests) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let handshake = h2::server::Builder::new().handshake::<_, Portion>(near);
        let mut connection = handshake.await.unwrap();
        while let Some(Ok(request)) = connection.accept().await {
            accepted.send(request).unwrap();
        }
    });
    let (mut asks, connection) = h2::client::handshake(far).await.unwrap();
    let client = tokio::spawn(connection.map(drop));
    let request = Request::builder().method(Method::POST).uri("http://a/");
    let (answer, said): (ResponseFuture, _) = asks.send_request(request.body(()).unwrap(), !goes_on).unwrap();
    let (request, mut reply) = requests.recv().await.unwrap();
    let sender = reply.send_response(Response::new(()), false).unwrap();
    let stream = Stream::new(sender, 1, MAX_UNSENT);
    let stream = if goes_on {
        stream.heard(request.into_body())
    } else {
        stream
    };
    Scene {
        stream: StreamSocket::new(stream),
        answer: answer.await.unwrap().into_body(),
        said,
        client,
        server,
        _asks: asks,
    }
}

impl Scene {
    fn stream(&self) -> &Stream {
        self.stream.stream()
    }

    fn send(&self, length: usize) -> usize {
        Outlet::send(self.stream(), &Bytes::from(vec![b'x'; length]))
    }

    /// Sends until nothing is taken any more, and answers how much was.
    async fn fill(&self) -> usize {
        let (mut sent, mut refused) = (0, 0);
        while refused < 100 {
            match self.send(10_000) {
                0 => refused += 1,
                more => sent += more,
            }
            task::yield_now().await;
        }
        sent
    }
}

/// What the client reads until the end, and whether that was in good order.
pub(crate) async fn read(answer: &mut RecvStream) -> (usize, Result<(), Option<Reason>>) {
    let mut read = 0;
    while let Some(data) = answer.data().await {
        match data {
            Ok(data) => {
                read += data.len();
                answer.flow_control().release_capacity(data.len()).unwrap();
            }
            Err(error) => return (read, Err(error.reason())),
        }
    }
    (read, Ok(()))
}

#[tokio::test]
async fn it_takes_no_more_than_its_client_and_so_much_beside() {
    let mut scene = asked(false).await;
    let sent = scene.fill().await;
    let most = WINDOW + MAX_UNSENT + MAX_PORTION_BYTES;
    assert!((WINDOW + MAX_UNSENT..=most).contains(&sent), "{sent}");
    let stream = scene.stream();
    assert!(
        poll_fn(|cx| stream.poll_send(cx, &Bytes::from_static(b"x"), false))
            .now_or_never()
            .is_none()
    );
    let stalled = poll_fn(|cx| stream.poll_left(cx));
    assert!(stalled.now_or_never().is_none());
    // It reads, and there is room again.
    let reading = tokio::spawn(async move { read(&mut scene.answer).await });
    poll_fn(|cx| scene.stream.stream().poll_left(cx)).await;
    scene.stream.shutdown().await.unwrap();
    assert_eq!(reading.await.unwrap(), (sent, Ok(())));
}

#[tokio::test]
async fn a_large_piece_goes_out_in_portions() {
    let scene = asked(false).await;
    assert_eq!(scene.send(100_000), MAX_PORTION_BYTES);
    assert_eq!(scene.send(100_000), MAX_PORTION_BYTES);
}

#[tokio::test]
async fn it_takes_no_more_pieces_than_so_many_however_small() {
    let scene = asked(false).await;
    // Meanwhile the connection does not run.
    let taken = (0..MAX_PORTIONS * 2).map(|_| scene.send(1) as u64).sum::<u64>();
    assert_eq!(taken, MAX_PORTIONS);
    poll_fn(|cx| scene.stream().poll_room(cx)).await;
    assert_eq!(scene.send(1), 1);
}

/// Of the tasks that end with their runtime some may be dropped before the connection, and some behind it.
#[test]
fn a_runtime_may_end_while_something_is_on_its_way() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..100 {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let ending = async {
                let scene = asked(true).await;
                for length in [WINDOW / 5; 5] {
                    scene.send(length);
                    poll_fn(|cx| scene.stream().poll_left(cx)).await;
                }
                scene.send(1);
                scene.stream().end().unwrap();
                scene
            };
            let scene = runtime.block_on(runtime.spawn(ending)).unwrap();
            runtime.spawn(async move {
                let _scene = scene;
                std::future::pending::<()>().await;
            });
            drop(runtime);
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(120)).expect("it ends");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to() {
    let Scene {
        stream, mut answer, ..
    } = asked(false).await;
    drop(stream);
    assert_eq!(read(&mut answer).await, (0, Err(Some(Reason::CANCEL))));
}

#[tokio::test]
async fn who_can_be_spoken_to_is_told_the_end_behind_the_last_word() {
    let mut scene = asked(true).await;
    scene.send(7);
    scene.said.send_data(Bytes::from_static(b"hi"), false).unwrap();
    let mut heard = [0; 2];
    scene.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hi");
    drop(scene.stream);
    assert_eq!(read(&mut scene.answer).await, (7, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_does_not_take_in_time_when_all_is_over_is_dropped() {
    let mut scene = asked(true).await;
    for length in [WINDOW / 5; 5] {
        assert_eq!(scene.send(length), length);
        poll_fn(|cx| scene.stream().poll_left(cx)).await;
    }
    scene.send(1);
    let shared = Arc::downgrade(&scene.stream().shared);
    drop(scene.stream);
    assert!(shared.upgrade().is_some(), "it has some time");
    time::sleep(LINGER * 2).await;
    assert!(shared.upgrade().is_none());
    assert_eq!(read(&mut scene.answer).await.1, Err(Some(Reason::CANCEL)));
}

#[tokio::test]
async fn who_is_reset_learns_of_it() {
    let mut scene = asked(false).await;
    assert!(
        poll_fn(|cx| scene.stream().poll_reset(cx))
            .now_or_never()
            .is_none()
    );
    let waiting = tokio::spawn(async move { scene.stream.read(&mut [0]).await.unwrap() });
    task::yield_now().await;
    drop((scene.answer, scene.said));
    assert_eq!(waiting.await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_held_for_a_connection_that_is_gone() {
    let scene = asked(false).await;
    scene.fill().await;
    assert!(scene.stream().unsent() > 0);
    scene.client.abort();
    scene.server.abort();
    poll_fn(|cx| scene.stream().poll_left(cx)).await;
    poll_fn(|cx| scene.stream().poll_reset(cx)).await;
    assert_eq!(scene.send(1), 0);
    let shared = Arc::downgrade(&scene.stream().shared);
    drop(scene.stream);
    assert!(shared.upgrade().is_none());
}
