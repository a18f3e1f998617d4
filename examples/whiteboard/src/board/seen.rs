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

    /// Notes a message; past the most the page that was silent for longest is forgotten.
    pub(crate) fn note(&mut self, user: &str, client: &str, n: u64) {
        let known = self.0.iter().rposition(|(page, _)| is_page(page, user, client));
        let page = known.map_or_else(|| format!("{user}/{client}"), |at| self.0.remove(at).0);
        self.0.push((page, n));
        if self.0.len() > MAX_SEEN {
            self.0.remove(0);
        }
    }

    /// What it is as JSON, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.0.iter();
        let entries = entries.map(|(page, n)| page.len() + "\"\":,".len() + n.to_string().len());
        super::newest::listed(entries.sum())
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

/// How many pages are remembered: of one that is forgotten a repeat would be done twice. 500: a page repeats what had no answer when
/// its connection was lost, and some hundred pages write to a board in the time that one is away.
const MAX_SEEN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_and_the_page_that_was_silent_for_longest_is_forgotten() {
        let mut seen = Seen::default();
        for page in 0..MAX_SEEN {
            seen.note("anna", &format!("page{page}"), 3);
        }
        seen.note("anna", "page0", 4);
        seen.note("ben", "page0", 9);
        assert!(seen.has("anna", "page0", 4) && seen.has("anna", "page0", 3));
        assert!(!seen.has("anna", "page0", 5), "that was another's");
        assert!(!seen.has("anna", "page1", 1), "it is forgotten");
        assert!(seen.has("anna", "page2", 3));
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(json.len(), seen.bytes());
        assert!(
            json.starts_with(r#"{"anna/page2":3,"#) && json.ends_with(r#","anna/page0":4,"ben/page0":9}"#)
        );
        assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }
}
