//! Inbound messages, as a WebSocket or the companion POST brings them.

use std::collections::HashMap;

use dualcast::{Inbound, Payload, Reply};
use serde_json::value::RawValue;

type Fields = HashMap<String, Box<RawValue>>;

/// Reads a text message and a binary one. What is read is what stands there; a reply bears the `ref` as it came.
///
/// # Panics
///
/// Where that doesn't hold.
pub fn inbound(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        match Inbound::parse(text) {
            Ok((message, reference)) => {
                let fields = hold_to_head(text, &message, reference.as_deref());
                hold_to_data(&message, fields.get("data").map(|data| data.get()));
            }
            Err(error) => assert_eq!(error.code(), "bad-message"),
        }
    }
    match Inbound::parse_binary(&bytes::Bytes::copy_from_slice(bytes)) {
        Ok((message, reference)) => {
            let line_end = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .expect("it has a line");
            let line = std::str::from_utf8(&bytes[..line_end]).expect("which is text");
            hold_to_head(line, &message, reference.as_deref());
            assert_eq!(
                message.payload,
                Payload::Binary(bytes[line_end + 1..].to_vec().into())
            );
        }
        Err(error) => assert_eq!(error.code(), "bad-message"),
    }
}

fn hold_to_head(text: &str, message: &Inbound, reference: Option<&RawValue>) -> Fields {
    let fields: Fields = serde_json::from_str(text).expect("what is read is an object");
    let string = |name: &str| -> Option<String> {
        let value = fields.get(name).filter(|value| value.get() != "null")?;
        Some(serde_json::from_str(value.get()).expect("a string"))
    };
    assert_eq!(Some(&message.event), string("event").as_ref());
    assert_eq!(message.key, string("key"));
    let written = fields.get("ref").map(|value| value.get());
    assert_eq!(
        reference.map(RawValue::get),
        written.filter(|written| *written != "null")
    );

    let reply = Reply::from(message.text().map(|_| ())).to_json(reference);
    let reply: Fields = serde_json::from_str(&reply).expect("a reply is an object");
    assert_eq!(
        reply.get("ref").map(|value| value.get()),
        reference.map(RawValue::get)
    );
    fields
}

fn hold_to_data(message: &Inbound, written: Option<&str>) {
    match (&message.payload, written) {
        (Payload::Text(text), Some(written)) => {
            assert_eq!(
                serde_json::from_str::<String>(written).ok().as_deref(),
                Some(&**text)
            );
        }
        (Payload::Json(json), Some(written)) => assert_eq!(&**json, written),
        (Payload::Json(json), None) => assert_eq!(&**json, "null"),
        other => panic!("not what stands there: {other:?}"),
    }
    // Whatever it is, it may be asked for as anything.
    let _ = (
        message.json::<u64>(),
        message.json::<serde_json::Value>(),
        message.json::<Vec<String>>(),
    );
}
