//! What networks do: a relay between a client and a server that can let bytes vanish, hold them back, and break.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A port that leads to a server, as long as it is not told otherwise. It is gone when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    order: Arc<watch::Sender<Order>>,
    accepting: AbortHandle,
}

/// What becomes of bytes from now on.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    to_server: Way,
    to_client: Way,
    is_refusing: bool,
    /// Connections that were made under a lower number are broken.
    resets: u64,
    /// How many more bytes a client gets before its connection breaks.
    bytes_to_reset: Option<usize>,
    /// Whom it concerns that bytes are held and swallowed: connections whose client said this in the beginning. None: all.
    only: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Pass,
    /// Nothing is read any more: the sender's buffers fill, and when the way is free again all of it arrives.
    Hold,
    /// All is read and nothing arrives.
    Swallow,
}

impl Link {
    /// A link to a server, by its host and port. The connections to it are made when clients come.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(server: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let order = Arc::new(watch::Sender::new(Order::default()));
        let accepting = tokio::spawn(accept(listener, server.into(), Arc::clone(&order))).abort_handle();
        Self {
            address,
            order,
            accepting,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The same, for clients of anything but NATS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it [holds](Self::hold) and [swallows](Self::swallow) for those alone who say this in the first bytes that they send, as a
    /// client of NATS says its name; until [`pass`](Self::pass).
    pub fn only(&self, said: &'static str) -> &Self {
        self.order.send_modify(|order| order.only = Some(said));
        self
    }

    /// Lets everything through again, and everybody in. Of connections whose bytes were swallowed nothing arrives any more: the rest
    /// would make no sense.
    pub fn pass(&self) {
        self.order.send_modify(|order| {
            *order = Order {
                resets: order.resets,
                ..Order::default()
            };
        });
    }

    /// Takes in what comes and forwards nothing of it, either way: a peer that is gone without a word behind a network that
    /// acknowledges for it.
    pub fn swallow(&self) {
        self.swallow_one_way(Direction::ToServer);
        self.swallow_one_way(Direction::ToClient);
    }

    /// The same, one way.
    pub fn swallow_one_way(&self, direction: Direction) {
        self.order
            .send_modify(|order| *order.way(direction) = Way::Swallow);
    }

    /// Takes in nothing, either way, until [`pass`](Self::pass): packets are lost and sent again.
    pub fn hold(&self) {
        self.order.send_modify(|order| {
            order.to_server = Way::Hold;
            order.to_client = Way::Hold;
        });
    }

    /// Breaks every connection there is: both ends get a reset.
    pub fn reset(&self) {
        self.order.send_modify(|order| order.resets += 1);
    }

    /// Breaks the next connection to which so many bytes have come from the server, after them: in the middle of a message, say.
    pub fn reset_after(&self, bytes: usize) {
        self.order.send_modify(|order| order.bytes_to_reset = Some(bytes));
    }

    /// Turns everybody away who comes from now on, until [`pass`](Self::pass).
    pub fn refuse(&self) {
        self.order.send_modify(|order| order.is_refusing = true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Order {
    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// What becomes of bytes of a connection that began with these.
    fn way_of(mut self, direction: Direction, hello: &OnceLock<Vec<u8>>) -> Way {
        let is_said = |said: &str| {
            let hello = hello.get().map_or(&[][..], Vec::as_slice);
            hello.windows(said.len()).any(|bytes| bytes == said.as_bytes())
        };
        match self.only.is_none_or(is_said) {
            true => *self.way(direction),
            false => Way::Pass,
        }
    }
}

/// Ends with the link, and every connection with it.
async fn accept(listener: TcpListener, server: String, order: Arc<watch::Sender<Order>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if order.borrow().is_refusing {
            break_off(&client);
            continue;
        }
        let server = server.clone();
        let order = Arc::clone(&order);
        connections.spawn(async move {
            match TcpStream::connect(server).await {
                Ok(server) => relay(client, server, &order).await,
                // As if there were nothing between them.
                Err(_) => break_off(&client),
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Relays until one end is over or a reset is ordered.
async fn relay(client: TcpStream, server: TcpStream, order: &watch::Sender<Order>) {
    for stream in [&client, &server] {
        // Without it the last bytes may wait in the kernel when one is broken off.
        drop(stream.set_nodelay(true));
    }
    let resets = order.borrow().resets;
    let mut orders = order.subscribe();
    let hello = OnceLock::new();
    let ended = tokio::select! {
        ended = pump(&client, &server, Direction::ToServer, order, &hello) => ended,
        ended = pump(&server, &client, Direction::ToClient, order, &hello) => ended,
        _ = orders.wait_for(|order| order.resets > resets) => End::Reset,
    };
    if ended == End::Reset {
        break_off(&client);
        break_off(&server);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Over,
    Reset,
}

async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction,
    order: &watch::Sender<Order>,
    hello: &OnceLock<Vec<u8>>,
) -> End {
    let mut orders = order.subscribe();
    let mut bytes = vec![0; 64 << 10];
    let mut has_swallowed = false;
    loop {
        let way = orders.borrow_and_update().way_of(direction, hello);
        let count = tokio::select! {
            // Looked at first, so that what an order was given before doesn't slip through.
            biased;
            changed = orders.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return End::Over,
            },
            count = read(from, &mut bytes), if way != Way::Hold => match count {
                Ok(0) | Err(_) => return End::Over,
                Ok(count) => count,
            },
        };
        if direction == Direction::ToServer {
            hello.get_or_init(|| bytes[..count].to_vec());
        }
        // Only now it may be known whose they are.
        let passes = orders.wait_for(|order| order.way_of(direction, hello) != Way::Hold);
        match passes.await.map(|order| order.way_of(direction, hello)) {
            Ok(way) => has_swallowed |= way == Way::Swallow,
            Err(_) => return End::Over,
        }
        if has_swallowed {
            continue;
        }
        let allowed = allowed(order, direction, count);
        if write(to, &bytes[..allowed]).await.is_err() {
            return End::Over;
        }
        if allowed < count {
            return End::Reset;
        }
    }
}

/// How many of these bytes may pass before the connection breaks.
fn allowed(order: &watch::Sender<Order>, direction: Direction, count: usize) -> usize {
    let mut allowed = count;
    order.send_if_modified(|order| {
        let Some(left) = order.bytes_to_reset.filter(|_| direction == Direction::ToClient) else {
            return false;
        };
        order.bytes_to_reset = left.checked_sub(count);
        allowed = count.min(left);
        // The pumps have nothing to look at.
        false
    });
    allowed
}

async fn read(from: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(written) => bytes = &bytes[written..],
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The other end gets a reset when the socket is dropped.
fn break_off(stream: &TcpStream) {
    // Where it can't be set the end is an ordinary one.
    drop(stream.set_zero_linger());
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn setup() -> (Link, TcpStream) {
        let link = Link::to(echo().await.to_string()).await;
        let mut client = TcpStream::connect(link.address).await.expect("it listens");
        assert_eq!(said(&mut client, b"hello").await, b"hello");
        (link, client)
    }

    async fn said(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
        client.write_all(bytes).await.expect("it is open");
        read_back(client, bytes.len()).await
    }

    async fn read_back(client: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut answer = vec![0; count];
        client.read_exact(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn what_is_held_arrives_in_the_end() {
        let (link, mut client) = setup().await;
        link.hold();
        client.write_all(b"later").await.expect("it is open");
        let mut answer = [0; 5];
        assert!(client.try_read(&mut answer).is_err());
        link.pass();
        client.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(&answer, b"later");
    }

    #[tokio::test]
    async fn what_is_swallowed_never_arrives() {
        let (link, mut client) = setup().await;
        link.swallow();
        client.write_all(&vec![0; 10 << 20]).await.expect("it is taken");
        link.pass();
        client.write_all(b"more").await.expect("it is taken");
        // Another one gets its answer, and this one nothing.
        let mut other = TcpStream::connect(link.address).await.expect("it listens");
        assert_eq!(said(&mut other, b"hello").await, b"hello");
        let nothing = client.try_read(&mut [0; 1]).expect_err("nothing comes");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn what_concerns_one_client_leaves_the_others_alone() {
        let (link, mut one) = setup().await;
        let mut other = TcpStream::connect(link.address).await.expect("it listens");
        assert_eq!(said(&mut other, b"I am the other").await, b"I am the other");
        link.only("the other").hold();
        other.write_all(b"later").await.expect("it is open");
        assert_eq!(said(&mut one, b"now").await, b"now");
        // Whoever comes now is known by what it says first.
        let mut third = TcpStream::connect(link.address).await.expect("it listens");
        third.write_all(b"as the other").await.expect("it is open");
        assert_eq!(said(&mut one, b"now").await, b"now");
        for held in [&mut other, &mut third] {
            assert!(held.try_read(&mut [0; 1]).is_err(), "nothing comes");
        }
        link.pass();
        assert_eq!(read_back(&mut other, 5).await, b"later");
        assert_eq!(read_back(&mut third, 12).await, b"as the other");
    }

    #[tokio::test]
    async fn a_reset_is_one_also_after_some_bytes() {
        let (link, mut client) = setup().await;
        link.reset_after(3);
        client.write_all(b"hello").await.expect("it is open");
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer).await.expect_err("a reset");
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        assert!(answer.len() <= 3 && b"hello".starts_with(&answer), "{answer:?}");

        let mut client = TcpStream::connect(link.address).await.expect("it listens");
        assert_eq!(said(&mut client, b"hello").await, b"hello");
        link.reset();
        let end = client.read_to_end(&mut answer).await.expect_err("a reset");
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_it_refuses() {
        let (link, mut client) = setup().await;
        link.refuse();
        assert_eq!(said(&mut client, b"still").await, b"still");
        let mut other = TcpStream::connect(link.address).await.expect("it listens");
        assert!(other.read_to_end(&mut Vec::new()).await.is_err());
        link.pass();
        let mut other = TcpStream::connect(link.address).await.expect("it listens");
        assert_eq!(said(&mut other, b"hello").await, b"hello");
    }
}
