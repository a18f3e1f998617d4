//! The subjects of a hub: where its records, its live messages and its volatile ones are.
//!
//! What stands behind `{prefix}.log.` of a record stands behind `{prefix}.live.` of the message by which it is heard. One that begins with `$`
//! is no channel's.

use dualcast_core::ChannelName;

/// The subjects under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    log: String,
    live: String,
    volatile: String,
}

/// Whose a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A channel's.
    Channel(ChannelName),
    /// All nodes'.
    Control,
}

impl Subjects {
    pub(crate) fn new(prefix: &str) -> Self {
        let with = |segment| format!("{prefix}.{segment}.");
        Self {
            log: with("log"),
            live: with("live"),
            volatile: with("volatile"),
        }
    }

    /// Of a record of a channel.
    pub(crate) fn log(&self, channel: &ChannelName) -> String {
        format!("{}{channel}", self.log)
    }

    /// Of a record for all nodes.
    pub(crate) fn control(&self) -> String {
        format!("{}{CONTROL}", self.log)
    }

    /// Of a message that is not logged.
    pub(crate) fn volatile(&self, channel: &ChannelName) -> String {
        format!("{}{channel}", self.volatile)
    }

    /// Of a question to which there is no answer but that nobody is there.
    pub(crate) fn nobody(&self) -> String {
        format!("{}{NOBODY}", self.volatile)
    }

    /// Of every record.
    pub(crate) fn every_record(&self) -> String {
        format!("{}>", self.log)
    }

    /// Of every record as it is heard.
    pub(crate) fn every_live(&self) -> String {
        format!("{}>", self.live)
    }

    /// Whose a record is, by its subject. `None` where it is nobody's.
    pub(crate) fn place(&self, subject: &str) -> Option<Place> {
        let rest = subject.strip_prefix(&self.log)?;
        if rest == CONTROL {
            return Some(Place::Control);
        }
        ChannelName::parse(rest).ok().map(Place::Channel)
    }

    /// The subject of the record that was heard on this one.
    pub(crate) fn record_of_live(&self, subject: &str) -> Option<String> {
        let rest = subject.strip_prefix(&self.live)?;
        Some(format!("{}{rest}", self.log))
    }

    /// Whose a message is that is not logged.
    pub(crate) fn volatile_place(&self, subject: &str) -> Option<ChannelName> {
        ChannelName::parse(subject.strip_prefix(&self.volatile)?).ok()
    }
}

/// No channel can have these names.
const NOBODY: &str = "$nobody";
const CONTROL: &str = "$control";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_whose_a_record_is() {
        let subjects = Subjects::new("a.b");
        let room = ChannelName::parse("room.42").unwrap();
        assert_eq!(subjects.log(&room), "a.b.log.room.42");
        assert_eq!(
            subjects.place("a.b.log.room.42"),
            Some(Place::Channel(room.clone()))
        );
        assert_eq!(subjects.place(&subjects.control()), Some(Place::Control));
        assert_eq!(subjects.volatile_place("a.b.volatile.room.42"), Some(room));
        assert_eq!(
            subjects.record_of_live("a.b.live.room.42").as_deref(),
            Some("a.b.log.room.42")
        );
    }

    #[test]
    fn what_is_no_channels_is_nobodys() {
        let subjects = Subjects::new("a");
        // NATS takes all of these for a subject that one may publish on.
        for rest in ["", ".", "a..b", ".a", "a.", "a.*", "a.>", "ä", "$control.x", "$x"] {
            assert_eq!(subjects.place(&format!("a.log.{rest}")), None, "{rest}");
        }
        assert_eq!(subjects.place("a.live.room"), None);
        assert_eq!(subjects.place("b.log.room"), None);
        assert_eq!(subjects.volatile_place("a.volatile.$control"), None);
    }
}
