//! Positions: the cursor that any client may send.

use dualcast::Position;

/// Reads a position. One position has one text, in JSON too.
///
/// # Panics
///
/// Where that doesn't hold.
pub fn position(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = text.parse::<Position>();
    let json = serde_json::to_string(text).expect("a string is JSON");
    assert_eq!(serde_json::from_str::<Position>(&json).ok(), read.clone().ok());
    let Ok(position) = read else { return };
    assert_eq!(position.to_string(), text);
    assert_eq!(serde_json::to_string(&position).expect("it is JSON"), json);
    assert!(text.len() <= MAX_ID_BYTES && text.bytes().all(is_plain));
}

/// What `docs/protocol.md` says of ids.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

const MAX_ID_BYTES: usize = 32;
