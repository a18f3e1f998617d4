//! The ledger: what was published, against which is held what a client was told.

use dualcast::Position;

use crate::told::Told;

/// Every record that was published, in the hub's order.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    records: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    channel: String,
    position: Position,
    text: String,
}

impl Ledger {
    /// Notes a record. They may come in any order, as long as all are noted before anything is held against them.
    pub fn note(&mut self, channel: &str, position: Position, text: &str) {
        let entry = Entry {
            channel: channel.into(),
            position,
            text: text.into(),
        };
        let at = self.records.partition_point(|other| other.position < position);
        self.records.insert(at, entry);
    }

    /// Every position, in order.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.records.iter().map(|record| record.position).collect()
    }

    /// The texts of these channels' records after a position.
    #[must_use]
    pub fn texts_after(&self, start: Position, channels: &[&str]) -> Vec<&str> {
        let after = self.records.iter().filter(|record| record.position > start);
        after
            .filter(|record| channels.contains(&&*record.channel))
            .map(|record| record.text.as_str())
            .collect()
    }

    /// Holds what a client was told after a position to the promise: of each of its channels every record came, in order and
    /// once, or lies in a gap that was told. Answers the number of gaps.
    ///
    /// # Panics
    ///
    /// If a record is missing and no gap says so, or one came twice or out of order.
    pub fn check(&self, start: Position, channels: &[&str], told: &[Told]) -> usize {
        let mut gaps = 0;
        for channel in channels {
            let mut covered = start;
            for told in told {
                match told {
                    Told::Message {
                        id: Some(id),
                        channel: of,
                        ..
                    } if of.as_deref().unwrap_or(channel) == *channel => {
                        let expected = self
                            .next(channel, covered)
                            .expect("nothing comes that was not published");
                        let told_at: Position = id.parse().unwrap();
                        assert_eq!(
                            (told_at.to_string(), told.text()),
                            (expected.position.to_string(), &*expected.text),
                            "what comes on {channel} after {covered}"
                        );
                        covered = told_at;
                    }
                    Told::Gap {
                        channel: of,
                        from,
                        to: Some(to),
                        ..
                    } if of == channel => {
                        gaps += 1;
                        let from = from.as_ref().map_or(covered, |from| from.parse().unwrap());
                        let unsaid = self.next(channel, covered).filter(|next| next.position <= from);
                        assert!(unsaid.is_none(), "a gap after {from} hides {unsaid:?}");
                        let to: Position = to.parse().unwrap();
                        assert!(to >= covered, "a gap to {to} claims what came: {covered}");
                        covered = to;
                    }
                    _ => {}
                }
            }
            let missing = self.next(channel, covered);
            assert!(missing.is_none(), "{missing:?} is missing");
        }
        gaps
    }

    fn next(&self, channel: &str, after: Position) -> Option<&Entry> {
        let from = self.records.partition_point(|record| record.position <= after);
        self.records[from..]
            .iter()
            .find(|record| record.channel == channel)
    }
}
