//! The settings of a hub's stream: what we ask for, and what of it a stream that is there may lack.
//!
//! They are compared as JSON, so that a setting that NATS' client doesn't know is not overlooked. What isn't in the table is the operator's
//! business: placement, description, metadata, limits of consumers.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::options::{StreamOptions, nanoseconds};
use crate::subjects::Subjects;

/// A setting of a stream that isn't what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Its name, as servers have it.
    pub setting: &'static str,
    /// What is there, as JSON.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// Why no stream without it can be taken, where that is so.
    pub because: Option<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is {} and should be {}",
            self.setting, self.found, self.expected
        )?;
        match self.because {
            Some(because) => write!(f, " ({because})"),
            None => Ok(()),
        }
    }
}

/// Several differences, for people.
pub(crate) fn listed(differences: &[Difference]) -> String {
    let listed = differences.iter().map(Difference::to_string);
    listed.collect::<Vec<_>>().join("; ")
}

/// What a hub's stream is set to.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    name: String,
    all: Vec<Setting>,
}

#[derive(Debug, Clone)]
struct Setting {
    name: &'static str,
    expected: Value,
    /// What it means if a server doesn't name it, where that is known.
    default: Value,
    because: Option<&'static str>,
}

impl Settings {
    pub(crate) fn new(name: String, subjects: &Subjects, options: &StreamOptions) -> Self {
        let republish = json!({ "src": subjects.every_record(), "dest": subjects.every_live() });
        let needed = |name, expected, default, because| Setting {
            name,
            expected,
            default,
            because: Some(because),
        };
        let wanted = |name, expected, default| Setting {
            name,
            expected,
            default,
            because: None,
        };
        let off = |name, because| needed(name, json!(false), json!(false), because);
        let time = |time| json!(nanoseconds(time).unwrap_or(i64::MAX));
        let all = vec![
            needed(
                "subjects",
                json!([subjects.every_record()]),
                json!([]),
                OTHER_RECORDS,
            ),
            needed(
                "republish",
                republish,
                Value::Null,
                "without it no node hears what is published",
            ),
            needed(
                "storage",
                json!("file"),
                Value::Null,
                "in memory a restart begins with sequence 1 again",
            ),
            needed(
                "retention",
                json!("limits"),
                Value::Null,
                "others remove what nodes have yet to read",
            ),
            needed(
                "allow_direct",
                json!(true),
                json!(false),
                "without it records can't be read back in pages",
            ),
            needed("max_msgs_per_subject", json!(-1), json!(-1), INSIDE),
            needed("mirror", Value::Null, Value::Null, "a mirror takes no messages"),
            needed("sources", Value::Null, Value::Null, OTHER_RECORDS),
            needed(
                "subject_transform",
                Value::Null,
                Value::Null,
                "it changes which channel a record is of",
            ),
            needed(
                "persist_mode",
                json!("default"),
                json!("default"),
                "what is acknowledged may not be stored yet",
            ),
            off("no_ack", "without acknowledgements nobody knows what is stored"),
            off("sealed", "a sealed stream takes no messages"),
            off("allow_rollup_hdrs", INSIDE),
            off("allow_msg_ttl", INSIDE),
            off("allow_msg_schedules", INSIDE),
            off("allow_msg_counter", "it takes nothing but numbers"),
            wanted("discard", json!("old"), Value::Null),
            wanted("deny_delete", json!(true), json!(false)),
            wanted("deny_purge", json!(true), json!(false)),
            wanted("max_age", time(options.max_age), json!(0)),
            wanted("max_bytes", json!(options.max_bytes), json!(-1)),
            wanted("max_msgs", json!(-1), json!(-1)),
            wanted("max_msg_size", json!(-1), json!(-1)),
            wanted("num_replicas", json!(options.replicas), json!(1)),
            wanted("duplicate_window", time(options.duplicate_window), json!(0)),
            wanted("compression", json!("none"), json!("none")),
        ];
        Self { name, all }
    }

    /// The stream's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What to make it with.
    pub(crate) fn config(&self) -> Map<String, Value> {
        self.applied_to(&Map::new())
    }

    /// What a stream that is there becomes: all else stays. What has its default is not named, since an older server refuses names that it
    /// doesn't know.
    pub(crate) fn applied_to(&self, config: &Map<String, Value>) -> Map<String, Value> {
        let mut config = config.clone();
        config.insert("name".into(), json!(self.name));
        for setting in &self.all {
            if setting.expected == setting.default {
                config.remove(setting.name);
            } else {
                config.insert(setting.name.into(), setting.expected.clone());
            }
        }
        config
    }

    /// What of a stream that is there isn't as it should be.
    pub(crate) fn differences(&self, config: &Map<String, Value>) -> Vec<Difference> {
        let differs = |setting: &Setting| {
            let found = setting.found_in(config);
            (found != setting.expected).then(|| Difference {
                setting: setting.name,
                found: found.to_string(),
                expected: setting.expected.to_string(),
                because: setting.because,
            })
        };
        self.all.iter().filter_map(differs).collect()
    }
}

impl Setting {
    fn found_in(&self, config: &Map<String, Value>) -> Value {
        let mut found = config.get(self.name).unwrap_or(&self.default).clone();
        // No limit has two names: -1 is what servers say, 0 what they are told.
        if self.default == -1 && found == 0 {
            found = json!(-1);
        }
        if let (Some(republish), "republish") = (found.as_object_mut(), self.name) {
            republish.retain(|name, value| !(name == "headers_only" && value == false));
        }
        found
    }
}

const INSIDE: &str = "it removes records from the middle, which nothing shows afterwards";
const OTHER_RECORDS: &str = "each record of another subject would be a hole for every node";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("s".into(), &Subjects::new("a"), &StreamOptions::default())
    }

    #[test]
    fn what_is_asked_for_has_no_difference() {
        assert_eq!(settings().differences(&settings().config()), []);
    }

    #[test]
    fn a_difference_names_the_setting_and_both_values() {
        let mut config = settings().config();
        config.insert("max_age".into(), json!(1));
        config.remove("republish");
        config.insert("max_msgs_per_subject".into(), json!(0));
        let differences = settings().differences(&config);
        assert_eq!(
            listed(&differences),
            "`republish` is null and should be {\"dest\":\"a.live.>\",\"src\":\"a.log.>\"} \
             (without it no node hears what is published); `max_age` is 1 and should be 3600000000000"
        );
    }

    #[test]
    fn what_is_not_ours_stays() {
        let mut config = settings().config();
        config.insert("description".into(), json!("of the shop"));
        config.insert("max_age".into(), json!(1));
        config.insert("allow_msg_ttl".into(), json!(true));
        let applied = settings().applied_to(&config);
        assert_eq!(applied["description"], "of the shop");
        assert_eq!(settings().differences(&applied), []);
    }
}
