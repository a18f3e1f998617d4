//! Cutting: ending a task of the server from elsewhere.
//!
//! hyper doesn't ask a body whose client takes nothing, so nothing that the body answers can end it. What runs it can be dropped,
//! though: the connection, or over HTTP/2 the one stream, which is then reset.
//!
//! A connection is cut by a token. Its streams, of which it may have a hundred, have something smaller: to be cut, and to wait for that, takes 96 bytes of each.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{future, mem};

use slab::Slab;
use tokio::task_local;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::serve::lock;

task_local! {
    static CUT: Cut;
}

/// What cuts a task.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    Connection(CancellationToken),
    Stream(Arc<Stream>),
}

/// What cuts one stream of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    state: Mutex<State>,
    streams: Streams,
    key: usize,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    waiting: [Option<Waker>; 3],
}

/// Who waits for a stream to be cut.
#[derive(Clone, Copy)]
enum Role {
    /// The task of its request.
    Request,
    /// What carries it on when it is upgraded.
    Upgrade,
    /// Who lets its client take what was sent.
    Linger,
}

/// The streams of a connection that run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<Slab<Weak<Stream>>>>);

/// Cuts them all when it is dropped.
pub(crate) struct CutsAll(Streams);

/// The task of a stream.
pub(crate) struct Running<F> {
    stream: Arc<Stream>,
    role: Role,
    task: F,
}

/// Runs a task that may learn what cuts it.
pub(crate) async fn within<F: Future>(cut: Cut, task: F) -> F::Output {
    CUT.scope(cut, task).await
}

/// What cuts the task that asks, where our server runs it.
pub(crate) fn current() -> Option<Cut> {
    CUT.try_with(Cut::clone).ok()
}

impl Cut {
    /// Ends what it cuts.
    pub(crate) fn cut(&self) {
        match self {
            Self::Connection(token) => token.cancel(),
            Self::Stream(stream) => stream.cut(),
        }
    }

    /// Ends what it cuts after so long, if nobody does before.
    pub(crate) async fn cut_after(self, time: Duration) {
        let mut late = pin!(time::sleep(time));
        match &self {
            Self::Connection(token) => drop(token.run_until_cancelled(late).await),
            Self::Stream(stream) => {
                future::poll_fn(|cx| match stream.poll_cut(Role::Linger, cx) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => late.as_mut().poll(cx),
                })
                .await;
            }
        }
        self.cut();
    }
}

impl Stream {
    fn cut(&self) {
        let waiting = {
            let mut state = lock(&self.state);
            state.is_cut = true;
            mem::take(&mut state.waiting)
        };
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready once it is cut. One task waits in each role.
    fn poll_cut(&self, role: Role, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.is_cut {
            return Poll::Ready(());
        }
        let waiting = &mut state.waiting[role as usize];
        if !waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            let before = waiting.replace(cx.waker().clone());
            drop(state);
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        lock(&self.streams.0).remove(self.key);
    }
}

impl Streams {
    /// Cuts those that run when it is dropped.
    pub(crate) fn cut_with(&self) -> CutsAll {
        CutsAll(self.clone())
    }

    /// A task that runs until it is cut, which it may learn how to do. What carries an upgraded stream on is made in the task of its request, and cut with that.
    pub(crate) fn run<F>(&self, task: F) -> Running<F> {
        let (stream, role) = match current() {
            Some(Cut::Stream(stream)) => (stream, Role::Upgrade),
            _ => (self.list(), Role::Request),
        };
        Running { stream, role, task }
    }

    fn list(&self) -> Arc<Stream> {
        let mut streams = lock(&self.0);
        let entry = streams.vacant_entry();
        let stream = Arc::new(Stream {
            state: Mutex::default(),
            streams: self.clone(),
            key: entry.key(),
        });
        entry.insert(Arc::downgrade(&stream));
        stream
    }
}

impl Drop for CutsAll {
    fn drop(&mut self) {
        let streams: Vec<_> = {
            let streams = lock(&self.0.0);
            streams
                .iter()
                .filter_map(|(_, stream)| stream.upgrade())
                .collect()
        };
        streams.iter().for_each(|stream| stream.cut());
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stream.poll_cut(self.role, cx).is_ready() {
            return Poll::Ready(());
        }
        let cut = Cut::Stream(Arc::clone(&self.stream));
        CUT.sync_scope(cut, || Pin::new(&mut self.task).poll(cx))
    }
}

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        let waiting = lock(&self.stream.state).waiting[self.role as usize].take();
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt;

    use super::*;

    /// A stream that runs, and what cuts it.
    async fn running(streams: &Streams) -> (impl Future<Output = ()> + use<>, Cut) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut running = streams.run(Box::pin(async move {
            let _ = sender.send(current().unwrap());
            pending::<()>().await;
        }));
        assert!((&mut running).now_or_never().is_none());
        (running, receiver.await.unwrap())
    }

    #[tokio::test]
    async fn a_stream_is_cut_by_what_it_handed_out_and_no_other() {
        assert!(current().is_none());
        let streams = Streams::default();
        let [(one, cut), (mut other, _)] = [running(&streams).await, running(&streams).await];
        cut.cut();
        one.await;
        assert!(
            future::poll_fn(|cx| Poll::Ready(Pin::new(&mut other).poll(cx)))
                .await
                .is_pending()
        );
    }

    #[tokio::test]
    async fn with_its_connection_all_that_run_are_cut_also_those_that_were_upgraded() {
        let streams = Streams::default();
        let all = streams.cut_with();
        let (request, cut) = running(&streams).await;
        let upgraded = CUT.sync_scope(cut.clone(), || streams.run(Box::pin(pending::<()>())));
        let task = tokio::spawn(upgraded);
        let lingering = tokio::spawn(cut.cut_after(Duration::from_secs(1 << 20)));
        drop(request);
        tokio::task::yield_now().await;
        assert!(!task.is_finished() && !lingering.is_finished());
        drop(all);
        task.await.unwrap();
        lingering.await.unwrap();
        assert!(lock(&streams.0).is_empty(), "and nothing is left of them");
    }

    #[tokio::test(start_paused = true)]
    async fn who_lingers_is_cut_at_last() {
        let streams = Streams::default();
        let (request, cut) = running(&streams).await;
        cut.cut_after(Duration::from_secs(5)).await;
        request.await;
        let token = CancellationToken::new();
        Cut::Connection(token.clone())
            .cut_after(Duration::from_secs(5))
            .await;
        assert!(token.is_cancelled());
    }
}
