//! The limit over HTTP/2: the crate h2 with nothing around it. Each message is encoded once, and handed to each stream, connection by connection. Nothing else:
//! no deadlines, no heartbeats, no bound for a client that doesn't read, and nobody is forgotten who has left.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{Response, header};
use axum::routing::post;
use bytes::Bytes;
use h2::SendStream;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task;

/// How many connections are written to before others have their turn.
const TURN: usize = 4;

pub(crate) fn run() -> Result<()> {
    super::run(
        async || Ok(Router::new()),
        async |listener, _| serve(listener).await,
    )
}

#[derive(Clone, Default)]
struct Streams(Arc<Followed>);

#[derive(Default)]
struct Followed {
    connections: Mutex<Vec<Connection>>,
    count: AtomicU64,
}

/// The streams of a connection.
type Connection = Arc<Mutex<Vec<SendStream<Bytes>>>>;

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let streams = Streams::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let streams = streams.clone();
        tokio::spawn(async move {
            // Whatever is wrong with a connection, it is over.
            if speaks_http2(&stream).await {
                drop(follow(streams, stream).await);
            } else {
                drop(hear(streams, stream).await);
            }
        });
    }
}

/// Whether it begins with the preface of HTTP/2 (RFC 9113 section 3.4), by its first letters.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut begun = [0; 3];
    while stream
        .peek(&mut begun)
        .await
        .is_ok_and(|count| (1..3).contains(&count))
    {
        task::yield_now().await;
    }
    &begun == b"PRI"
}

/// Takes what is published.
fn hear(streams: Streams, stream: TcpStream) -> impl Future<Output = hyper::Result<()>> {
    let app = Router::new()
        .route("/{channel}/publish", post(publish))
        .with_state(streams);
    http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
}

async fn follow(streams: Streams, stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mine = Connection::default();
    lock(&streams.0.connections).push(Arc::clone(&mine));
    while let Some(accepted) = connection.accept().await {
        let (_, mut respond) = accepted?;
        let mut head = Response::new(());
        let event_stream = header::HeaderValue::from_static("text/event-stream");
        head.headers_mut().insert(header::CONTENT_TYPE, event_stream);
        lock(&mine).push(respond.send_response(head, false)?);
    }
    Ok(())
}

async fn publish(State(streams): State<Streams>, text: String) -> Result<String, Infallible> {
    let number = streams.0.count.fetch_add(1, Ordering::Relaxed) + 1;
    let id = format!("{}{number}", super::EPOCH);
    let event = Bytes::from(format!("id: {id}\nevent: message\ndata: {text}\n\n"));
    tokio::spawn(async move {
        let connections = lock(&streams.0.connections).clone();
        for some in connections.chunks(TURN) {
            for connection in some {
                for stream in lock(connection).iter_mut() {
                    // Who has left takes no more.
                    drop(stream.send_data(event.clone(), false));
                }
            }
            task::yield_now().await;
        }
    });
    Ok(format!("{id}\n"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
