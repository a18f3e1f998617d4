//! Who is logged in, and who may read what.
//!
//! A login is a random secret in a table: no signature, so nothing to get wrong, and it can be taken back at once, which a signed token
//! can't. One lock for all. Whoever takes something back changes this table first, then tells the hub; whoever opens a session does so
//! [under the lock](Access::open). So a session is either refused, or there to be ended: none slips in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use dualcast::{ChannelName, Error};

use crate::user::{Kind, User};

/// For how long a ticket is good: as long as a page needs to connect with it, on a bad network.
const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// How many logins and tickets a user may have at a time. 50: many devices. One more, and the oldest is forgotten.
const MAX_SECRETS: usize = 50;

/// The table.
#[derive(Debug)]
pub(crate) struct Access {
    lifetime: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    secrets: HashMap<String, Secret>,
    /// How often each user was logged out everywhere: a user that an extractor found before is one no longer.
    logouts: HashMap<Arc<str>, u64>,
    members: HashMap<ChannelName, BTreeSet<Arc<str>>>,
}

/// What a secret opens.
#[derive(Debug)]
struct Secret {
    user: User,
    /// Until when it may be shown. A ticket's session may last longer than the ticket.
    good_until: SystemTime,
}

impl Access {
    /// Nobody in it; a login is good for so long.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            state: Mutex::default(),
        }
    }

    /// Makes a cookie's or a token's secret for a user who has shown a password.
    pub(crate) fn log_in(&self, name: &str, kind: Kind) -> Result<(String, User), Error> {
        self.lock().log_in(name.into(), kind, self.lifetime)
    }

    /// Makes a new token for a user who is logged in yet.
    pub(crate) fn renew(&self, user: &User) -> Result<(String, User), Error> {
        let mut state = self.lock();
        state.check(user)?;
        state.log_in(Arc::clone(&user.name), Kind::Token, self.lifetime)
    }

    /// Makes a ticket: to be shown once, soon. The session that it opens ends when its user's login does.
    pub(crate) fn issue_ticket(&self, user: &User) -> Result<(String, Duration), Error> {
        let mut state = self.lock();
        state.check(user)?;
        let ticket = User {
            kind: Kind::Ticket,
            ..user.clone()
        };
        let secret = state.issue(ticket, SystemTime::now() + TICKET_LIFETIME)?;
        Ok((secret, TICKET_LIFETIME))
    }

    /// Whose secret it is. A ticket is used up by this.
    pub(crate) fn find(&self, kind: Kind, secret: &str) -> Option<User> {
        let mut state = self.lock();
        let found = state.secrets.get(secret)?;
        if found.user.kind != kind || found.good_until <= SystemTime::now() {
            return None;
        }
        let user = found.user.clone();
        if kind == Kind::Ticket {
            state.secrets.remove(secret);
        }
        Some(user)
    }

    /// Opens a session, if its user is still logged in and still in the room. The lock is held meanwhile: `open` must not wait.
    pub(crate) fn open<T>(
        &self,
        user: &User,
        room: Option<&ChannelName>,
        open: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        let state = self.lock();
        state.check(user)?;
        if let Some(room) = room {
            state.check_member(user, room)?;
        }
        Ok(open())
    }

    /// Whether a user may read a room and speak in it.
    pub(crate) fn check_member(&self, user: &User, room: &ChannelName) -> Result<(), Error> {
        self.lock().check_member(user, room)
    }

    /// Which rooms a user is in.
    pub(crate) fn rooms_of(&self, user: &User) -> BTreeSet<ChannelName> {
        let state = self.lock();
        let members = state.members.iter();
        let entered = members.filter(|(_, members)| members.contains(&user.name));
        entered.map(|(room, _)| room.clone()).collect()
    }

    /// Forgets every login of a user. Tell the hub then.
    pub(crate) fn log_out(&self, name: &str) {
        let mut state = self.lock();
        state.secrets.retain(|_, secret| *secret.user.name != *name);
        *state.logouts.entry(name.into()).or_default() += 1;
    }

    /// Makes somebody a member of a room.
    pub(crate) fn let_in(&self, room: &ChannelName, name: &str) {
        let mut state = self.lock();
        state.members.entry(room.clone()).or_default().insert(name.into());
    }

    /// Takes the right to a room back. Tell the hub then.
    pub(crate) fn put_out(&self, room: &ChannelName, name: &str) {
        if let Some(members) = self.lock().members.get_mut(room) {
            members.remove(name);
        }
    }

    /// Nothing in it is half done when somebody panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn log_in(&mut self, name: Arc<str>, kind: Kind, lifetime: Duration) -> Result<(String, User), Error> {
        let user = User {
            logouts: self.logouts.get(&name).copied().unwrap_or_default(),
            name,
            kind,
            expires_at: SystemTime::now() + lifetime,
        };
        let secret = self.issue(user.clone(), user.expires_at)?;
        Ok((secret, user))
    }

    fn issue(&mut self, user: User, good_until: SystemTime) -> Result<String, Error> {
        let now = SystemTime::now();
        self.secrets.retain(|_, secret| secret.good_until > now);
        let own = self
            .secrets
            .iter()
            .filter(|(_, secret)| secret.user.name == user.name);
        let own: Vec<_> = own
            .map(|(key, secret)| (secret.good_until, key.clone()))
            .collect();
        if own.len() >= MAX_SECRETS
            && let Some((_, oldest)) = own.into_iter().min()
        {
            self.secrets.remove(&oldest);
        }
        let secret = random()?;
        self.secrets.insert(secret.clone(), Secret { user, good_until });
        Ok(secret)
    }

    fn check(&self, user: &User) -> Result<(), Error> {
        let logouts = self.logouts.get(&user.name).copied().unwrap_or_default();
        if user.logouts == logouts && user.expires_at > SystemTime::now() {
            return Ok(());
        }
        let message = "you are logged in no longer";
        Err(Error::new(StatusCode::UNAUTHORIZED, "unauthenticated", message))
    }

    fn check_member(&self, user: &User, room: &ChannelName) -> Result<(), Error> {
        let members = self.members.get(room);
        if members.is_some_and(|members| members.contains(&user.name)) {
            return Ok(());
        }
        // Whether there is such a room is the business of its members.
        let message = format!("you are not a member of `{room}`");
        Err(Error::new(StatusCode::FORBIDDEN, "forbidden", message))
    }
}

/// 128 bits of the operating system's, which nobody guesses, in characters that need no escape in a cookie, a header, a subprotocol or
/// a query.
fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::internal())?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::new(Duration::from_secs(60))
    }

    fn room() -> ChannelName {
        ChannelName::parse("room.lobby").unwrap()
    }

    #[test]
    fn a_secret_is_good_for_its_own_kind_alone() {
        let access = access();
        let (secret, _) = access.log_in("alice", Kind::Cookie).unwrap();
        assert_eq!(&*access.find(Kind::Cookie, &secret).unwrap().name, "alice");
        for kind in [Kind::Token, Kind::Ticket] {
            assert!(access.find(kind, &secret).is_none());
        }
        assert!(access.find(Kind::Cookie, "").is_none());
    }

    #[test]
    fn a_ticket_is_good_once() {
        let access = access();
        let (_, user) = access.log_in("alice", Kind::Token).unwrap();
        let (ticket, _) = access.issue_ticket(&user).unwrap();
        assert_eq!(
            access.find(Kind::Ticket, &ticket).unwrap().expires_at,
            user.expires_at
        );
        assert!(access.find(Kind::Ticket, &ticket).is_none());
    }

    #[test]
    fn a_login_ends_with_its_time() {
        let access = Access::new(Duration::ZERO);
        let (secret, user) = access.log_in("alice", Kind::Token).unwrap();
        assert!(access.find(Kind::Token, &secret).is_none());
        access.open(&user, None, || ()).unwrap_err();
        access.issue_ticket(&user).unwrap_err();
    }

    #[test]
    fn who_was_logged_out_after_the_extractor_looked_opens_nothing() {
        let access = access();
        access.let_in(&room(), "alice");
        let (secret, user) = access.log_in("alice", Kind::Token).unwrap();
        access.open(&user, Some(&room()), || ()).unwrap();
        access.log_out("alice");
        let refused = access.open(&user, None, || panic!("it was opened")).unwrap_err();
        assert_eq!(refused.status(), 401);
        assert!(access.find(Kind::Token, &secret).is_none());
        access.issue_ticket(&user).unwrap_err();
        access.renew(&user).unwrap_err();
        let (_, again) = access.log_in("alice", Kind::Token).unwrap();
        access.open(&again, Some(&room()), || ()).unwrap();
    }

    #[test]
    fn who_lost_a_room_after_the_extractor_looked_opens_nothing() {
        let access = access();
        access.let_in(&room(), "alice");
        let (_, user) = access.log_in("alice", Kind::Token).unwrap();
        access.put_out(&room(), "alice");
        let refused = access
            .open(&user, Some(&room()), || panic!("it was opened"))
            .unwrap_err();
        assert_eq!(refused.status(), 403);
        assert!(access.rooms_of(&user).is_empty());
    }

    #[test]
    fn one_login_too_many_forgets_the_oldest_of_the_same_user() {
        let access = access();
        let (others, _) = access.log_in("bob", Kind::Token).unwrap();
        let issue = || access.log_in("alice", Kind::Token).unwrap().0;
        let secrets: Vec<_> = (0..=MAX_SECRETS).map(|_| issue()).collect();
        let is_good = |secret: &String| access.find(Kind::Token, secret).is_some();
        assert!(!is_good(&secrets[0]) && secrets[1..].iter().all(is_good) && is_good(&others));
    }
}
