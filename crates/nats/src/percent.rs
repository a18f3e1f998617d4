//! How a text stands in a header: as it is, but for what a header can't hold.
//!
//! Controls and `%` are percent-encoded (RFC 3986, section 2.1), and so is white space at either end, which readers take away. Everything else,
//! spaces in the middle and letters of any script, is left as a person would write it.

use std::borrow::Cow;

/// Writes a text as a header's value.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    let (first, last) = (0, text.char_indices().next_back().map_or(0, |(at, _)| at));
    let is_kept = |at: usize, c: char| {
        let is_at_an_end = at == first || at == last;
        !c.is_control() && c != '%' && !(is_at_an_end && c.is_whitespace())
    };
    if text.char_indices().all(|(at, c)| is_kept(at, c)) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        if is_kept(at, c) {
            written.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                written.push('%');
                written.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
            }
        }
    }
    Cow::Owned(written)
}

/// Reads one. `None` where a `%` begins nothing, or the bytes are no text.
pub(crate) fn decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_person_would_write_stays() {
        for text in ["note", "a b", "ünï:çø/dé x", "", "a, b; c=\"d\""] {
            assert_eq!(encode(text), text);
            assert_eq!(decode(text).unwrap(), text);
        }
        assert_eq!(encode(" 100%\r\n"), "%20100%25%0D%0A");
        assert_eq!(decode("%e2%82%ac %41").unwrap(), "€ A");
    }

    #[test]
    fn a_percent_sign_that_begins_nothing_is_refused() {
        for value in ["%", "%4", "100% sure", "%zz", "%+1", "%ff"] {
            assert_eq!(decode(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "(\\PC|[ %\u{a0}\u{2003}\r\n\t\0\u{85}]){0,20}") {
            let value = encode(&text);
            // What readers do with a header's value.
            prop_assert_eq!(value.trim(), &*value);
            prop_assert!(!value.contains(char::is_control));
            prop_assert_eq!(&*decode(&value).unwrap(), &*text);
        }

        #[test]
        fn reading_never_panics(value in "\\PC*|[%0-9a-fg]{0,12}") {
            let _ = decode(&value);
        }
    }
}
