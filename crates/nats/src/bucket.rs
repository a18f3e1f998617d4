//! Buckets: key-value of JetStream, each a stream of its own beside the log.

use serde_json::{Value, json};

use crate::api::{Api, ApiError};

/// What sets one bucket apart from another.
pub(crate) struct Settings<'a> {
    /// Its name. Its keys stand behind `$KV.` and this.
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) replicas: usize,
    /// What it may hold, and for how long, in a stream's own words.
    pub(crate) limits: Value,
}

/// Makes one, as any tool does. Somebody may have made it otherwise: as long as it keeps a key it serves.
///
/// # Errors
///
/// The request's.
pub(crate) async fn make(api: &Api, settings: Settings<'_>) -> Result<(), ApiError> {
    let Settings {
        name,
        description,
        replicas,
        limits,
    } = settings;
    let mut config = json!({
        "name": stream(name),
        "description": description,
        "subjects": [format!("$KV.{name}.>")],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": true,
        "allow_direct": true,
        "deny_delete": true,
    });
    if let (Value::Object(config), Value::Object(limits)) = (&mut config, limits) {
        config.extend(limits);
    }
    let what = format!("STREAM.CREATE.{}", stream(name));
    match api.ask::<Value>(&what, &config).await {
        Err(error) if error.code() == Some(NAME_TAKEN) => Ok(()),
        made => made.map(drop),
    }
}

/// The stream that a bucket is.
pub(crate) fn stream(name: &str) -> String {
    format!("KV_{name}")
}

/// JetStream's number for a stream that is there otherwise.
const NAME_TAKEN: u64 = 10_058;
