//! Frames from a server (RFC 6455 section 5.2): unmasked, and never in fragments.

/// What a frame is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opcode {
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

/// Appends a frame around a payload.
pub(crate) fn write(opcode: Opcode, payload: &[&[u8]], out: &mut Vec<u8>) {
    const FIN: u8 = 0x80;
    let length: usize = payload.iter().map(|part| part.len()).sum();
    out.reserve(length + 10);
    out.push(FIN | opcode as u8);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in payload {
        out.extend_from_slice(part);
    }
}

/// A close frame's payload.
pub(crate) fn write_close(code: u16, text: &str, out: &mut Vec<u8>) {
    write(Opcode::Close, &[&code.to_be_bytes(), text.as_bytes()], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, head) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xff, 0xff]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write(Opcode::Binary, &[&vec![7; length]], &mut out);
            assert_eq!(&out[..head.len()], head, "{length}");
            assert_eq!(out.len(), head.len() + length);
        }
    }
}
