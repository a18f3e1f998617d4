//! Logging in and out: a cookie for pages, a token for programs, a ticket for what can send neither.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use dualcast::{Error, Identity};
use serde_json::{Value, json};

use crate::App;
use crate::accounts::Password;
use crate::user::{COOKIE, Kind, User};

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/tokens", post(issue_token))
        .route("/tokens/renew", post(renew_token))
        .route("/tickets", post(issue_ticket))
        .route("/me", get(me))
        .route("/users/{name}/logout", post(log_out_user))
}

/// By a form, which works without any script. Behind it a page finds its cookie, which no script can read (`HttpOnly`), and which
/// comes along with no POST of another site (`SameSite`).
async fn log_in(State(app): State<App>, Form(password): Form<Password>) -> Result<Response, Error> {
    app.tries.check(&password.name)?;
    let (secret, user) = app.access.log_in(password.check()?, Kind::Cookie)?;
    let seconds = user.expires_in().as_secs();
    Ok((set_cookie(&app, &secret, seconds)?, Redirect::to("/")).into_response())
}

async fn issue_token(State(app): State<App>, Json(password): Json<Password>) -> Result<Json<Value>, Error> {
    app.tries.check(&password.name)?;
    Ok(token(app.access.log_in(password.check()?, Kind::Token)?))
}

/// A new one before the old one runs out. Who came by a ticket has to log in: it stood in a query.
async fn renew_token(State(app): State<App>, user: User) -> Result<Json<Value>, Error> {
    user.check_not_by_ticket()?;
    Ok(token(app.access.renew(&user)?))
}

async fn issue_ticket(State(app): State<App>, user: User) -> Result<Json<Value>, Error> {
    user.check_not_by_ticket()?;
    let (ticket, good_for) = app.access.issue_ticket(&user)?;
    Ok(Json(json!({ "ticket": ticket, "expires": good_for.as_millis() })))
}

async fn me(State(app): State<App>, user: User) -> Json<Value> {
    let expires = user.expires_in().as_millis();
    Json(
        json!({ "name": *user.name, "by": user.kind, "expires": expires, "rooms": app.access.rooms_of(&user) }),
    )
}

/// Everywhere: every login of this user is forgotten, and every session ends, on both transports.
async fn log_out(State(app): State<App>, user: User) -> Result<Response, Error> {
    user.check_not_by_ticket()?;
    put_out(&app, &user.name);
    Ok((set_cookie(&app, "", 0)?, StatusCode::NO_CONTENT).into_response())
}

async fn log_out_user(
    State(app): State<App>,
    Path(name): Path<String>,
    user: User,
) -> Result<StatusCode, Error> {
    user.check_administrator()?;
    put_out(&app, &name);
    Ok(StatusCode::NO_CONTENT)
}

/// First what the routes look at, then the sessions: who comes back in between is refused.
fn put_out(app: &App, name: &str) {
    app.access.log_out(name);
    app.hub.disconnect(&Identity::new(name));
}

fn token((token, user): (String, User)) -> Json<Value> {
    let expires = user.expires_in().as_millis();
    Json(json!({ "token": token, "expires": expires }))
}

fn set_cookie(app: &App, secret: &str, seconds: u64) -> Result<HeaderMap, Error> {
    let secure = if app.are_cookies_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}");
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Error::internal())?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, cookie)]))
}
