//! Which of each page's messages was the last.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last number of each page, the one heard last at the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen(Vec<(String, u64)>);

impl Seen {
    /// Whether a message was told before.
    pub(crate) fn has(&self, client: &str, n: u64) -> bool {
        // From the end: who wrote last goes on writing.
        let mut latest = self.0.iter().rev();
        latest.any(|(known, last)| known == client && *last >= n)
    }

    /// Notes a message; past the most the page that was silent for longest is forgotten.
    pub(crate) fn note(&mut self, client: &str, n: u64) {
        let known = self.0.iter().rposition(|(known, _)| known == client);
        let client = known.map_or_else(|| client.to_owned(), |at| self.0.remove(at).0);
        self.0.push((client, n));
        if self.0.len() > MAX_SEEN {
            self.0.remove(0);
        }
    }

    /// What it is as JSON, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.0.iter();
        let entries = entries.map(|(client, n)| client.len() + "\"\":,".len() + n.to_string().len());
        super::newest::listed(entries.sum())
    }
}

/// As an object, in its order.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(client, n)| (client, n)))
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
            seen.note(&format!("page{page}"), 3);
        }
        seen.note("page0", 4);
        seen.note("another", 1);
        assert!(seen.has("page0", 4) && seen.has("page0", 3) && !seen.has("page0", 5));
        assert!(!seen.has("page1", 1), "it is forgotten");
        assert!(seen.has("page2", 3));
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(json.len(), seen.bytes());
        assert!(json.starts_with(r#"{"page2":3,"#) && json.ends_with(r#","page0":4,"another":1}"#));
        assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }
}
