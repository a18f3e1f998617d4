//! What a stream knows a repeat by.
//!
//! The server's `Nats-Msg-Id` has one name space for a whole stream, while an idempotency key is one for each channel and each sender. So the id is
//! made of all three: SHA-256 over the channel, the sender and the key, each as its length in four bytes (big-endian) and its bytes in
//! UTF-8, where a message without a sender has the length `0xFFFF_FFFF` and no bytes; of that the first 16 bytes, in
//! lower-case hexadecimal digits. All nodes make the same of the same, and so may others; it never changes.

use std::fmt::Write;

use dualcast_core::{ChannelName, Identity};
use sha2::{Digest, Sha256};

/// The `Nats-Msg-Id` of a message.
pub(crate) fn message_id(channel: &ChannelName, sender: Option<&Identity>, key: &str) -> String {
    let mut hash = Sha256::new();
    update(&mut hash, Some(channel.as_str()));
    update(&mut hash, sender.map(Identity::as_str));
    update(&mut hash, Some(key));
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in &hash.finalize()[..ID_BYTES] {
        // Writing to a string can't fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn update(hash: &mut Sha256, part: Option<&str>) {
    // Names and keys have a few hundred bytes at most; none is near the mark of those that aren't there.
    let length = part.map_or(u32::MAX, |part| part.len() as u32);
    hash.update(length.to_be_bytes());
    hash.update(part.unwrap_or_default());
}

/// 128 bits: of 2^40 keys two are the same with a chance of one in 2^49, and nobody can make two.
const ID_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(channel: &str, sender: Option<&str>, key: &str) -> String {
        let channel = ChannelName::parse(channel).unwrap();
        message_id(&channel, sender.map(Identity::new).as_ref(), key)
    }

    /// Computed by `sha256sum`; nodes of another version, and publishers of others, depend on it.
    #[test]
    fn it_never_changes() {
        assert_eq!(
            id("room.42", Some("anna"), "order-77"),
            "859cf38879192d254c48833652002cee"
        );
        assert_eq!(
            id("room.42", None, "order-77"),
            "4f4ddc5bf498e1327cf2bbcd54e8d267"
        );
    }

    #[test]
    fn it_is_scoped_to_channel_and_sender() {
        let ids = [
            id("a", None, "1"),
            id("b", None, "1"),
            id("a", Some(""), "1"),
            id("a", Some("1"), ""),
            id("a", Some("x"), "1"),
            id("a", Some("x1"), ""),
            id("a", None, "2"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{id}");
        }
        assert_eq!(ids[0], id("a", None, "1"));
    }
}
