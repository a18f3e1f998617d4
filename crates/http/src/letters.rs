//! A dialect for tests.

use dualcast_core::{Entry, Form, Message, Wire};

use crate::dialect::{Closing, Dialect, Heartbeat, Opening};

/// One letter for whatever is said.
pub(crate) struct Letters;

impl Wire for Letters {
    fn form(&self) -> Form {
        Form::new(0, 0)
    }

    fn write(&self, _: Entry<'_>, out: &mut Vec<u8>) {
        out.push(b'e');
    }
}

impl Dialect for Letters {
    fn write_opening(&self, _: &Opening<'_>, out: &mut Vec<u8>) {
        out.push(b'o');
    }

    fn write_heartbeat(&self, _: &Heartbeat, out: &mut Vec<u8>) {
        out.push(b'h');
    }

    fn write_closing(&self, _: &Closing, out: &mut Vec<u8>) {
        out.push(b'c');
    }

    fn write_message(&self, _: &Message, out: &mut Vec<u8>) {
        out.push(b'm');
    }

    fn naming_channels(&self) -> &'static dyn Dialect {
        &Self
    }
}
