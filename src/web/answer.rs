//! Answers: what each route says, and the header fields that all of them have.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::body::Body;
use super::definition::Page;
use super::events::events;
use super::gate::Gate;
use super::messages::Mail;
use super::metrics;
use super::route::{Route, route};
use super::sessions;
use super::state::{self, Snapshot};
use crate::server::Live;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const MESSAGE: &str = "message/rfc822";

/// What all requests share.
pub(super) struct Context {
    pub(super) gate: Gate,
    /// The mail folder, if who reads the page may read it.
    pub(super) mail: Option<Mail>,
    /// What is served: at least one.
    pub(super) pages: Vec<Page>,
    pub(super) live: Live,
}

/// An answer, or what is said in its place.
type Answered = Result<Response<Body>, (StatusCode, String)>;

/// Answers a request.
pub(super) async fn answer(
    context: &Arc<Context>,
    peer: Option<IpAddr>,
    request: Request<Incoming>,
) -> Response<Body> {
    let answered =
        match context.gate.admit(request.method(), request.uri(), request.headers(), peer) {
            Ok(()) => by_route(context, &request).await,
            Err((status, why)) => Err((status, why.to_owned())),
        };
    let mut response = answered.unwrap_or_else(|(status, why)| {
        let mut response = with(TEXT, why + "\n");
        *response.status_mut() = status;
        response
    });
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed =
            if request.uri().path() == "/messages" { "GET, HEAD, DELETE" } else { "GET, HEAD" };
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    protect(context, response.headers_mut());
    response
}

/// Adds what keeps a browser from doing more with an answer than it is for.
fn protect(context: &Context, headers: &mut hyper::HeaderMap) {
    let mut styles = String::from("'self'");
    for style in context.pages.iter().filter_map(Page::style) {
        let digest = STANDARD.encode(Sha256::digest(style.as_bytes()));
        let source = format!(" 'sha256-{digest}'");
        if !styles.contains(&source) {
            styles += &source;
        }
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy);
    headers.extend(policy.into_iter().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    let resource = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (resource, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn with(kind: &'static str, octets: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(octets.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn with_json(value: &Value) -> Response<Body> {
    with(JSON, value.to_string() + "\n")
}

fn not_found(why: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, why.to_owned())
}

async fn by_route(context: &Arc<Context>, request: &Request<Incoming>) -> Answered {
    let (asked, number) = route(request.method(), request.uri())?;
    let page = context
        .pages
        .get(number)
        .ok_or_else(|| not_found("there is no definition of this number"))?;
    let snapshot = || Snapshot::of(page, context.live.numbers());
    Ok(match asked {
        Route::Page => with(HTML, include_str!("page/index.html")),
        Route::Style => with(CSS, include_str!("page/page.css")),
        Route::Script => with(JS, include_str!("page/page.js")),
        Route::Picture => {
            let picture = page.definition.picture.clone();
            with(SVG, picture.ok_or_else(|| not_found("it is too large to be drawn"))?)
        }
        Route::Metrics => {
            let metrics = metrics::metrics(context)
                .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            with(metrics::TYPE, metrics)
        }
        Route::Ready if context.live.is_ready() => with(TEXT, "ready\n"),
        Route::Ready => {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "no clients are let in".to_owned()));
        }
        Route::State => with_json(&state::json(context, number, page, &snapshot())),
        Route::Table => with(TEXT, snapshot().table(page)),
        Route::Events { hears_sessions } => {
            let events = events(Arc::clone(context), number, hears_sessions);
            let mut response = with(EVENTS, "");
            *response.body_mut() = Body::Stream(Box::pin(events));
            response
        }
        Route::Sessions => {
            let last = context.live.dialogues().last();
            let all = last.iter().map(|one| sessions::json(&context.pages, one, &one.told(), 0));
            with_json(&json!({ "sessions": all.collect::<Vec<_>>() }))
        }
        Route::Session(id) => {
            let last = context.live.dialogues().last();
            let found = last.iter().find(|one| one.id == id);
            let found =
                found.ok_or_else(|| not_found("this session is not among the last ones"))?;
            with(
                TEXT,
                found.told().lines.iter().fold(String::new(), |text, line| text + line + "\n"),
            )
        }
        Route::Explain(cell) => {
            let words: Vec<_> = cell.split_whitespace().collect();
            with(TEXT, (page.definition.explain)(&words).map_err(|why| not_found(&why))?)
        }
        messages => of_messages(context, messages).await?,
    })
}

/// Answers what is asked of the mail folder.
async fn of_messages(context: &Context, asked: Route) -> Answered {
    let mail = context.mail.as_ref();
    let mail = mail.ok_or_else(|| not_found("mail is not shown here: `web.messages` is false"))?;
    let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, why);
    let gone = || not_found("there is no such message; it may have been removed");
    Ok(match asked {
        Route::RemoveMessages { to } => {
            mail.remove(to).await.map_err(failed)?;
            let mut response = Response::new(Body::from(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Route::Message(id) => with_json(&mail.message(id).await.map_err(failed)?.ok_or_else(gone)?),
        Route::Source(id) => {
            let octets = mail.octets(id).await.map_err(failed)?.ok_or_else(gone)?;
            with(TEXT, String::from_utf8_lossy(&octets).into_owned())
        }
        Route::Download(id) => {
            let octets = mail.octets(id).await.map_err(failed)?.ok_or_else(gone)?;
            let mut response = with(MESSAGE, octets);
            let saved = HeaderValue::from_static("attachment; filename=\"message.eml\"");
            response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
            response
        }
        Route::Messages { to, wait } => {
            with_json(&mail.list(&context.live, to, wait).await.map_err(failed)?)
        }
        _ => return Err(not_found("there is no such page")),
    })
}
