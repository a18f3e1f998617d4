//! What all connections of a server share: the application, how far the shutdown is, and the sessions that run.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use dualcast_core::{CloseReason, SessionHandle};
use futures::future::BoxFuture;
use slab::Slab;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cut;
use crate::options::MAX_WAIT;
use crate::serve::options::ServerOptions;
use crate::serve::places::{Place, Places};
use crate::serve::prefix::Prefix;
#[cfg(feature = "tls")]
use crate::serve::tls::Tls;
use crate::serve::upgrades::Upgrades;
use crate::serve::{http1, http2};
use crate::shutdown;
use crate::socket::Socket;
use crate::takeover::Taken;

/// How far a server is with its shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Requests under way are answered, sessions say goodbye.
    Draining,
}

pub(crate) struct Server {
    pub(super) app: Router,
    pub(super) options: ServerOptions,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    places: Arc<Places>,
    stage: watch::Sender<Stage>,
    /// Cuts every connection that is left.
    cut: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// The sessions that run. None for one that was refused, which is told so and gone.
    running: Mutex<Slab<Option<SessionHandle>>>,
    pub(super) upgrades: Arc<Upgrades>,
}

/// A connection whose first bytes are there.
pub(super) struct Opened {
    pub(super) socket: Socket,
    pub(super) prefix: Prefix,
    pub(super) is_http2: bool,
}

impl Server {
    pub(super) fn new(app: Router, options: ServerOptions) -> Self {
        Self {
            app,
            places: Places::new(&options),
            options,
            #[cfg(feature = "tls")]
            tls: None,
            stage: watch::channel(Stage::Serving).0,
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            upgrades: Arc::default(),
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Serves a connection, in a task of its own. One above the limits is closed without a word.
    pub(super) fn accept(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let Some(place) = self.places.take(address.ip()) else {
            return;
        };
        let server = Arc::clone(self);
        let cut = self.cut.child_token();
        self.tasks.spawn(async move {
            // Whatever ends the connection ends all that it brought up.
            let _cut = cut.clone().drop_guard();
            let handoff = cut.run_until_cancelled(server.serve(stream, place, address, &cut));
            if let Some(Some((handoff, taken, place))) = handoff.await {
                server.start(handoff, taken, place);
            }
        });
    }

    /// Serves the requests of a connection. Answers its socket once one of them is to be answered by a session.
    async fn serve(
        self: &Arc<Self>,
        stream: TcpStream,
        place: Place,
        address: SocketAddr,
        cut: &CancellationToken,
    ) -> Option<(http1::Handoff, Taken, Place)> {
        let head_by = Instant::now() + self.options.head_timeout.min(MAX_WAIT);
        let opened = tokio::select! {
            biased;
            opened = time::timeout_at(head_by, self.open(stream)) => opened.ok()?,
            () = self.draining() => None,
        };
        let opened = opened?;
        // Boxed: a connection costs what its own version needs.
        if opened.is_http2 {
            Box::pin(http2::serve(self, opened, place, address, head_by, cut)).await;
            return None;
        }
        let serving = http1::serve(self, opened, place, address, head_by);
        Box::pin(cut::within(cut.clone(), serving)).await
    }

    /// Learns what the client speaks. None where it is gone before.
    async fn open(&self, stream: TcpStream) -> Option<Opened> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.open(stream).await;
        }
        let mut socket = Socket::from(stream);
        let prefix = Prefix::read(&mut socket).await.ok()?;
        let is_http2 = prefix.is_preface();
        Some(Opened {
            socket,
            prefix,
            is_http2,
        })
    }

    /// Runs a session in a task of its own, which is smaller than the one that parsed its request.
    fn start(self: &Arc<Self>, handoff: http1::Handoff, taken: Taken, place: Place) {
        let session = handoff.session.clone();
        // Begun here, so that the task holds nothing of the response.
        let run = handoff.run(taken);
        self.spawn(session, async move {
            let _place = place;
            run.await;
        });
    }

    /// Runs a session that is told of a shutdown, waited for, and dropped at the end of the drain.
    pub(super) fn spawn(
        self: &Arc<Self>,
        session: Option<SessionHandle>,
        run: impl Future<Output = ()> + Send + 'static,
    ) {
        let listed = self.list_quietly(session.clone());
        // Outside of the list's lock: a runtime that ends drops the task at once, and with it its place in the list.
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            let _listed = listed;
            cut.run_until_cancelled(run).await;
        });
        self.tell_if_draining(session.as_ref());
    }

    /// Runs what outlives its session, but the server only by the grace.
    pub(super) fn let_finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (cut, grace) = (self.cut.clone(), self.options.handler_grace.min(MAX_WAIT));
        self.tasks.spawn(async move {
            let over = async {
                cut.cancelled().await;
                time::sleep(grace).await;
            };
            tokio::select! {
                // The grace first: a handler that never pauses uses up the time in which it would be looked at.
                biased;
                () = over => tracing::warn!("a handler is dropped: the server is over, and so is the handler's grace"),
                () = work => {}
            }
        });
    }

    /// Lists a session that leaves as a body, so that it is told of a shutdown.
    pub(super) fn list(self: &Arc<Self>, session: SessionHandle) -> Listed {
        let listed = self.list_quietly(Some(session.clone()));
        self.tell_if_draining(Some(&session));
        listed
    }

    fn list_quietly(self: &Arc<Self>, session: Option<SessionHandle>) -> Listed {
        let key = lock(&self.running).insert(session);
        Listed {
            server: Arc::clone(self),
            key,
        }
    }

    /// Asked after the session is listed: a shutdown either finds it there or is seen here.
    fn tell_if_draining(&self, session: Option<&SessionHandle>) {
        if let Some(session) = session
            && *self.stage.borrow() != Stage::Serving
        {
            session.close(CloseReason::Shutdown);
        }
    }

    /// Done when the server begins to shut down.
    pub(super) fn draining(&self) -> BoxFuture<'static, ()> {
        let mut stage = self.stage.subscribe();
        Box::pin(async move { drop(stage.wait_for(|stage| *stage >= Stage::Draining).await) })
    }

    pub(super) async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let sessions: Vec<_> = lock(&self.running)
            .iter()
            .filter_map(|(_, session)| session.clone())
            .collect();
        self.tasks.close();
        let drained = async {
            // No later than half of the time, so that the last ones have the other half.
            let window = self.options.drain_window.min(self.options.drain_timeout / 2);
            shutdown::tell(sessions, window).await;
            self.tasks.wait().await;
        };
        if time::timeout(self.options.drain_timeout, drained).await.is_err() {
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.upgrades.end();
    }
}

/// A session in the server's list, for as long as it runs, however it ends.
pub(super) struct Listed {
    server: Arc<Server>,
    key: usize,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.server.running).remove(self.key);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
