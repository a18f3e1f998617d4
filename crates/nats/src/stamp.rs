//! What the server itself says of a record: its place, its time, its subject.
//!
//! A server appends these headers behind those of the publisher, who may have forged the same: hence the last of each counts.

use async_nats::HeaderMap;
use async_nats::header::{NATS_LAST_SEQUENCE, NATS_SEQUENCE, NATS_STREAM, NATS_SUBJECT, NATS_TIME_STAMP};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::garbage::Garbage;
use crate::subjects::Subjects;

/// What the server says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    /// When the server stored it, in nanoseconds since 1970.
    pub(crate) timestamp_ns: i64,
    pub(crate) subject: String,
    /// Of a message that is heard live: the sequence of the record before it on the same subject, 0 for the first. Of one that is read back:
    /// of the record before it in the same answer.
    pub(crate) previous: u64,
}

impl Stamp {
    /// Reads what a server says of a record of this stream. `None` where it says nothing, or speaks of another.
    pub(crate) fn read(headers: &HeaderMap, stream: &str) -> Option<Self> {
        let last = |name| headers.get_last(name).map(|value| value.as_str());
        if last(NATS_STREAM)? != stream {
            return None;
        }
        let sequence = last(NATS_SEQUENCE)?
            .parse()
            .ok()
            .filter(|sequence| *sequence > 0)?;
        Some(Self {
            sequence,
            timestamp_ns: nanoseconds_since_1970(last(NATS_TIME_STAMP)?)?,
            subject: last(NATS_SUBJECT)?.to_owned(),
            previous: last(NATS_LAST_SEQUENCE)
                .and_then(|previous| previous.parse().ok())
                .unwrap_or(0),
        })
    }

    /// Reads that of a message which was heard on a live subject.
    ///
    /// # Errors
    ///
    /// [`Garbage::Stamp`] where the server did not put it there: somebody published on the live subject itself.
    pub(crate) fn of_live(
        subject: &str,
        headers: Option<&HeaderMap>,
        subjects: &Subjects,
        stream: &str,
    ) -> Result<Self, Garbage> {
        let stamp = headers
            .and_then(|headers| Self::read(headers, stream))
            .ok_or(Garbage::Stamp)?;
        if subjects.record_of_live(subject).as_deref() != Some(&*stamp.subject) {
            return Err(Garbage::Stamp);
        }
        Ok(stamp)
    }
}

/// Reads a time as servers write it (RFC 3339).
pub(crate) fn nanoseconds_since_1970(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, *value);
        }
        headers
    }

    const REAL: [(&str, &str); 4] = [
        ("Nats-Stream", "s"),
        ("Nats-Subject", "a.log.room"),
        ("Nats-Sequence", "7"),
        ("Nats-Time-Stamp", "2026-11-26T02:23:34.000000001Z"),
    ];

    #[test]
    fn the_last_of_each_header_counts() {
        let mut all = vec![
            ("Nats-Sequence", "999"),
            ("Nats-Stream", "other"),
            ("Nats-Subject", "a.log.other"),
            ("Nats-Time-Stamp", "yesterday"),
        ];
        all.extend(REAL);
        let stamp = Stamp::read(&stamped(&all), "s").unwrap();
        assert_eq!((stamp.sequence, &*stamp.subject), (7, "a.log.room"));
        assert_eq!(stamp.timestamp_ns, 1_795_659_814_000_000_001);
    }

    #[test]
    fn without_any_of_them_it_is_not_believed() {
        let subjects = Subjects::new("a");
        let of_live =
            |subject: &str, headers: &HeaderMap| Stamp::of_live(subject, Some(headers), &subjects, "s");
        assert!(of_live("a.live.room", &stamped(&REAL)).is_ok());
        for missing in 0..REAL.len() {
            let mut some = REAL.to_vec();
            some.remove(missing);
            assert_eq!(of_live("a.live.room", &stamped(&some)), Err(Garbage::Stamp));
        }
        assert_eq!(of_live("a.live.other", &stamped(&REAL)), Err(Garbage::Stamp));
        assert_eq!(
            Stamp::of_live("a.live.room", Some(&stamped(&REAL)), &subjects, "t"),
            Err(Garbage::Stamp)
        );
        assert_eq!(
            Stamp::of_live("a.live.room", None, &subjects, "s"),
            Err(Garbage::Stamp)
        );
        let zero = [REAL[0], REAL[1], ("Nats-Sequence", "0"), REAL[3]];
        assert_eq!(of_live("a.live.room", &stamped(&zero)), Err(Garbage::Stamp));
    }
}
