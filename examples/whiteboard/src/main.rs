//! cargo run -p whiteboard
//!
//! A whiteboard for many: notes, strokes and shapes, a chat beside them, and who is here. Editors have WebSockets, or event streams and POSTs;
//! viewers have event streams alone; all follow one channel.
//!
//! A board is a fold over its channel's log. The server folds it, too: so it knows what may be changed, and has a snapshot for whoever comes, from whose
//! position the page follows. On one node boards are kept in a file. With `--nats URL` several nodes serve the same boards.

mod arguments;
mod board;
mod boards;
mod cursors;
mod invisible;
mod messages;
mod name;
mod page;
mod people;
mod routes;
mod snapshot;
mod store;
mod user;

use std::error::Error as StdError;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use dualcast::{Channel, Error, Hub, HubBuilder, Nats, NatsOptions, Rate, RateLimit};
use tokio::net::TcpListener;
use tracing::level_filters::LevelFilter;

use arguments::{Arguments, USAGE};
use boards::Boards;
use cursors::Cursors;
use name::BoardName;
use people::People;
use store::{Bucket, File, Store};

/// What the routes share.
#[derive(Debug, Clone)]
struct App {
    boards: Boards,
    cursors: Cursors,
    people: Arc<People>,
    /// How often a user may change something.
    ops: RateLimit,
    /// How often a user may point, draw or type, which is not kept.
    gestures: RateLimit,
    /// How many KiB of these.
    gesture_kibibytes: RateLimit,
}

impl App {
    fn new(hub: Hub, store: Store) -> Self {
        // Base 36, as an epoch: what tells nodes apart.
        let node: String = (0..8)
            .map(|_| fastrand::alphanumeric().to_ascii_lowercase())
            .collect();
        Self {
            boards: Boards::new(hub, store),
            cursors: Cursors::new(node),
            people: Arc::default(),
            ops: RateLimit::new(OPS),
            gestures: RateLimit::new(GESTURES),
            gesture_kibibytes: RateLimit::new(GESTURE_KIBIBYTES),
        }
    }

    fn channel(&self, board: &BoardName) -> Result<Channel, Error> {
        Ok(self.boards.hub().channel(("board", board.as_str()))?)
    }
}

/// A page has one op under way at a time, and what was done offline goes in ops of 200 changes: a day's work is a burst.
const OPS: Rate = Rate::per_second(30).burst(300);

/// Each ten times a second, of several things that are dragged, in several windows.
const GESTURES: Rate = Rate::per_second(200).burst(400);

/// A stroke at its longest, told ten times a second while it is drawn. What is smaller than one is not counted.
const GESTURE_KIBIBYTES: Rate = Rate::per_second(256).burst(512);

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let arguments = Arguments::read(lexopt::Parser::from_env(), |name| std::env::var(name).ok())?;
    let Some(arguments) = arguments else {
        eprintln!("{USAGE}");
        return Ok(());
    };
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();

    let (hub, store) = open(&arguments).await?;
    let app = App::new(hub, store);
    let listener = TcpListener::bind(&arguments.address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let boards = app.boards.clone();
    dualcast::serve(listener, routes::router(app))
        .options(|server| {
            server.send_buffer_bytes = SEND_BUFFER_BYTES;
            server.max_connections_per_address = Some(arguments.per_address);
        })
        .with_graceful_shutdown(told_to_end())
        .await?;
    // Nobody writes any more.
    match boards.store_all().await {
        0 => Ok(()),
        count => Err(format!("{count} boards could not be stored").into()),
    }
}

async fn open(arguments: &Arguments) -> Result<(Hub, Store), Box<dyn StdError>> {
    if arguments.nats.is_empty() {
        let store =
            File::open(&arguments.data).map_err(|error| format!("{}: {error}", arguments.data.display()))?;
        return Ok((hub().build()?, Store::File(store)));
    }
    let mut options = NatsOptions::new(&arguments.nats);
    options.prefix = "whiteboard".into();
    options.name = "whiteboard".into();
    options.stream.replicas = arguments.replicas;
    options.stream.max_age = LOG_AGE;
    let nats = Nats::connect(options).await?;
    let bucket = Bucket::open(&arguments.nats, arguments.replicas).await?;
    Ok((hub().fan_out(nats).build()?, Store::Bucket(bucket)))
}

/// A hub whose logs hold what many do at once on one board while its own fold is not looked after for a moment.
fn hub() -> HubBuilder {
    Hub::builder()
        .limits(|limits| limits.max_message_bytes = MAX_MESSAGE_BYTES)
        .log(|log| {
            log.max_records = 10_000;
            log.max_bytes = 16 << 20;
        })
}

/// The largest message: several times what a page may say at once, and well below what NATS takes, 1 MiB.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// What is under way to a client at the most: on a slow link that is how old the cursors are that it is shown.
const SEND_BUFFER_BYTES: usize = 32 << 10;

/// For how long NATS keeps what was changed: so long a board may stay unopened after all nodes that had it in memory were killed before they
/// stored it, which they do within seconds.
const LOG_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// By whoever sits before it, or by whoever runs it.
async fn told_to_end() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    drop(ctrl_c.await);
}
