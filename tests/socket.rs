//! The client's end of a connection: one that can be slow, take small bites, and vanish.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// A TCP connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// How many bytes are read at a time.
    bite: usize,
    is_deaf: Arc<AtomicBool>,
}

impl Socket {
    /// Connects. `is_small`: its kernel buffer takes a few KiB only, so that a client that stops reading is felt at once; by
    /// itself the kernel takes megabytes.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn connect(address: SocketAddr, is_small: bool) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if is_small {
            socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
            SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT_BYTES)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            bite: usize::MAX,
            is_deaf: Arc::default(),
        })
    }

    /// Reads at most so many bytes at a time from now on.
    pub fn set_bite(&mut self, bytes: usize) {
        self.bite = bytes;
    }

    /// Vanishes: the other end is sent a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket can linger");
    }

    /// What can stop it from reading, for good, wherever it is then.
    #[must_use]
    pub fn deafen_handle(&self) -> Deafen {
        Deafen(Arc::clone(&self.is_deaf))
    }

    /// What can turn its end into a reset, wherever it is then.
    #[must_use]
    pub fn reset_handle(&self) -> Reset {
        Reset(
            SockRef::from(&self.stream)
                .try_clone()
                .expect("a socket can be cloned"),
        )
    }
}

/// A socket that reads elsewhere.
#[derive(Debug)]
pub struct Deafen(Arc<AtomicBool>);

impl Deafen {
    /// It reads nothing more.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A socket that is used elsewhere.
#[derive(Debug)]
pub struct Reset(socket2::Socket);

impl Reset {
    /// From now on its end is a reset.
    pub fn on_close(&self) {
        self.0
            .set_linger(Some(Duration::ZERO))
            .expect("a socket can linger");
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let bite = self.bite.min(buf.remaining());
        let mut bitten = ReadBuf::new(buf.initialize_unfilled_to(bite));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut bitten);
        let filled = bitten.filled().len();
        buf.advance(filled);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const SMALL_BUFFER_BYTES: u32 = 4_096;

const SMALL_SEGMENT_BYTES: u32 = 1_400;
