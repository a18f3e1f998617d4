//! Who there is, and who is in which room at the beginning.
//!
//! A demonstration's: an application keeps hashes that are made for passwords (argon2), or sends people to an identity provider.

use axum::http::StatusCode;
use dualcast::Error;
use serde::Deserialize;

const USERS: [&str; 3] = ["alice", "bob", ADMINISTRATOR];

/// Who may put others out.
pub(crate) const ADMINISTRATOR: &str = "root";

/// Each room with its members.
pub(crate) const ROOMS: [(&str, &[&str]); 2] = [("lobby", &USERS), ("staff", &["alice", ADMINISTRATOR])];

/// What somebody who logs in knows.
#[derive(Deserialize)]
pub(crate) struct Password {
    pub(crate) name: String,
    password: String,
}

impl Password {
    /// Whose it is.
    pub(crate) fn check(&self) -> Result<&'static str, Error> {
        let is_right = self.name == self.password;
        let user = USERS.into_iter().find(|user| is_right && *user == self.name);
        // In the same words, so that nobody learns which names there are.
        let message = "there is no such user with this password";
        user.ok_or_else(|| Error::new(StatusCode::UNAUTHORIZED, "bad-login", message))
    }
}
