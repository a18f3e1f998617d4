//! Weights: how long something is as JSON, without writing it down.

use std::io;

use serde::Serialize;

/// The length of its JSON, in bytes.
pub(crate) fn weight<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut scale = Scale(0);
    match serde_json::to_writer(&mut scale, value) {
        Ok(()) => scale.0,
        // Nothing of a board can fail to be written, least of all into nothing.
        Err(_) => usize::MAX,
    }
}

/// Counts what is written to it.
struct Scale(usize);

impl io::Write for Scale {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
