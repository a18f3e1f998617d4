//! The comparison of the transports, as far as it takes no time: what it counts is what the protocols say, byte for byte.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

fn compare(file: &str, options: &[&str]) -> Output {
    let mut command = Command::new(BENCH);
    command.args(["compare", "--quick", "--json", file]).args(options);
    command.output().unwrap()
}

/// What was measured, by question.
#[track_caller]
fn measured(name: &str, only: &str) -> BTreeMap<String, Vec<Value>> {
    let file = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    drop(fs::remove_file(&file));
    let output = compare(&file, &["--only", only]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let questions = report["questions"].as_object().unwrap();
    let rows = |answer: &Value| answer["rows"].as_array().unwrap().clone();
    questions
        .iter()
        .map(|(question, answer)| (question.clone(), rows(answer)))
        .collect()
}

fn number(row: &Value, name: &str) -> f64 {
    row[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is a number in {row}"))
}

/// What a message takes on the wire, in bytes: one of some sixteen thousand at the most, with an id of fifteen characters.
fn on_the_wire(transport: &str, tls: bool, payload: usize) -> usize {
    let id = "0k3f9x2abz-1234";
    let text = "x".repeat(payload);
    let block = format!("id: {id}\ndata: {text}\n\n").len();
    let object = format!(r#"{{"id":"{id}","event":"message","data":"{text}"}}"#).len();
    let framed = match transport {
        // RFC 9112 section 7.1.
        "sse" => format!("{block:x}\r\n").len() + block + "\r\n".len(),
        // RFC 9113 section 4.1.
        "sse-http2" => 9 + block,
        // RFC 6455 section 5.2.
        _ => object + if object < 126 { 2 } else { 4 },
    };
    // RFC 8446 section 5.2: a head, the type of what is within, and the tag of AES-GCM.
    framed + if tls { 5 + 1 + 16 } else { 0 }
}

#[test]
fn the_bytes_of_a_message_are_those_of_the_protocols() {
    let questions = measured("bytes.json", "bytes");
    let rows = &questions["bytes"];
    assert_eq!(rows.len(), 6 * 4);
    for row in rows {
        let transport = row["transport"].as_str().unwrap();
        let payload = usize::try_from(row["payload"].as_u64().unwrap()).unwrap();
        let expected = on_the_wire(transport, row["tls"].as_bool().unwrap(), payload);
        assert_eq!(number(row, "received"), expected as f64, "{row}");
        assert_eq!(number(row, "sent"), 0.0, "{row}");
    }
}

#[test]
fn opening_a_stream_and_sending_upstream_cost_what_the_heads_say() {
    let questions = measured("heads.json", "opening,upstream,first-message");
    let of = |question: &str, wanted: &[(&str, Value)]| {
        let mut rows = questions[question].iter();
        let found = rows.find(|row| wanted.iter().all(|(name, value)| row[name] == *value));
        found
            .unwrap_or_else(|| panic!("{question} has {wanted:?}"))
            .clone()
    };
    for tls in [false, true] {
        for transport in ["sse", "sse-http2", "ws"] {
            let wanted = |headers: &str| {
                [
                    ("transport", transport.into()),
                    ("tls", tls.into()),
                    ("headers", headers.into()),
                ]
            };
            let bare = of("opening", &wanted("bare"));
            let browser = of("opening", &wanted("browser"));
            assert!(
                number(&browser, "sent") > number(&bare, "sent") + 200.0,
                "{browser}"
            );
            let handshake = number(&bare, "handshake_received");
            assert_eq!(tls, handshake > number(&bare, "certificate"), "{bare}");
            let first = of("first-message", &wanted("bare")[..2]);
            assert!(number(&first, "p50") <= number(&first, "p95"), "{first}");
        }
    }
    // The port has as many digits as it has.
    let opening = of("opening", &[("transport", "sse".into())]);
    let request = |digits| {
        let port = "9".repeat(digits);
        format!("GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\n\r\n").len()
            as f64
    };
    assert!(
        (4..=5).any(|digits| request(digits) == number(&opening, "sent")),
        "{opening}"
    );
    // A table of headers makes a browser's many small from the second request on.
    let sent = |transport: &str, headers: &str| {
        let wanted = [("transport", transport.into()), ("headers", headers.into())];
        number(&of("upstream", &wanted), "sent")
    };
    assert!(sent("sse", "browser") > sent("sse", "bare") + 400.0);
    assert!(sent("sse-http2", "browser") < sent("sse-http2", "bare") + 100.0);
    assert!(sent("ws", "bare") < sent("sse-http2", "bare"));
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let questions = measured("binary.json", "binary,compression");
    for row in &questions["binary"] {
        let (payload, received) = (number(row, "payload"), number(row, "received"));
        let in_base64 = 4.0 * (payload / 3.0).ceil();
        let least = if row["transport"] == "ws" {
            payload
        } else {
            in_base64
        };
        assert!(received > least && received < least + 200.0, "{row}");
        assert!(
            number(row, "server_cpu") > 0.0 && number(row, "client_cpu") > 0.0,
            "{row}"
        );
    }
    for row in &questions["compression"] {
        assert!(number(row, "compressed") < number(row, "plain"), "{row}");
    }
}

#[test]
fn questions_are_asked_again_in_a_report_of_the_same_kind_alone() {
    let file = format!("{}/again.json", env!("CARGO_TARGET_TMPDIR"));
    drop(fs::remove_file(&file));
    let again = || compare(&file, &["--only", "compression"]);
    let read = || serde_json::from_str::<Value>(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(again().status.success());
    let first = read();
    // What was refused before is still there, and still is no success.
    let mut with_another = first.clone();
    with_another["questions"]["cut"] =
        json!({ "at": "then", "took_seconds": 1.0, "rows": [{ "refused": "x" }] });
    fs::write(&file, with_another.to_string()).unwrap();
    assert!(!again().status.success());
    assert_eq!(read()["questions"]["cut"], with_another["questions"]["cut"]);
    assert!(read()["questions"]["compression"]["rows"][0]["plain"].is_number());
    for (name, value, expected) in [
        ("is_quick", json!(false), "another size"),
        ("machine", json!({ "cores": 1_000 }), "another machine"),
    ] {
        let mut other = first.clone();
        other[name] = value;
        fs::write(&file, other.to_string()).unwrap();
        let output = again();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(expected), "{errors}");
        assert_eq!(read(), other);
    }
}
