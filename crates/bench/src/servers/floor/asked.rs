//! What a request asks of the floor.

use anyhow::{Result, ensure};

use crate::servers::EPOCH;

/// What a request asks for.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: String,
    pub(super) last_id: Option<u64>,
    pub(super) websocket_key: Option<String>,
}

impl Asked {
    /// Reads a request, and how long it is. None if it isn't whole yet.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(usize, Self)>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(bytes)? else {
            ensure!(bytes.len() < 64 << 10, "a head of more than 64 KiB");
            return Ok(None);
        };
        let header = |name: &str| {
            let found = request
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        let body = header("content-length").map_or(Ok(0), |length| length.parse::<usize>())?;
        let Some(text) = bytes.get(head..head + body) else {
            return Ok(None);
        };
        let (path, query) = request
            .path
            .and_then(|path| path.split_once('?'))
            .unwrap_or((request.path.unwrap_or("/"), ""));
        let last_id =
            header("last-event-id").or_else(|| query.strip_prefix("last-event-id=").map(str::to_owned));
        let asked = Self {
            path: path.into(),
            body: String::from_utf8(text.to_vec())?,
            last_id: last_id.and_then(|id| id.strip_prefix(EPOCH)?.parse().ok()),
            websocket_key: header("sec-websocket-key"),
        };
        Ok(Some((head + body, asked)))
    }
}
