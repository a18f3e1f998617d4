//! What pages say: one handler for WebSocket messages and for POSTs.

use axum::http::StatusCode;
use dualcast::{Channel, Error, Inbound, InboundHandler, Message, Reply};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::board::asked::{
    Asked, COLORS, MAX_ID_LENGTH, PLACES, SIZES, WIDTHS, check_points, is_name, within,
};
use crate::name::BoardName;
use crate::user::User;

/// Who says it, and where.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) user: User,
    /// As the user is called.
    pub(crate) name: String,
    pub(crate) board: BoardName,
    pub(crate) channel: Channel,
}

/// Takes all that a page says to a board.
pub(crate) fn handler(app: &App, speaker: Speaker) -> impl InboundHandler + use<> {
    let app = app.clone();
    move |message: Inbound| {
        let (app, speaker) = (app.clone(), speaker.clone());
        async move {
            let said = speaker.say(&app, &message).await;
            said.unwrap_or_else(Reply::from)
        }
    }
}

impl Speaker {
    async fn say(&self, app: &App, message: &Inbound) -> Result<Reply, Error> {
        match message.event.as_str() {
            "op" => {
                app.ops.check(&self.user.id)?;
                let asked = message.json::<Asked>()?.check()?;
                let board = app.boards.open(&self.board).await?;
                let name = self.name.clone();
                let published = board.publish(app.boards.store(), &self.user, name, asked).await;
                Ok(Reply::from(published))
            }
            "cursor" => {
                self.check_gesture(app, message)?;
                let to = message.json::<Option<Point>>()?;
                let to = to.map(Point::check).transpose()?;
                app.cursors
                    .point(&self.board, self.channel.clone(), &self.user.id, to)?;
                Ok(Reply::empty())
            }
            "draw" => {
                self.check_gesture(app, message)?;
                let drawn = message.json::<Drawn>()?;
                drawn.check().map_err(bad_data)?;
                self.pass_on(
                    "draw",
                    &By {
                        by: &self.user.id,
                        said: drawn,
                    },
                )
                .await
            }
            "typing" => {
                self.check_gesture(app, message)?;
                let typing = message.json::<bool>()?;
                self.pass_on("typing", &json!({ "by": self.user.id, "typing": typing }))
                    .await
            }
            other => Err(Error::unknown_event(other)),
        }
    }

    /// Holds what is not kept to its rates: how often, and how much.
    fn check_gesture(&self, app: &App, message: &Inbound) -> Result<(), Error> {
        app.gestures.check(&self.user.id)?;
        let mut kibibytes = 0..message.payload.len() >> 10;
        kibibytes.try_for_each(|_| app.gesture_kibibytes.check(&self.user.id))
    }

    /// What the next one replaces: nobody who comes later is told.
    async fn pass_on<T: Serialize>(&self, event: &'static str, said: &T) -> Result<Reply, Error> {
        let message = Message::json(event, said)?.volatile();
        self.channel.publish(message.sender(self.user.identity())).await?;
        Ok(Reply::empty())
    }
}

#[derive(Serialize)]
struct By<'a, T> {
    by: &'a str,
    #[serde(flatten)]
    said: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    x: i64,
    y: i64,
}

impl Point {
    fn check(self) -> Result<(i64, i64), Error> {
        for (name, value) in [("x", self.x), ("y", self.y)] {
            within(name, value, -MAX_POINTED..=MAX_POINTED).map_err(bad_data)?;
        }
        Ok((self.x, self.y))
    }
}

/// What somebody draws or drags just now, or does no longer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Stroke>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<Dragged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stroke {
    Stroke,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dragged {
    x: i64,
    y: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    h: Option<i64>,
}

impl Drawn {
    fn check(&self) -> Result<(), String> {
        if !is_name(&self.id, 1..=MAX_ID_LENGTH) {
            return Err(format!(
                "`id` must be 1 to {MAX_ID_LENGTH} characters of a-z and 0-9"
            ));
        }
        let Self {
            kind,
            color,
            width,
            points,
            props,
            end,
            ..
        } = self;
        match (kind, color, width, points, props, end) {
            (Some(_), Some(color), Some(width), Some(points), None, None) => {
                within("color", *color, COLORS)?;
                within("width", *width, WIDTHS)?;
                check_points(points)
            }
            (None, None, None, None, Some(props), None) => {
                within("x", props.x, PLACES)?;
                within("y", props.y, PLACES)?;
                for (name, value) in [("w", props.w), ("h", props.h)] {
                    value.map_or(Ok(()), |value| within(name, value, SIZES))?;
                }
                Ok(())
            }
            (None, None, None, None, None, Some(true)) => Ok(()),
            _ => Err("`draw` has `kind`, `color`, `width` and `points`, or `props`, or `end`".into()),
        }
    }
}

fn bad_data(message: String) -> Error {
    Error::new(StatusCode::BAD_REQUEST, "bad-data", message)
}

/// Where one may point: beyond where anything may lie, since one sees beyond that.
const MAX_POINTED: i64 = 10_000_000;
