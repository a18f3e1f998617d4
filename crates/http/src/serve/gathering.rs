//! Answers that leave together: what hyper writes in one poll of a connection leaves in one system call at its end.
//!
//! hyper writes each answer by itself. A client that asks many things at once (RFC 9112, section 9.3.2) would be woken for each.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::serve::traffic::Traffic;
use crate::socket::Socket;

/// A socket, and what is to leave by it at the end of the poll.
pub(super) struct Gathering {
    pub(super) socket: Socket,
    gathered: Vec<u8>,
    /// Whether what was gathered may still wait in the socket itself, as it can under TLS.
    is_unflushed: bool,
    /// Whether somebody lets go of what is gathered. Where nobody does, what is written leaves at once.
    gathers: bool,
    traffic: Traffic,
}

impl Gathering {
    pub(super) fn new(socket: Socket, traffic: Traffic) -> Self {
        Self {
            socket,
            gathered: Vec::new(),
            is_unflushed: false,
            gathers: false,
            traffic,
        }
    }

    /// Gathers from now on, or no longer, once what was gathered has left.
    pub(super) fn gather(&mut self, gathers: bool) {
        self.gathers = gathers;
    }

    /// Writes, or gathers what is small enough: all of it, or nothing.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.gathers && self.gathered.len() + length <= MAX_GATHERED_BYTES {
            for slice in slices {
                self.gathered.extend_from_slice(slice);
            }
            return self.traffic.note_blocked(Poll::Ready(Ok(length)));
        }
        let left = self.poll_leave(cx);
        ready!(self.traffic.note_blocked(left))?;
        let socket = Pin::new(&mut self.socket);
        let written = match slices {
            [slice] => socket.poll_write(cx, slice),
            _ => socket.poll_write_vectored(cx, slices),
        };
        self.traffic.note_blocked(self.traffic.note_written(written))
    }

    /// Lets hyper go on while there is more to come.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathers && !self.gathered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.poll_flush_all(cx);
        self.traffic.note_blocked(flushed)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_flush_all(cx);
        ready!(self.traffic.note_blocked(flushed))?;
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.traffic.note_blocked(shut)
    }

    /// Lets go of what is gathered. Ready where nothing is, without a look at the socket, which may be somebody else's by then.
    pub(super) fn poll_let_go(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.is_empty() && !self.is_unflushed {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_all(cx)
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(cx))?;
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let socket = Pin::new(&mut self.socket);
            match ready!(self.traffic.note_written(socket.poll_write(cx, &self.gathered)))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                bytes => drop(self.gathered.drain(..bytes)),
            }
            self.is_unflushed = true;
        }
        // No connection keeps room that it rarely needs.
        self.gathered = Vec::new();
        Poll::Ready(Ok(()))
    }
}

/// How much is gathered at most, in bytes: more than hyper's answers to a poll's worth of small requests. What is larger leaves at once.
const MAX_GATHERED_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Gathering, Traffic, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let traffic = Traffic::default();
        let mut gathering = Gathering::new(listener.accept().await.unwrap().0.into(), traffic.clone());
        gathering.gather(true);
        (gathering, traffic, client)
    }

    async fn write(gathering: &mut Gathering, slices: &[&[u8]]) {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let written = poll_fn(|cx| gathering.poll_write(cx, &slices)).await;
        assert_eq!(written.unwrap(), length);
    }

    async fn let_go(gathering: &mut Gathering) {
        poll_fn(|cx| gathering.poll_let_go(cx)).await.unwrap();
    }

    async fn expect(client: &mut TcpStream, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn what_is_written_in_a_poll_leaves_at_its_end() {
        let (mut gathering, traffic, mut client) = pair().await;
        write(&mut gathering, &[b"one,", b"two,"]).await;
        poll_fn(|cx| gathering.poll_flush(cx)).await.unwrap();
        write(&mut gathering, &[b"three"]).await;
        assert_eq!(traffic.written(), 0);
        let_go(&mut gathering).await;
        assert_eq!(traffic.written(), 13);
        expect(&mut client, b"one,two,three").await;
        assert_eq!(
            gathering.gathered.capacity(),
            0,
            "an idle connection keeps nothing"
        );
    }

    #[tokio::test]
    async fn what_is_large_leaves_at_once_and_behind_what_was_gathered() {
        let (mut gathering, traffic, mut client) = pair().await;
        let large = [b'x'; MAX_GATHERED_BYTES];
        write(&mut gathering, &[b"small"]).await;
        write(&mut gathering, &[&large]).await;
        assert_eq!(traffic.written(), 5 + large.len() as u64);
        write(&mut gathering, &[b"after"]).await;
        let_go(&mut gathering).await;
        expect(&mut client, &[b"small", &large[..], b"after"].concat()).await;
    }

    #[tokio::test]
    async fn what_was_gathered_leaves_before_the_end() {
        let (mut gathering, _, mut client) = pair().await;
        write(&mut gathering, &[b"goodbye"]).await;
        poll_fn(|cx| gathering.poll_shutdown(cx)).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"goodbye");
    }

    #[tokio::test]
    async fn no_more_is_gathered_for_a_client_that_takes_nothing_and_nothing_is_lost() {
        let (mut gathering, traffic, mut client) = pair().await;
        let mut said = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        let left = loop {
            let word = format!("{:>9},", said.len());
            let slices = [IoSlice::new(word.as_bytes())];
            if gathering.poll_write(&mut cx, &slices).is_pending() {
                break gathering.poll_let_go(&mut cx);
            }
            said.extend(word.bytes());
        };
        assert!(left.is_pending() && traffic.is_blocked());
        assert!(gathering.gathered.len() <= MAX_GATHERED_BYTES);
        assert_eq!(
            traffic.written() + gathering.gathered.len() as u64,
            said.len() as u64
        );
        tokio::join!(let_go(&mut gathering), expect(&mut client, &said));
    }
}
