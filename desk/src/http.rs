//! The HTTP door.
//!
//! `POST /sql` answers a statement as JSON or as an Arrow stream, `GET /subscribe` tells the
//! changes of a view as server-sent events, `GET /metrics` is for scrapers. `GET /healthz` says
//! that the process answers and `GET /readyz` whether everything can be read; these two ask for no
//! token.

mod answer;
mod events;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use datafusion::common::ParamValues;
use datafusion::common::ScalarValue;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::limits::MESSAGE_BYTES_OVER;
use crate::metrics;
use crate::role::Principal;
use crate::session::Outcome;

/// What is said where there is nothing.
const THERE_IS: &str =
    "there are POST /sql, GET /subscribe?view=NAME, /metrics, /healthz, /readyz\n";

/// The routes of the door.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    let longest = desk.limits.statement_bytes + MESSAGE_BYTES_OVER;
    Router::new()
        .route("/sql", post(sql))
        .route("/subscribe", get(events::subscribe))
        .route("/metrics", get(scraped))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(|| async { (StatusCode::NOT_FOUND, THERE_IS) })
        .layer(DefaultBodyLimit::max(longest))
        .with_state(desk)
}

/// A refusal as the door sends it.
pub(crate) struct Refusal(DeskError);

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Refusal {
        Refusal(error)
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Syntax
        | Kind::UnknownRelation
        | Kind::UnknownColumn
        | Kind::UnknownSetting
        | Kind::UnknownIndex
        | Kind::Unsupported
        | Kind::Data
        | Kind::Parameter => StatusCode::BAD_REQUEST,
        Kind::Unknown => StatusCode::UNAUTHORIZED,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Exists | Kind::InUse | Kind::NotReadable => StatusCode::CONFLICT,
        Kind::TooLarge | Kind::Memory => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Aborted => StatusCode::CONFLICT,
        Kind::TooMany | Kind::Gone => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout | Kind::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal as JSON.
fn told(error: &DeskError) -> Value {
    json!({
        "message": error.message,
        "sqlstate": error.kind.sqlstate(),
        "hint": error.hint,
        "position": error.position,
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "error": told(&self.0) }));
        let status = status(self.0.kind);
        if status == StatusCode::UNAUTHORIZED {
            return (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response();
        }
        (status, body).into_response()
    }
}

/// Who asks, by the token.
fn who(desk: &Desk, headers: &HeaderMap) -> Result<Principal, DeskError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    principal(desk, given)
}

/// Who an `authorization` header names.
pub(crate) fn principal(desk: &Desk, given: Option<&str>) -> Result<Principal, DeskError> {
    let refused = |message: &str| {
        DeskError::new(Kind::Unknown, message).hint("send the header Authorization: Bearer TOKEN")
    };
    let given = given.ok_or_else(|| refused("there is no token"))?;
    let token = given
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let token = token.ok_or_else(|| refused("there is no token"))?;
    desk.users.by_token(token).ok_or_else(|| refused("nobody has this token"))
}

/// What `POST /sql` takes as JSON.
#[derive(Deserialize)]
struct Asked {
    sql: String,
    #[serde(default)]
    parameters: Vec<Value>,
}

fn asked(headers: &HeaderMap, body: &Bytes) -> Result<Asked, DeskError> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if json {
        let hint = "send {\"sql\": \"SELECT …\", \"parameters\": [1, \"a\"]}";
        return serde_json::from_slice(body).map_err(|error| {
            DeskError::new(Kind::Syntax, format!("the body is no such JSON: {error}")).hint(hint)
        });
    }
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| DeskError::new(Kind::Syntax, "the body is not UTF-8"))?;
    Ok(Asked { sql: text.to_owned(), parameters: Vec::new() })
}

fn scalar(value: &Value) -> Result<ScalarValue, DeskError> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(b) => ScalarValue::from(*b),
        Value::Number(n) => match n.as_i64() {
            Some(n) => ScalarValue::from(n),
            None => ScalarValue::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(s) => ScalarValue::from(s.as_str()),
        other => {
            let message = format!("{other} is no parameter: use texts, numbers, truths and null");
            return Err(DeskError::new(Kind::Parameter, message));
        }
    })
}

async fn sql(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let session = desk.session(who(&desk, &headers)?);
    let asked = asked(&headers, &body)?;
    let prepared = session.prepare(&asked.sql).await?;
    let values: Result<Vec<ScalarValue>, DeskError> = asked.parameters.iter().map(scalar).collect();
    let values = values?;
    let values = (!values.is_empty()).then(|| ParamValues::from(values));
    let arrow = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kinds| kinds.contains(answer::ARROW));
    match session.execute(&prepared, values).await? {
        Outcome::Rows(rows) if arrow => Ok(answer::arrow(rows).await?),
        Outcome::Rows(rows) => Ok(answer::json(rows).await?),
        Outcome::Done { tag, notices } => {
            Ok(axum::Json(json!({ "done": tag, "notices": notices })).into_response())
        }
        Outcome::Transaction { word, .. } => {
            Ok(axum::Json(json!({ "done": word, "notices": [] })).into_response())
        }
        Outcome::Changes(_) | Outcome::Copy(..) => {
            let message = "this door does not answer that here";
            let error = DeskError::new(Kind::Unsupported, message);
            Err(error.hint("GET /subscribe?view=name tells changes; POST /sql takes SELECT").into())
        }
    }
}

async fn scraped(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<Response, Refusal> {
    who(&desk, &headers)?;
    let text = metrics::text(&desk.engine.status(), &desk.counters);
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

async fn ready(State(desk): State<Arc<Desk>>) -> Response {
    let status = desk.engine.status();
    if status.tick.0 == 0 {
        let body = "no tick is complete yet\n";
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    match status.views.iter().find(|view| view.hydrated < 100) {
        None => "ready\n".into_response(),
        Some(view) => {
            let body = format!("{} is hydrating ({} %)\n", view.name, view.hydrated);
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// What `GET /subscribe` takes.
#[derive(Deserialize)]
pub(crate) struct Subscription {
    view: String,
    #[serde(default = "yes")]
    snapshot: bool,
    #[serde(default)]
    progress: bool,
    as_of: Option<String>,
}

fn yes() -> bool {
    true
}

type Asks = Query<Subscription>;
