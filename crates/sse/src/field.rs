//! The fields of the event stream format (HTML standard, section 9.2.6), written.
//!
//! Nothing that is written here can break out of its field: data goes line by line, ids are ours, and event names have no
//! line endings (they are checked when they are published).

use std::io::Write;

use dualcast_core::{Position, RESERVED_EVENT_PREFIX};
use memchr::memchr2;
use serde::Serialize;

use crate::options::MAX_PADDING_BYTES;

pub(crate) fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

/// A number field: `retry`.
pub(crate) fn retry(out: &mut Vec<u8>, millis: u64) {
    // Writing to a Vec can't fail.
    let _ = writeln!(out, "retry: {millis}");
}

pub(crate) fn id(out: &mut Vec<u8>, position: Position) {
    let _ = writeln!(out, "id: {position}");
}

/// A comment. It ends no block: some clients of AI completions take the empty line after it for an event without data, once
/// they have seen a `retry` or an `id`.
pub(crate) fn comment(out: &mut Vec<u8>, text: &str) {
    put(out, &[": ", text, "\n"]);
}

/// A comment of so many bytes, its line's beginning and end among them, up to [`MAX_PADDING_BYTES`].
pub(crate) fn padding(out: &mut Vec<u8>, bytes: usize) {
    if bytes == 0 {
        return;
    }
    out.push(b':');
    out.resize(out.len() + bytes.min(MAX_PADDING_BYTES).saturating_sub(2), b' ');
    out.push(b'\n');
}

/// One of Dualcast's own events, with JSON as its data. Ends the block.
pub(crate) fn notice<T: Serialize>(out: &mut Vec<u8>, name: &str, notice: &T) {
    put(out, &["event: ", RESERVED_EVENT_PREFIX, name, "\n"]);
    json(out, notice);
}

/// JSON of one line. Ends the block.
pub(crate) fn json<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    put(out, &["data: "]);
    // Neither writing to a Vec nor a notice's own JSON can fail.
    let _ = serde_json::to_writer(&mut *out, value);
    put(out, &["\n\n"]);
}

/// Data, a field for each of its lines. Ends the block. A reader joins the lines with LF, whichever of CR, LF and CRLF ended them.
pub(crate) fn data(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let line_end = memchr2(b'\r', b'\n', rest);
        put(out, &["data: "]);
        out.extend_from_slice(&rest[..line_end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(line_end) = line_end else { break };
        let is_crlf = rest[line_end..].starts_with(b"\r\n");
        rest = &rest[line_end + if is_crlf { 2 } else { 1 }..];
    }
    out.push(b'\n');
}
