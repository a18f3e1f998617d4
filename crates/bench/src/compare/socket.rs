//! A client's socket, which counts what goes through it, and may take no more than so much a second.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

use crate::load::Clamp;

/// How many bytes went through a socket: beneath TLS, above TCP.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

/// A count of them at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Traffic {
    pub(crate) fn count(&self) -> Count {
        Count {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }
}

impl Count {
    /// What went through since an earlier count.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            received: self.received - before.received,
            sent: self.sent - before.sent,
        }
    }

    /// Of so many, each.
    pub(crate) fn each(self, count: u64) -> (f64, f64) {
        (
            self.received as f64 / count as f64,
            self.sent as f64 / count as f64,
        )
    }
}

/// A socket that counts.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    traffic: Arc<Traffic>,
    throttle: Option<Throttle>,
}

impl Socket {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self::of(TcpStream::connect(address).await?, None)?)
    }

    /// Connects over a link that takes so many bytes a second, with an Ethernet's segments and little room in the kernel.
    pub(crate) async fn connect_slowly(address: SocketAddr, bytes_per_second: usize) -> Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_tcp_mss(Clamp::NETWORK.segment_bytes)?;
        socket.set_recv_buffer_size(Clamp::NETWORK.receive_buffer_bytes)?;
        socket.set_nonblocking(true)?;
        let tcp = TcpSocket::from_std_stream(socket.into()).connect(address).await?;
        Ok(Self::of(tcp, Some(Throttle::new(bytes_per_second)))?)
    }

    fn of(tcp: TcpStream, throttle: Option<Throttle>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            traffic: Arc::default(),
            throttle,
        })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// What makes a slow link as fast as any, once it is true.
    pub(crate) fn recovery(&self) -> Arc<AtomicBool> {
        self.throttle
            .as_ref()
            .map_or_else(Arc::default, |throttle| Arc::clone(&throttle.is_over))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self {
            tcp,
            traffic,
            throttle,
        } = self.get_mut();
        let Some(throttle) = throttle.as_mut().filter(|throttle| throttle.holds()) else {
            let before = buf.filled().len();
            ready!(Pin::new(tcp).poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            traffic.received.fetch_add(read as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        };
        let room = ready!(throttle.poll_room(cx)).min(buf.remaining());
        let mut piece = vec![0; room];
        let mut limited = ReadBuf::new(&mut piece);
        ready!(Pin::new(tcp).poll_read(cx, &mut limited))?;
        let read = limited.filled();
        buf.put_slice(read);
        throttle.left -= read.len();
        traffic.received.fetch_add(read.len() as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        self.traffic.sent.fetch_add(sent as u64, Ordering::Relaxed);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// How much a slow link takes: so much in each step.
#[derive(Debug)]
struct Throttle {
    step_bytes: usize,
    left: usize,
    next: Pin<Box<Sleep>>,
    is_over: Arc<AtomicBool>,
}

const STEP: Duration = Duration::from_millis(50);

impl Throttle {
    fn new(bytes_per_second: usize) -> Self {
        let step_bytes = (bytes_per_second as f64 * STEP.as_secs_f64()).max(1.0) as usize;
        Self {
            step_bytes,
            left: step_bytes,
            next: Box::pin(sleep(STEP)),
            is_over: Arc::default(),
        }
    }

    fn holds(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// How much may be read now.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.left == 0 {
            ready!(self.next.as_mut().poll(cx));
            self.next.as_mut().reset(Instant::now() + STEP);
            self.left = self.step_bytes;
        }
        Poll::Ready(self.left)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_goes_through_is_counted_however_slow_the_link() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fast = Socket::connect(address).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(&[b'x'; 3_000]).await.unwrap();
        let slow = Socket::connect_slowly(address, 20_000).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        other.write_all(&[b'x'; 3_000]).await.unwrap();
        for mut socket in [fast, slow] {
            socket.read_exact(&mut [0; 3_000]).await.unwrap();
            socket.write_all(b"hello").await.unwrap();
            let expected = Count {
                received: 3_000,
                sent: 5,
            };
            assert_eq!(socket.traffic().count(), expected);
        }
    }
}
