//! Which of each page's messages was the last. A page is its user's: what others say under its name is theirs.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last number of each page, as `user/client`, the one heard last at the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen(Vec<(String, u64)>);

impl Seen {
    /// Whether a message was told before.
    pub(crate) fn has(&self, user: &str, client: &str, n: u64) -> bool {
        // From the end: who wrote last goes on writing.
        let mut latest = self.0.iter().rev();
        latest.any(|(page, last)| is_page(page, user, client) && *last >= n)
    }

    /// Notes a message; past the most the page that was silent for longest is forgotten: of the user, and of all.
    pub(crate) fn note(&mut self, user: &str, client: &str, n: u64) {
        let known = self.0.iter().rposition(|(page, _)| is_page(page, user, client));
        let page = known.map_or_else(|| format!("{user}/{client}"), |at| self.0.remove(at).0);
        self.0.push((page, n));
        let of_user = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, (page, _))| is_of(page, user));
        let mut of_user = of_user.map(|(at, _)| at);
        if let Some(first) = of_user.next()
            && of_user.count() >= MAX_SEEN_OF_USER
        {
            self.0.remove(first);
        }
        if self.0.len() > MAX_SEEN {
            self.0.remove(0);
        }
    }
}

/// As an object, in its order.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(page, n)| (page, n)))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Seen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number for each page")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
                let mut seen = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    seen.push(entry);
                }
                Ok(Seen(seen))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

fn is_page(page: &str, user: &str, client: &str) -> bool {
    page.split_once('/') == Some((user, client))
}

fn is_of(page: &str, user: &str) -> bool {
    page.split_once('/').is_some_and(|(of, _)| of == user)
}

/// How many pages of one user are remembered, so that who makes up pages has none forgotten but the own.
const MAX_SEEN_OF_USER: usize = 20;

/// How many pages are remembered: of one that is forgotten a repeat would be done twice. 500: a page repeats what had no answer when
/// its connection was lost, and some hundred pages write to a board in the time that one is away.
const MAX_SEEN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_and_the_page_that_was_silent_for_longest_is_forgotten() {
        let mut seen = Seen::default();
        for user in 0..MAX_SEEN {
            seen.note(&format!("user{user}"), "page", 3);
        }
        seen.note("user0", "page", 4);
        seen.note("ben", "page", 9);
        assert!(seen.has("user0", "page", 4) && seen.has("user0", "page", 3));
        assert!(!seen.has("user0", "page", 5), "that was another's");
        assert!(!seen.has("user1", "page", 1), "it is forgotten");
        assert!(seen.has("user2", "page", 3));
        let json = serde_json::to_string(&seen).unwrap();
        assert!(
            json.starts_with(r#"{"user2/page":3,"#) && json.ends_with(r#","user0/page":4,"ben/page":9}"#)
        );
        assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }

    #[test]
    fn who_makes_up_pages_has_none_forgotten_but_the_own() {
        let mut seen = Seen::default();
        seen.note("anna", "page", 1);
        for page in 0..2 * MAX_SEEN {
            seen.note("eve", &format!("page{page}"), 1);
        }
        assert!(seen.has("anna", "page", 1));
        let first_known = 2 * MAX_SEEN - MAX_SEEN_OF_USER;
        assert!(seen.has("eve", &format!("page{first_known}"), 1));
        assert!(!seen.has("eve", &format!("page{}", first_known - 1), 1));
    }
}
