//! One wire: a browser's connection and the one to the server that belongs to it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::time::{self, Instant};

/// What is carried at once; and what the kernel buffers at either end between server and relay: little, so that the server
/// soon notices a held wire.
pub(crate) const BUFFER_BYTES: usize = 16 << 10;

/// For how long a browser may take nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What others may know of a wire, and do to it.
#[derive(Default)]
pub(crate) struct Wire {
    /// Bytes carried down to the browser.
    carried: AtomicU64,
    /// How many of them were carried before anybody was interested.
    carried_before: AtomicU64,
    is_cut: Notify,
    held_until: watch::Sender<Option<Instant>>,
}

impl Wire {
    /// How many bytes came down to the browser since the wire has its name.
    pub(crate) fn bytes(&self) -> u64 {
        self.carried.load(Ordering::Relaxed) - self.carried_before.load(Ordering::Relaxed)
    }

    /// Resets the connection, towards both ends, without a goodbye.
    pub(crate) fn cut(&self) {
        self.is_cut.notify_one();
    }

    /// Takes nothing from the server for so long.
    pub(crate) fn hold(&self, time: Duration) {
        self.held_until.send_replace(Some(Instant::now() + time));
    }

    pub(crate) fn count_anew(&self) {
        let carried = self.carried.load(Ordering::Relaxed);
        self.carried_before.store(carried, Ordering::Relaxed);
    }

    /// Carries bytes both ways, until both ends have said all or the wire is cut.
    pub(crate) async fn carry(&self, mut browser: TcpStream, mut server: TcpStream) {
        let (from_browser, to_browser) = browser.split();
        let (from_server, to_server) = server.split();
        let has_ended_well = tokio::select! {
            carried = async { tokio::try_join!(up(from_browser, to_server), self.down(from_server, to_browser)) } => {
                carried.is_ok()
            }
            () = self.is_cut.notified() => false,
        };
        if !has_ended_well {
            for end in [browser, server] {
                // Closing it then resets it. It may be gone already.
                let _ = end.set_zero_linger();
            }
        }
    }

    async fn down(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut held_until = self.held_until.subscribe();
        loop {
            let until = *held_until.borrow_and_update();
            if let Some(until) = until
                && until > Instant::now()
            {
                time::sleep_until(until).await;
                continue;
            }
            let length = tokio::select! {
                length = from.read(&mut buffer) => length?,
                _ = held_until.changed() => continue,
            };
            if length == 0 {
                return to.shutdown().await;
            }
            self.carried.fetch_add(length as u64, Ordering::Relaxed);
            time::timeout(WRITE_TIMEOUT, to.write_all(&buffer[..length])).await??;
        }
    }
}

async fn up(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;

    /// A wire, and what hangs at its ends: a browser and a server.
    async fn wire() -> (Arc<Wire>, TcpStream, TcpStream) {
        let (browser, at_browser) = pair().await;
        let (server, at_server) = pair().await;
        let wire = Arc::new(Wire::default());
        let carrying = Arc::clone(&wire);
        tokio::spawn(async move { carrying.carry(at_browser, at_server).await });
        (wire, browser, server)
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    async fn read(from: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut read = vec![0; length];
        from.read_exact(&mut read).await.unwrap();
        read
    }

    #[tokio::test]
    async fn it_carries_both_ways_and_counts_what_goes_down() {
        let (wire, mut browser, mut server) = wire().await;
        browser.write_all(b"up").await.unwrap();
        assert_eq!(read(&mut server, 2).await, b"up");
        server.write_all(b"before").await.unwrap();
        assert_eq!(read(&mut browser, 6).await, b"before");
        wire.count_anew();
        let long = vec![7; 3 * BUFFER_BYTES];
        server.write_all(&long).await.unwrap();
        assert_eq!(read(&mut browser, long.len()).await, long);
        drop(server);
        assert_eq!(
            browser.read(&mut [0]).await.unwrap(),
            0,
            "an end in good order is one here, too"
        );
        assert_eq!(wire.bytes(), long.len() as u64);
    }

    #[tokio::test]
    async fn a_cut_resets_both_ends() {
        let (wire, mut browser, mut server) = wire().await;
        wire.cut();
        for end in [&mut browser, &mut server] {
            let error = end.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn a_held_wire_carries_nothing_down_for_a_while_and_then_all_of_it() {
        let (wire, mut browser, mut server) = wire().await;
        let (held_at, time) = (Instant::now(), Duration::from_millis(50));
        wire.hold(time);
        server.write_all(b"late").await.unwrap();
        browser.write_all(b"up").await.unwrap();
        assert_eq!(read(&mut server, 2).await, b"up");
        assert_eq!(read(&mut browser, 4).await, b"late");
        assert!(held_at.elapsed() >= time);
    }
}
