//! Channel names: taken as they are, and built from parts.

use dualcast::{ChannelName, IntoChannelName, NameError};

/// Takes the bytes for a name, and for parts with NULs between them. A name keeps its rules; parts can be told from a name.
///
/// # Panics
///
/// Where that doesn't hold.
pub fn channel_name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = ChannelName::parse(&text) {
        assert_eq!(name.as_str(), text);
        hold_to_rules(&name);
    }
    let parts: Vec<_> = text.split('\0').collect();
    if let Some(Ok(name)) = built(&parts) {
        hold_to_rules(&name);
        assert_eq!(ChannelName::parse(name.as_str()), Ok(name.clone()));
        let segments: Vec<_> = name.as_str().split('.').map(unescaped).collect();
        let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
        assert_eq!(segments, parts);
    }
}

fn hold_to_rules(name: &ChannelName) {
    let name = name.as_str();
    assert!((1..=200).contains(&name.len()));
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain);
    assert!(name.split('.').all(is_segment), "{name}");
}

fn built(parts: &[&str]) -> Option<Result<ChannelName, NameError>> {
    Some(match *parts {
        [a] => (a,).into_channel_name(),
        [a, b] => (a, b).into_channel_name(),
        [a, b, c] => (a, b, c).into_channel_name(),
        [a, b, c, d] => (a, b, c, d).into_channel_name(),
        _ => return None,
    })
}

/// What stands in a segment: `_x` and two digits are a byte, all else itself.
fn unescaped(segment: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        if let [b'_', b'x', digits @ ..] = rest {
            let digits = std::str::from_utf8(&digits[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
            rest = &rest[4..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}
