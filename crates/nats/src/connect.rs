//! Connections to NATS, and what one learns of them.
//!
//! NATS' client reconnects by itself. Two things it doesn't: it says on no subscription that something may be missing, and when its task
//! dies, it stays dead. A server passes on headers that make that task panic (see `headers.rs`), so both happen. Hence a connection here
//! counts [doubts](Link::doubts), and [`client`](Connection::client) makes it anew where it is over.
//!
//! The event of a reconnect comes before the subscriptions are made again: whoever looks for what was missed does so behind a request on the
//! same connection.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Request, ServerError};
use tokio::sync::{broadcast, watch};
use tokio::time;

use crate::access::Access;
use crate::options::{NatsOptions, OptionsError};

/// A connection to NATS.
pub(crate) struct Connection {
    servers: Box<[String]>,
    options: ConnectOptions,
    access: Access,
    client: Mutex<Client>,
    /// One at a time makes it anew.
    reviving: tokio::sync::Mutex<()>,
    reports: Reports,
    /// Whether the client knew better than its reports when it was last looked at.
    is_untold: AtomicBool,
    /// How many connections those clients made that are dead.
    connects_before: AtomicU64,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Publishing, and hearing what is published.
    Live,
    /// Reading the stream, so that nothing live waits for it.
    Reads,
}

/// What is known of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Whether there is one at the moment.
    pub(crate) is_connected: bool,
    /// Whether its client is dead. The next use makes another.
    pub(crate) is_over: bool,
    /// How often something happened after which messages may be missing: it was made, or lost, or a subscription's buffer was full.
    pub(crate) doubts: u64,
    /// How many connections there were.
    pub(crate) connections: u64,
    /// What went wrong last, for people.
    pub(crate) trouble: Option<Arc<str>>,
    /// Which client this is of.
    life: u64,
    /// The last one that is dead.
    ended: u64,
}

/// How the client's task reports to us.
#[derive(Debug, Clone)]
struct Reports {
    link: Arc<watch::Sender<Link>>,
    /// What the server said that we may not: its own words, which name the subject.
    denials: broadcast::Sender<Arc<str>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options break a rule.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The credentials or certificates could not be read.
    #[error("the credentials can't be read: {source}")]
    Credentials {
        /// Why.
        source: io::Error,
    },
    /// A server's URL makes no sense.
    #[error("no address of a NATS server in {servers}: {source}")]
    Address {
        /// The URLs, without their passwords.
        servers: String,
        /// What NATS' client said.
        source: async_nats::ConnectError,
    },
    /// The servers don't let us in.
    #[error("NATS at {servers} doesn't let us in: {source}")]
    NotLetIn {
        /// Where.
        servers: String,
        /// What NATS' client said.
        source: async_nats::ConnectError,
    },
    /// TLS failed, or a certificate could not be read.
    #[error("no TLS with NATS at {servers}: {source}")]
    Tls {
        /// Where.
        servers: String,
        /// What NATS' client said.
        source: async_nats::ConnectError,
    },
    /// Nobody answers there, or not as NATS does.
    #[error("NATS can't be reached at {servers}: {source}")]
    Unreachable {
        /// Where.
        servers: String,
        /// What NATS' client said.
        source: async_nats::ConnectError,
    },
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says where to, and why not.
    pub(crate) async fn open(options: &NatsOptions, purpose: Purpose) -> Result<Self, ConnectError> {
        options.check()?;
        let NatsOptions {
            access, tls, name, ..
        } = options;
        let mut client = options.client.clone().require_tls(tls.is_required);
        client = match purpose {
            // What we publish ourselves and is not stored, whoever follows here has got already.
            Purpose::Live => client
                .name(name)
                .no_echo()
                .subscription_capacity(options.max_live_messages),
            Purpose::Reads => client.name(format!("{name} (reads)")),
        };
        if let Some(path) = &tls.root_certificates {
            client = client.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &tls.client_certificate {
            client = client.add_client_certificate(certificate.clone(), key.clone());
        }
        let reports = Reports {
            link: Arc::new(watch::Sender::new(Link::default())),
            denials: broadcast::Sender::new(KEPT_DENIALS),
        };
        let servers: Box<[String]> = options.servers.clone().into();
        let connected = connect(&servers, client.clone(), access, &reports).await?;
        Ok(Self {
            servers,
            options: client,
            access: access.clone(),
            client: Mutex::new(connected),
            reviving: tokio::sync::Mutex::default(),
            reports,
            is_untold: AtomicBool::new(false),
            connects_before: AtomicU64::new(0),
        })
    }

    /// The client to work with. Where it is dead another one is made, whose subscriptions are yet to be made.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], where none can be made now.
    pub(crate) async fn client(&self) -> Result<Client, ConnectError> {
        if self.reports.link.borrow().is_over {
            // Boxed: what makes a connection takes 8 KiB, for which every publish would allocate room.
            Box::pin(self.revive()).await?;
        }
        Ok(self.client.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn revive(&self) -> Result<(), ConnectError> {
        let _one = self.reviving.lock().await;
        // Another may have done it meanwhile.
        if self.reports.link.borrow().is_over {
            let client = connect(&self.servers, self.options.clone(), &self.access, &self.reports).await?;
            self.connects_before.store(self.connects(), Ordering::Relaxed);
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
            // Not before: as long as it is over nobody takes the dead one for one that will connect.
            self.reports
                .link
                .send_modify(|link| link.is_over = link.ended == link.life);
        }
        Ok(())
    }

    /// Looks whether the client has told all that happened to it: it drops what it has to tell while much else is. To be called now and
    /// then; what is found twice in a row is believed.
    pub(crate) fn look(&self) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_connected = client.connection_state() == State::Connected;
        let is_told = {
            let link = self.reports.link.borrow();
            link.is_over || link.is_connected == is_connected
        };
        let was_untold = self.is_untold.swap(!is_told, Ordering::Relaxed);
        if was_untold && !is_told {
            self.reports.take(&if is_connected {
                Event::Connected
            } else {
                Event::Disconnected
            });
        }
    }

    /// How many connections there were, as the client says at once: of what it tells by events, the next message may come first.
    pub(crate) fn connects(&self) -> u64 {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        self.connects_before.load(Ordering::Relaxed) + connects
    }

    /// Looks whether the server answers at all by this connection, and makes it anew where it doesn't: NATS' client asks for a sign of life only
    /// while nothing comes, and of a connection that is broken in one direction something may come for ever.
    pub(crate) async fn mend(&self, subject: String, deadline: Duration) {
        let Ok(client) = self.client().await else {
            return;
        };
        // That nobody is there is an answer.
        let asked = client.send_request(subject, Request::new().timeout(None));
        if time::timeout(deadline, asked).await.is_err() {
            tracing::warn!("NATS sends and doesn't answer: the connection is made anew");
            // Where that can't be said, the client is dead, and made anew all the same.
            let _ = client.force_reconnect().await;
        }
    }

    /// What is known of the connection, now and from now on.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.reports.link.subscribe()
    }

    /// What the server says from now on that we may not.
    pub(crate) fn denials(&self) -> broadcast::Receiver<Arc<str>> {
        self.reports.denials.subscribe()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("servers", &shown(&self.servers))
            .field("link", &*self.reports.link.borrow())
            .finish_non_exhaustive()
    }
}

impl Reports {
    fn take(&self, event: &Event) {
        match event {
            Event::Connected => self.doubt(|link| {
                link.is_connected = true;
                link.connections += 1;
            }),
            Event::Disconnected => self.doubt(|link| link.is_connected = false),
            Event::SlowConsumer(_) => self.doubt(|_| ()),
            Event::ServerError(ServerError::Other(said)) if said.contains(DENIAL) => {
                // Nobody may be asking for it.
                drop(self.denials.send(said.as_str().into()));
                self.note(event);
            }
            Event::ServerError(_) | Event::ClientError(_) => self.note(event),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    fn doubt(&self, change: impl FnOnce(&mut Link)) {
        self.link.send_modify(|link| {
            change(link);
            link.doubts += 1;
        });
    }

    fn note(&self, event: &Event) {
        let trouble = event.to_string().into();
        self.link.send_modify(|link| link.trouble = Some(trouble));
    }
}

/// Is dropped with the client's task, however that ends.
struct Life {
    number: u64,
    reports: Reports,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.reports.doubt(|link| {
            link.ended = self.number;
            if link.life == self.number {
                link.is_connected = false;
                link.is_over = true;
            }
        });
    }
}

async fn connect(
    servers: &[String],
    options: ConnectOptions,
    access: &Access,
    reports: &Reports,
) -> Result<Client, ConnectError> {
    let options = with_access(options, access)
        .await
        .map_err(|source| ConnectError::Credentials { source })?;
    let number = reports.link.borrow().life + 1;
    let life = Life {
        number,
        reports: reports.clone(),
    };
    reports.link.send_modify(|link| link.life = number);
    let options = options.event_callback(move |event| {
        life.reports.take(&event);
        async {}
    });
    // A first connection that fails takes the callback with it: then the link is over again.
    options.connect(servers).await.map_err(|source| {
        let servers = shown(servers);
        match source.kind() {
            ConnectErrorKind::ServerParse => ConnectError::Address { servers, source },
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                ConnectError::NotLetIn { servers, source }
            }
            ConnectErrorKind::Tls => ConnectError::Tls { servers, source },
            _ => ConnectError::Unreachable { servers, source },
        }
    })
}

async fn with_access(options: ConnectOptions, access: &Access) -> io::Result<ConnectOptions> {
    Ok(match access {
        Access::Unnamed => options,
        Access::UserPassword { user, password } => options.user_and_password(user.clone(), password.clone()),
        Access::Token(token) => options.token(token.clone()),
        Access::Nkey(seed) => options.nkey(seed.clone()),
        Access::Credentials(text) => options.credentials(text)?,
        Access::CredentialsFile(path) => options.credentials_file(path).await?,
    })
}

/// URLs without what stands before an `@`.
fn shown(servers: &[String]) -> String {
    let shown = servers.iter().map(|server| match server.rsplit_once('@') {
        None => server.clone(),
        Some((before, after)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://"));
            scheme.unwrap_or_default() + after
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// How many of them are kept for whoever asks. They come one a refused request.
const KEPT_DENIALS: usize = 64;

/// How the server's word for it begins.
const DENIAL: &str = "Permissions Violation";

#[cfg(test)]
mod tests;
