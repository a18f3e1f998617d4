//! What all connections of a server share: the application, how far the shutdown is, and the sessions that run.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use dualcast_core::{CloseReason, SessionHandle};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cut;
use crate::options::MAX_WAIT;
use crate::serve::handoff::Handoff;
use crate::serve::options::ServerOptions;
use crate::serve::places::{Place, Places};
use crate::serve::prefix::Prefix;
use crate::serve::running::{Listed, Running};
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
    /// Cuts every connection that is left. Sessions are cut one by one: hundreds of thousands that wait for one token, each asking it anew
    /// whenever it wakes, would stand in line at its lock.
    cut: CancellationToken,
    pub(super) tasks: TaskTracker,
    running: Arc<Running>,
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
            running: Arc::default(),
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
    ) -> Option<(Handoff, Taken, Place)> {
        let head_by = Instant::now() + self.options.head_timeout.min(MAX_WAIT);
        let opened = tokio::select! {
            biased;
            opened = time::timeout_at(head_by, self.open(stream)) => opened.ok()?,
            () = self.draining() => None,
        };
        let opened = opened?;
        // Boxed: a connection costs what its own version needs.
        if opened.is_http2 {
            Box::pin(http2::serve(self, opened, place, address, head_by)).await;
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

    /// Runs a session in a task of its own, which is smaller than the one that had its request, and holds something for as long.
    pub(super) fn start(self: &Arc<Self>, handoff: Handoff, taken: Taken, held: impl Send + 'static) {
        let session = handoff.session.clone();
        // Begun here, so that the task holds nothing of the response.
        self.spawn(session, handoff.run(taken, held));
    }

    /// Runs a session that is told of a shutdown, waited for, and dropped at the end of the drain.
    fn spawn(
        self: &Arc<Self>,
        session: Option<SessionHandle>,
        run: impl Future<Output = ()> + Send + 'static,
    ) {
        let listed = self.running.list(session.clone(), true);
        let key = listed.key();
        let task = self.tasks.spawn(run.map(move |()| drop(listed)));
        self.running.began(key, task.abort_handle());
        // After it is listed: the end of a drain either finds it there or is seen here.
        if self.cut.is_cancelled() {
            task.abort();
        }
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
    pub(super) fn list(&self, session: SessionHandle) -> Listed {
        let listed = self.running.list(Some(session.clone()), false);
        self.tell_if_draining(Some(&session));
        listed
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

    /// Done at the end of the drain, when every connection that is left is cut.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    pub(super) async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let sessions = self.running.sessions();
        self.tasks.close();
        let drained = async {
            // No later than half of the time, so that the last ones have the other half.
            let window = self.options.drain_window.min(self.options.drain_timeout / 2);
            shutdown::tell(sessions, window).await;
            self.tasks.wait().await;
        };
        if time::timeout(self.options.drain_timeout, drained).await.is_err() {
            self.cut.cancel();
            self.running.cut();
            self.tasks.wait().await;
        }
        self.upgrades.end();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
