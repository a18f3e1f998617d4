//! Who we are to the servers, and who they are to us.

use std::fmt;
use std::path::PathBuf;

/// Who we are to the servers. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Nobody in particular, or whoever [`NatsOptions::client`](crate::NatsOptions::client) or a server's URL says.
    #[default]
    Unnamed,
    /// A user and a password.
    UserPassword {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
    /// Credentials, as the text of a `.creds` file.
    Credentials(String),
    /// A `.creds` file. It is read when a connection is first made, and again where one was refused for good.
    CredentialsFile(PathBuf),
}

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Whether servers that don't speak it are refused. Default no: whoever asks for `tls://` gets it anyway.
    pub is_required: bool,
    /// A PEM file with the certificates of those who may sign a server's. Default those that the system trusts.
    pub root_certificates: Option<PathBuf>,
    /// PEM files with our certificate and its key. Default none.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("Unnamed"),
            Self::UserPassword { user, .. } => f
                .debug_struct("UserPassword")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Nkey(_) => f.write_str("Nkey(..)"),
            Self::Credentials(_) => f.write_str("Credentials(..)"),
            Self::CredentialsFile(path) => f.debug_tuple("CredentialsFile").field(path).finish(),
        }
    }
}
