//! The first bytes of a connection, which tell how it will go on.
//!
//! A client that knows beforehand that the server speaks HTTP/2 begins with a preface that is no request of HTTP/1.1. As little as
//! that takes is read before hyper is there, and given to it when it reads.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// What was read of a connection before hyper was there.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    bytes: [u8; PREFACE.len()],
    given: usize,
    filled: usize,
}

/// The connection preface (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Prefix {
    /// Reads until it is clear what the client speaks: at the first byte that differs, or at the end of the preface.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut prefix = Self::default();
        while prefix.may_be_preface() && !prefix.is_preface() {
            let read = stream.read(&mut prefix.bytes[prefix.filled..]).await?;
            if read == 0 {
                break;
            }
            prefix.filled += read;
        }
        Ok(prefix)
    }

    /// Whether the client speaks HTTP/2.
    pub(crate) fn is_preface(&self) -> bool {
        self.bytes[..self.filled] == *PREFACE
    }

    fn may_be_preface(&self) -> bool {
        PREFACE.starts_with(&self.bytes[..self.filled])
    }

    /// Gives what is left of it.
    pub(crate) fn give_to(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.bytes[self.given..self.filled];
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        self.given += count;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn it_is_known_at_the_first_byte_that_differs() {
        for (sent, is_preface) in [
            (&b"GET / HTTP/1.1\r\n"[..], false),
            (b"PRI / HTTP/1.1\r\nhost: a\r\n\r\n", false),
            (b"POST", false),
            (PREFACE, true),
        ] {
            let (mut near, mut far) = duplex(64);
            far.write_all(sent).await.unwrap();
            let mut prefix = Prefix::read(&mut near).await.unwrap();
            assert_eq!(prefix.is_preface(), is_preface);
            // Given in any portions, it is what was sent.
            let mut given = Vec::new();
            for _ in 0..24 {
                let mut buffer = [0];
                let mut buffer = ReadBuf::new(&mut buffer);
                prefix.give_to(&mut buffer);
                given.extend_from_slice(buffer.filled());
            }
            assert_eq!(given, sent[..sent.len().min(24)]);
        }
    }

    #[tokio::test]
    async fn a_preface_that_may_still_come_is_waited_for() {
        let (mut near, mut far) = duplex(64);
        far.write_all(&PREFACE[..23]).await.unwrap();
        let mut reading = pin!(Prefix::read(&mut near));
        assert!(futures::poll!(&mut reading).is_pending());
        drop(far);
        assert!(!reading.await.unwrap().is_preface());
    }
}
