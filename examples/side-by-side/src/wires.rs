//! The wires between browsers and the server, in our own hands.
//!
//! No application needs this. A demonstration does: to show what becomes of a client whose connection breaks, or that
//! stops reading, somebody has to do to the connection what networks do. So the public address is that of a relay. It
//! opens a connection to the server for each that a browser opens, carries bytes both ways as they come, and on request
//! cuts a wire without a word or stops carrying for a while. Server and browser are as they always are, and know nothing.
//! Since everything passes here, this is also the place to count bytes.
//!
//! A wire has one fixed buffer for each direction, and there are at most [`MAX_WIRES`] of them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;

use crate::pane::PaneName;
use crate::wire::{BUFFER_BYTES, Wire};

/// The most connections at a time.
const MAX_WIRES: u32 = 256;

/// All wires. Clones are handles to the same.
#[derive(Clone)]
pub(crate) struct Wires {
    table: Arc<Mutex<Table>>,
    free: Arc<Semaphore>,
}

#[derive(Default)]
struct Table {
    /// By the address that the server sees.
    by_address: HashMap<SocketAddr, Arc<Wire>>,
    /// Those whose request told which pane it is for. Each has one name at most.
    by_pane: HashMap<PaneName, Arc<Wire>>,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            table: Arc::default(),
            free: Arc::new(Semaphore::new(MAX_WIRES as usize)),
        }
    }
}

impl Wires {
    /// Relays what comes to the listener to the server, for as long as it is polled.
    pub(crate) async fn relay(&self, listener: TcpListener, server: SocketAddr) {
        while let Ok(permit) = Arc::clone(&self.free).acquire_owned().await {
            match listener.accept().await {
                Ok((browser, _)) => {
                    let wires = self.clone();
                    tokio::spawn(async move {
                        // Whichever way a connection ends, both ends have been told by the kernel.
                        let _ = wires.connect(browser, server).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    eprintln!("can't accept connections: {error}");
                    time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Waits until the server's last words have reached the browsers, if that takes no more than a second.
    pub(crate) async fn finish(&self) {
        let all = self.free.acquire_many(MAX_WIRES);
        drop(time::timeout(Duration::from_secs(1), all).await);
    }

    /// Says which pane the connection with this address, as the server sees it, is for. Its bytes are counted from here on.
    pub(crate) fn name(&self, address: SocketAddr, pane: PaneName) {
        let mut table = self.table();
        // A client that goes round the relay has no wire.
        if let Some(wire) = table.by_address.get(&address).cloned() {
            wire.count_anew();
            table.forget_name(&wire);
            table.by_pane.insert(pane, wire);
        }
    }

    /// The wire of a pane, while it has one.
    pub(crate) fn of(&self, pane: &PaneName) -> Option<Arc<Wire>> {
        self.table().by_pane.get(pane).cloned()
    }

    async fn connect(&self, browser: TcpStream, server: SocketAddr) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(BUFFER_BYTES as u32)?;
        let server = socket.connect(server).await?;
        for end in [&browser, &server] {
            end.set_nodelay(true)?;
        }
        let address = server.local_addr()?;
        let wire = Arc::new(Wire::default());
        self.table().by_address.insert(address, Arc::clone(&wire));
        wire.carry(browser, server).await;
        let mut table = self.table();
        table.forget(address, &wire);
        Ok(())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget(&mut self, address: SocketAddr, wire: &Arc<Wire>) {
        // The next wire may have the same address by now.
        if self
            .by_address
            .get(&address)
            .is_some_and(|known| Arc::ptr_eq(known, wire))
        {
            self.by_address.remove(&address);
        }
        self.forget_name(wire);
    }

    fn forget_name(&mut self, wire: &Arc<Wire>) {
        self.by_pane.retain(|_, named| !Arc::ptr_eq(named, wire));
    }
}
