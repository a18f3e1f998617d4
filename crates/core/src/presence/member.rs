//! Members: those who are present.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::config::Limits;
use crate::message::MAX_KEY_BYTES;

/// Somebody who is present: an id, by which the sessions of one user count once, and data for the others to see.
///
/// All of it is told to everybody who is told of the presence: an id is a name for others, and no secret.
#[derive(Debug, Clone)]
pub struct Member {
    id: Arc<str>,
    data: Option<Arc<RawValue>>,
}

impl Member {
    /// A member without data.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            data: None,
        }
    }

    /// Says something of it, as JSON: a name, a colour. Of several sessions of one member, that counts which came last.
    ///
    /// # Errors
    ///
    /// Whatever the value's own `Serialize` says.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Result<Self, serde_json::Error> {
        self.data = Some(in_one_line(serde_json::value::to_raw_value(data)?).into());
        Ok(self)
    }

    /// As a fan-out carried it: data that is JSON already.
    #[must_use]
    pub fn carried(id: Arc<str>, data: Option<Box<RawValue>>) -> Self {
        let data = data.map(|data| in_one_line(data).into());
        Self { id, data }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What is said of it, as JSON text.
    #[must_use]
    pub fn get_data(&self) -> Option<&str> {
        self.data.as_deref().map(RawValue::get)
    }

    /// Holds it to the rules. Who opens a subscription with it does, and a fan-out with what others say.
    ///
    /// # Errors
    ///
    /// [`MemberError`] says which rule was broken.
    pub fn check(&self, limits: &Limits) -> Result<(), MemberError> {
        let (bytes, max) = (self.id.len(), MAX_KEY_BYTES);
        if bytes == 0 {
            return Err(MemberError::IdEmpty);
        }
        if bytes > max {
            return Err(MemberError::IdTooLong { bytes });
        }
        let (bytes, max) = (self.get_data().map_or(0, str::len), limits.max_member_bytes);
        if bytes > max {
            return Err(MemberError::DataTooLarge { bytes, max });
        }
        Ok(())
    }
}

/// JSON has line endings between its tokens only, where a space does as well; on an event stream they would end the field.
fn in_one_line(data: Box<RawValue>) -> Box<RawValue> {
    if !data.get().contains(['\n', '\r']) {
        return data;
    }
    let line = data.get().replace(['\n', '\r'], " ");
    RawValue::from_string(line).unwrap_or(data)
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.get_data() == other.get_data()
    }
}

impl Eq for Member {}

/// `{"id": …, "data": …}`.
impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut member = serializer.serialize_struct("Member", 2)?;
        member.serialize_field("id", &*self.id)?;
        match &self.data {
            Some(data) => member.serialize_field("data", &**data)?,
            None => member.skip_field("data")?,
        }
        member.end()
    }
}

/// Which rule a member broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The id has no characters.
    #[error("a member's id can't be empty")]
    IdEmpty,
    /// The id is longer than [`MAX_KEY_BYTES`].
    #[error("a member's id has at most {MAX_KEY_BYTES} bytes, this one has {bytes}")]
    IdTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The data are more than [`Limits::max_member_bytes`].
    #[error("a member's data have at most {max} bytes, these have {bytes}")]
    DataTooLarge {
        /// Their length, as JSON.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_have_no_line_endings_however_they_were_written() {
        let text = "{\r\n \"name\": \"A\\nda\",\n\"x\":\t1}";
        let raw = || RawValue::from_string(text.into()).unwrap();
        let expected = "{   \"name\": \"A\\nda\", \"x\":\t1}";
        let given = Member::new("a").data(&raw()).unwrap();
        let carried = Member::carried("a".into(), Some(raw()));
        assert_eq!(
            (given.get_data(), carried.get_data()),
            (Some(expected), Some(expected))
        );
    }
}
