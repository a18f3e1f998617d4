//! Portions: a way out that takes only so much at a time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::handout::MAX_PORTION_BYTES;

/// A stream of HTTP/2, or an upgraded connection. What is written to a stream is taken whole, however large, and nothing more until its
/// client has taken that. In portions of 64 KiB a client that reads slowly is seen to read, and less of it is held.
#[derive(Debug)]
pub struct Portions<IO> {
    io: IO,
    /// As much as the client's socket takes, where there is one.
    max_bytes: usize,
}

impl<IO> Portions<IO> {
    /// A stream.
    pub fn of_stream(io: IO) -> Self {
        Self {
            io,
            max_bytes: MAX_PORTION_BYTES,
        }
    }

    /// A connection.
    pub fn of_connection(io: IO) -> Self {
        Self {
            io,
            max_bytes: usize::MAX,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Portions<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Portions<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let portion = &buf[..buf.len().min(self.max_bytes)];
        Pin::new(&mut self.io).poll_write(cx, portion)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.max_bytes == usize::MAX {
            return Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.max_bytes == usize::MAX && self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_stream_takes_a_portion_at_a_time_and_a_connection_all() {
        let (near, mut far) = duplex(1 << 20);
        let whole = vec![b'x'; 140_000];
        let mut stream = Portions::of_stream(near);
        assert_eq!(stream.write(&whole).await.unwrap(), MAX_PORTION_BYTES);
        let slices = [IoSlice::new(&[]), IoSlice::new(&whole), IoSlice::new(&whole)];
        let written = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &slices));
        assert_eq!(written.await.unwrap(), MAX_PORTION_BYTES);
        let mut connection = Portions::of_connection(stream.io);
        assert_eq!(connection.write(&whole).await.unwrap(), whole.len());
        drop(connection);
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived.len(), 2 * MAX_PORTION_BYTES + whole.len());
    }
}
