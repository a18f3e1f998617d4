//! People: how those who were here last want to be known. A POST doesn't say it; the stream beside it did.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use dualcast::Channel;
use serde::Deserialize;

/// The last name of each user, of the newest so many.
#[derive(Debug, Default)]
pub(crate) struct People(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    names: HashMap<String, String>,
    /// In the order in which they were first noted.
    order: VecDeque<String>,
}

impl People {
    pub(crate) fn note(&self, user: &str, name: String) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.names.insert(user.to_owned(), name).is_none() {
            table.order.push_back(user.to_owned());
            if table.order.len() > MAX_PEOPLE
                && let Some(first) = table.order.pop_front()
            {
                table.names.remove(&first);
            }
        }
    }

    /// What a user is called.
    pub(crate) fn name_of(&self, user: &str) -> Option<String> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.names.get(user).cloned()
    }
}

/// What somebody is called who is present on a board, on whichever node. In a crowd not all are known.
pub(crate) fn present_name(channel: &Channel, user: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let here = channel.presence().now();
    let member = here.members().iter().find(|member| **member.id() == *user)?;
    let named: Named = serde_json::from_str(member.get_data()?).ok()?;
    Some(named.name)
}

/// How many are remembered, some 300 bytes each.
const MAX_PEOPLE: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_by_their_last_name() {
        let people = People::default();
        for number in 0..MAX_PEOPLE {
            people.note(&number.to_string(), "Anna".into());
        }
        people.note("5", "Ben".into());
        assert_eq!(people.name_of("5").unwrap(), "Ben");
        people.note("more", "Cleo".into());
        assert_eq!(people.name_of("0"), None);
        assert_eq!(people.name_of("more").unwrap(), "Cleo");
        let table = people.0.lock().unwrap();
        assert_eq!((table.order.len(), table.names.len()), (MAX_PEOPLE, MAX_PEOPLE));
    }
}
