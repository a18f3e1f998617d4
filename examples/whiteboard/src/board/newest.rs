//! Lists that keep their newest entries, and know what they take.

use std::collections::VecDeque;

use serde::{Serialize, Serializer};

use super::weight::weight;

/// The newest so many of what was appended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Newest<T, const MAX: usize> {
    entries: VecDeque<T>,
    /// What they are as JSON, in bytes, with a comma for each.
    bytes: usize,
}

impl<T: Serialize, const MAX: usize> Newest<T, MAX> {
    /// Appends one; past the most the first goes.
    pub(crate) fn push(&mut self, entry: T) {
        self.bytes += weight(&entry) + 1;
        self.entries.push_back(entry);
        if self.entries.len() > MAX {
            self.pop_front();
        }
    }

    /// Lets the first ones go until they take no more than so many bytes.
    pub(crate) fn keep_bytes(&mut self, max: usize) {
        while self.bytes > max {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        match self.entries.pop_front() {
            Some(first) => self.bytes -= weight(&first) + 1,
            None => self.bytes = 0,
        }
    }

    /// Takes the last one back.
    pub(crate) fn pop(&mut self) {
        if let Some(last) = self.entries.pop_back() {
            self.bytes -= weight(&last) + 1;
        }
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.entries.back()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.entries.iter()
    }
}

impl<T, const MAX: usize> Default for Newest<T, MAX> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T: Serialize, const MAX: usize> FromIterator<T> for Newest<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut newest = Self::default();
        entries.into_iter().for_each(|entry| newest.push(entry));
        newest
    }
}

impl<T: Serialize, const MAX: usize> Serialize for Newest<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_newest_and_knows_what_they_take() {
        let mut newest = Newest::<_, 3>::default();
        let is_right = |newest: &Newest<&str, 3>| {
            let json = serde_json::to_string(newest).unwrap();
            assert_eq!(
                newest.bytes,
                (json.len() - 1).max(1) - 1 + usize::from(newest.iter().len() > 0)
            );
        };
        is_right(&newest);
        for entry in ["a", "bb", "\n", "dddd"] {
            newest.push(entry);
            is_right(&newest);
        }
        assert_eq!(newest.iter().collect::<Vec<_>>(), [&"bb", &"\n", &"dddd"]);
        newest.pop();
        assert_eq!(newest.last(), Some(&"\n"));
        is_right(&newest);
    }
}
