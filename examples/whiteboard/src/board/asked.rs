//! What a page asks for, held to the rules that depend on no board.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::admission::Refused;
use super::change::Change;
use super::object::{Kind, Props};

/// An `op` of a page. Each change is read by itself, so that an error can name it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    client: String,
    n: u64,
    changes: Vec<Box<RawValue>>,
}

/// The same, as it may be published.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) client: String,
    pub(crate) n: u64,
    pub(crate) changes: Vec<Change>,
}

impl Asked {
    /// Holds it to the rules.
    ///
    /// # Errors
    ///
    /// [`Refused::Bad`] says which change breaks which rule.
    pub(crate) fn check(self) -> Result<Checked, Refused> {
        let Self { client, n, changes } = self;
        if !is_name(&client, MIN_CLIENT_LENGTH..=MAX_CLIENT_LENGTH) {
            let rule = format!(
                "`client` must be {MIN_CLIENT_LENGTH} to {MAX_CLIENT_LENGTH} characters of a-z and 0-9"
            );
            return Err(Refused::Bad(rule));
        }
        // JavaScript would put such a key before all others, and so forget another page than we do.
        if client.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Bad("`client` must have a letter".into()));
        }
        within("n", i64::try_from(n).unwrap_or(i64::MAX), 1..=MAX_N).map_err(Refused::Bad)?;
        if !(1..=MAX_CHANGES).contains(&changes.len()) {
            let is = changes.len();
            let rule = format!("an op has 1 to {MAX_CHANGES} changes, not {is}");
            return Err(Refused::Bad(rule));
        }
        let changes = changes.iter().enumerate();
        let changes = changes.map(|(index, change)| {
            read(change.get()).map_err(|rule| Refused::Bad(format!("change {}: {rule}", index + 1)))
        });
        Ok(Checked {
            client,
            n,
            changes: changes.collect::<Result<_, _>>()?,
        })
    }
}

fn read(text: &str) -> Result<Change, String> {
    let change: Change = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let checked = match &change {
        Change::Add { id, kind, props } => check_id(id).and_then(|()| check_added(*kind, props)),
        Change::Set { id, props } => check_id(id).and_then(|()| check_set(props)),
        Change::Edit { id } | Change::Done { id } => check_id(id),
        Change::Chat { text } => match text.chars().count() {
            0 => Err("nothing is said".into()),
            length => no_longer_than("text", length, MAX_SAID),
        },
        Change::Forget { .. } => Err("the server alone forgets".into()),
    };
    checked.map_err(|rule| format!("`{}`: {rule}", change.name()))?;
    Ok(change)
}

fn check_id(id: &str) -> Result<(), String> {
    if is_name(id, 1..=MAX_ID_LENGTH) {
        return Ok(());
    }
    Err(format!("an id is 1 to {MAX_ID_LENGTH} characters of a-z and 0-9"))
}

/// All that its kind has, and nothing else.
fn check_added(kind: Kind, props: &Props) -> Result<(), String> {
    let is_stroke = kind == Kind::Stroke;
    let rules = [
        ("x", props.x.is_some(), true),
        ("y", props.y.is_some(), true),
        ("w", props.w.is_some(), !is_stroke),
        ("h", props.h.is_some(), !is_stroke),
        ("color", props.color.is_some(), true),
        ("z", props.z.is_some(), true),
        ("text", props.text.is_some(), kind == Kind::Note),
        ("width", props.width.is_some(), is_stroke),
        ("points", props.points.is_some(), is_stroke),
        ("deleted", props.deleted.is_some(), false),
    ];
    for (name, is_there, is_needed) in rules {
        match (is_there, is_needed) {
            (false, true) => return Err(format!("a {} needs `{name}`", kind.name())),
            (true, false) => return Err(format!("a {} is not added with `{name}`", kind.name())),
            _ => {}
        }
    }
    if let Some(points) = &props.points {
        check_points(points)?;
    }
    check_ranges(props)
}

/// Of which kind the object is shows on the board alone.
fn check_set(props: &Props) -> Result<(), String> {
    let fixed = [
        ("width", props.width.is_some()),
        ("points", props.points.is_some()),
    ];
    if let Some((name, _)) = fixed.into_iter().find(|(_, is_there)| *is_there) {
        return Err(format!("`{name}` can't be changed"));
    }
    check_ranges(props)
}

fn check_ranges(props: &Props) -> Result<(), String> {
    for (name, value, range) in [
        ("x", props.x, PLACES),
        ("y", props.y, PLACES),
        ("w", props.w, SIZES),
        ("h", props.h, SIZES),
        ("color", props.color, COLORS),
        ("z", props.z, LEVELS),
        ("width", props.width, WIDTHS),
    ] {
        value.map_or(Ok(()), |value| within(name, value, range))?;
    }
    let length = props.text.as_ref().map_or(0, |text| text.chars().count());
    no_longer_than("text", length, MAX_TEXT)
}

/// Whether these may be a stroke's, be it one that is yet being drawn.
pub(crate) fn check_points(points: &[i32]) -> Result<(), String> {
    let is = points.len();
    if !(MIN_POINTS..=MAX_POINTS).contains(&is) || is % 2 == 1 {
        let rule = format!("`points` are {MIN_POINTS} to {MAX_POINTS} numbers, x and y in turn, not {is}");
        return Err(rule);
    }
    let mut points = points.iter();
    points.try_for_each(|at| within("points", (*at).into(), PLACES))
}

/// Whether it is one of `a-z0-9` so long.
pub(crate) fn is_name(text: &str, lengths: RangeInclusive<usize>) -> bool {
    let is_in = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    lengths.contains(&text.len()) && text.bytes().all(is_in)
}

/// Whether a number is in a range.
pub(crate) fn within(name: &str, value: i64, range: RangeInclusive<i64>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(format!(
        "`{name}` must be between {least} and {most}, not {value}"
    ))
}

fn no_longer_than(name: &str, length: usize, max: usize) -> Result<(), String> {
    if length > max {
        return Err(format!("`{name}` has at most {max} characters, not {length}"));
    }
    Ok(())
}

/// Lengths of a page's id.
const MIN_CLIENT_LENGTH: usize = 8;
const MAX_CLIENT_LENGTH: usize = 24;

/// The longest id of an object: a page's own, and a counter.
pub(crate) const MAX_ID_LENGTH: usize = 32;

/// The greatest number of an op: up to here JavaScript counts.
const MAX_N: i64 = (1 << 53) - 1;

/// The most changes of an op: what somebody does who moves all that is in sight. Its bytes are bounded by those of a message, 64 KiB.
const MAX_CHANGES: usize = 200;

/// The longest that is said at once, in characters.
const MAX_SAID: usize = 1_000;

/// The longest text of a note, in characters: a page of it.
const MAX_TEXT: usize = 2_000;

/// Where things may be, in units of the board: some fifty screens to each side.
pub(crate) const PLACES: RangeInclusive<i64> = -100_000..=100_000;

/// How wide and high they may be.
pub(crate) const SIZES: RangeInclusive<i64> = 8..=20_000;

pub(crate) const COLORS: RangeInclusive<i64> = 0..=7;

/// Which is above which.
const LEVELS: RangeInclusive<i64> = 0..=1_000_000_000;

/// How wide a stroke may be.
pub(crate) const WIDTHS: RangeInclusive<i64> = 1..=64;

/// How many numbers a stroke may have: a point is two. The most takes less than half of a message.
const MIN_POINTS: usize = 2;
const MAX_POINTS: usize = 4_000;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(changes: &Value) -> Result<Vec<Change>, String> {
        let asked = json!({ "client": "client01", "n": 1, "changes": changes }).to_string();
        let asked: Asked = serde_json::from_str(&asked).unwrap();
        asked
            .check()
            .map(|checked| checked.changes)
            .map_err(|refused| refused.to_string())
    }

    fn note() -> Value {
        json!({ "x": 1, "y": -2, "w": 200, "h": 8, "color": 7, "z": 0, "text": "<b>" })
    }

    fn stroke() -> Value {
        json!({ "x": 1, "y": -2, "color": 0, "z": 5, "width": 64, "points": [0, 0, -5, 100_000] })
    }

    fn with(mut props: Value, name: &str, value: Value) -> Value {
        props[name] = value;
        props
    }

    fn without(mut props: Value, name: &str) -> Value {
        props.as_object_mut().unwrap().remove(name);
        props
    }

    #[test]
    fn what_follows_the_rules_is_taken_as_it_is() {
        let rect = without(note(), "text");
        let changes = json!([
            { "add": "a1", "kind": "note", "props": note() },
            { "add": "a2", "kind": "stroke", "props": stroke() },
            { "add": "a3", "kind": "rect", "props": rect },
            { "add": "a4", "kind": "ellipse", "props": rect },
            { "set": "a1", "props": { "deleted": true, "text": "", "z": 1_000_000_000 } },
            { "edit": "a1" },
            { "done": "a1" },
            { "chat": "ä".repeat(1_000) },
        ]);
        let checked = check(&changes).unwrap();
        assert_eq!(serde_json::to_value(checked).unwrap(), changes);
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_change_and_the_rule() {
        let add = |kind: &str, props: Value| json!({ "add": "a", "kind": kind, "props": props });
        let set = |props: Value| json!({ "set": "a", "props": props });
        for (change, rule) in [
            (json!(7), "invalid type"),
            (json!({}), "a change is `add`"),
            (json!({ "edit": "a", "done": "a" }), "a change is `add`"),
            (json!({ "set": "a" }), "a change is `add`"),
            (json!({ "edit": "a", "props": {} }), "a change is `add`"),
            (json!({ "paint": "a" }), "unknown field `paint`"),
            (json!({ "forget": ["a"] }), "the server alone forgets"),
            (json!({ "edit": "" }), "an id is 1 to 32"),
            (json!({ "edit": "a".repeat(33) }), "an id is 1 to 32"),
            (json!({ "done": "A" }), "an id is 1 to 32"),
            (add("blob", note()), "unknown variant `blob`"),
            (add("note", without(note(), "text")), "a note needs `text`"),
            (
                add("note", with(note(), "width", json!(1))),
                "a note is not added with `width`",
            ),
            (
                add("note", with(note(), "deleted", json!(true))),
                "not added with `deleted`",
            ),
            (add("rect", note()), "a rect is not added with `text`"),
            (
                add("stroke", with(stroke(), "w", json!(9))),
                "a stroke is not added with `w`",
            ),
            (
                add("stroke", with(stroke(), "points", json!([1, 2, 3]))),
                "x and y in turn",
            ),
            (
                add("stroke", with(stroke(), "points", json!([]))),
                "`points` are 2 to 4000",
            ),
            (
                add("stroke", with(stroke(), "points", json!(vec![0; 4_002]))),
                "not 4002",
            ),
            (
                add("stroke", with(stroke(), "points", json!([0, 100_001]))),
                "`points` must be between",
            ),
            (
                add("stroke", with(stroke(), "points", json!([0, 1.5]))),
                "floating point",
            ),
            (
                add("stroke", with(stroke(), "width", json!(65))),
                "`width` must be between 1 and 64, not 65",
            ),
            (
                set(json!({ "x": 100_001 })),
                "`x` must be between -100000 and 100000, not 100001",
            ),
            (set(json!({ "y": 1.5 })), "floating point"),
            (set(json!({ "w": 7 })), "`w` must be between 8 and 20000, not 7"),
            (set(json!({ "h": null })), "null"),
            (
                set(json!({ "color": 8 })),
                "`color` must be between 0 and 7, not 8",
            ),
            (set(json!({ "z": -1 })), "`z` must be between"),
            (set(json!({ "deleted": 1 })), "expected a boolean"),
            (set(json!({ "editing": "me" })), "unknown field `editing`"),
            (set(json!({ "width": 3 })), "`width` can't be changed"),
            (set(json!({ "points": [1, 2] })), "`points` can't be changed"),
            (
                set(json!({ "text": "a".repeat(2_001) })),
                "at most 2000 characters, not 2001",
            ),
            (json!({ "chat": "" }), "nothing is said"),
            (
                json!({ "chat": "a".repeat(1_001) }),
                "at most 1000 characters, not 1001",
            ),
        ] {
            let refused = check(&json!([{ "edit": "fine" }, change])).unwrap_err();
            assert!(
                refused.starts_with("change 2: ") && refused.contains(rule),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_op_names_its_page_and_has_a_number_and_changes() {
        let change = json!({ "edit": "a" });
        for (client, n, changes, rule) in [
            ("short", 1, vec![&change], "`client` must be 8 to 24"),
            ("client_01", 1, vec![&change], "`client` must be 8 to 24"),
            (&"c".repeat(25), 1, vec![&change], "`client` must be 8 to 24"),
            ("12345678", 1, vec![&change], "`client` must have a letter"),
            ("client01", 0, vec![&change], "`n` must be between 1"),
            ("client01", u64::MAX, vec![&change], "`n` must be between 1"),
            ("client01", 1, vec![], "1 to 200 changes, not 0"),
            ("client01", 1, vec![&change; 201], "1 to 200 changes, not 201"),
        ] {
            let asked = json!({ "client": client, "n": n, "changes": changes }).to_string();
            let asked: Asked = serde_json::from_str(&asked).unwrap();
            let refused = asked.check().unwrap_err().to_string();
            assert!(refused.contains(rule), "{refused}");
        }
    }
}
