//! Users: whoever has a key. A page makes one at random, and the server keeps nothing of it.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dualcast::{Error, Identity};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::board::asked::{COLORS, within};
use crate::invisible;

/// Somebody who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// What others know the user by. The key can't be had from it.
    pub(crate) id: String,
}

impl User {
    /// Whose key it is.
    fn of_key(key: &str) -> Option<Self> {
        let is_in = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_key = key.len() == KEY_LENGTH && key.bytes().all(is_in);
        is_key.then(|| {
            let hash = Sha256::digest(key);
            let id = URL_SAFE_NO_PAD.encode(&hash[..ID_BYTES]);
            Self { id }
        })
    }

    /// Whose the sessions and the messages are.
    pub(crate) fn identity(&self) -> Identity {
        Identity::new(self.id.as_str())
    }
}

/// A key in the header, or, since a browser can't set one on a WebSocket, among its subprotocols.
impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let bearer = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let key = bearer.or_else(|| dualcast::subprotocol_token(&parts.headers));
        key.and_then(Self::of_key).ok_or_else(|| {
            let message = format!("a user shows a key, {KEY_LENGTH} characters of base64url, as its token");
            Error::new(StatusCode::UNAUTHORIZED, "no-token", message)
        })
    }
}

/// As what the user wants to be known on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Persona {
    pub(crate) name: String,
    pub(crate) color: i64,
}

impl Persona {
    fn new(name: &str, color: i64) -> Result<Self, Error> {
        let bad = |code: &'static str, message: String| Error::new(StatusCode::BAD_REQUEST, code, message);
        let name = name.trim();
        if !(1..=MAX_NAME_LENGTH).contains(&name.chars().count())
            || name.chars().any(invisible::is_control)
            || name.chars().all(invisible::is_blank)
        {
            let message = format!(
                "`name` must be 1 to {MAX_NAME_LENGTH} characters, one of them to be seen, and none that controls how others are shown"
            );
            return Err(bad("bad-name", message));
        }
        within("color", color, COLORS).map_err(|message| bad("bad-color", message))?;
        Ok(Self {
            name: name.to_owned(),
            color,
        })
    }

    /// What the query says, if it says anything.
    pub(crate) fn of_query(parts: &Parts) -> Result<Option<Self>, Error> {
        #[derive(Deserialize)]
        struct Asked {
            name: Option<String>,
            color: Option<i64>,
        }
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        let Query(Asked { name, color }) =
            asked.map_err(|error| Error::new(StatusCode::BAD_REQUEST, "bad-color", error.body_text()))?;
        match (name, color) {
            (None, None) => Ok(None),
            (name, color) => Self::new(&name.unwrap_or_default(), color.unwrap_or_default()).map(Some),
        }
    }
}

/// A persona that the query has to name.
impl<S: Send + Sync> FromRequestParts<S> for Persona {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let message = "the query must have a `name`, and may have a `color`";
        Self::of_query(parts)?.ok_or_else(|| Error::new(StatusCode::BAD_REQUEST, "bad-name", message))
    }
}

/// 32 bytes in base64url, without padding.
const KEY_LENGTH: usize = 43;

/// How much of the key's hash others see, in bytes: so much that nobody finds a key whose hash begins as somebody else's does.
const ID_BYTES: usize = 16;

/// The longest name, in characters.
const MAX_NAME_LENGTH: usize = 40;

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(uri: &str) -> Parts {
        Request::get(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_user_is_known_by_a_part_of_the_keys_hash() {
        // `printf '%s' AAA… | openssl sha256 -binary | head -c 16 | basenc --base64url`
        let user = User::of_key(&"A".repeat(43)).unwrap();
        assert_eq!(user.id, "DwBzhbb51LfusnSGBa_hqQ");
        assert!(User::of_key(&"A".repeat(42)).is_none() && User::of_key(&"A".repeat(44)).is_none());
        assert!(User::of_key(&format!("{}=", "A".repeat(42))).is_none());
    }

    #[tokio::test]
    async fn a_name_and_a_color_stand_in_the_query() {
        let read =
            async |query: &str| Persona::from_request_parts(&mut parts(&format!("/{query}")), &()).await;
        let anna = read("?name=%20Anna%20%C3%84&color=7").await.unwrap();
        assert_eq!(
            anna,
            Persona {
                name: "Anna Ä".into(),
                color: 7
            }
        );
        for (query, code) in [
            ("", "bad-name"),
            ("?name=", "bad-name"),
            ("?name=%20", "bad-name"),
            ("?name=a%0Ab", "bad-name"),
            ("?name=%E2%80%AEgnp.exe", "bad-name"),
            ("?name=%E2%80%8B", "bad-name"),
            ("?name=%E3%85%A4%E2%80%8D", "bad-name"),
            (&format!("?name={}", "a".repeat(41)), "bad-name"),
            ("?name=a&color=8", "bad-color"),
            ("?name=a&color=red", "bad-color"),
            ("?name=a&color=-1", "bad-color"),
        ] {
            assert_eq!(read(query).await.unwrap_err().code(), code, "{query}");
        }
    }
}
