//! Answers: what each route says, and the header fields that all of them have.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::body::{self, Body};
use super::definition::{Describe, Page, grouped};
use super::events::events;
use super::gate::Gate;
use super::messages::{Mail, apart};
use super::metrics;
use super::route::{Route, route};
use super::sessions;
use super::state::{self, Snapshot};
use crate::server::{Live, NotTaken};

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
    /// Says what is shown of a definition.
    describe: Describe,
    /// What is served, and the number of exchanges before it.
    pages: Mutex<(u64, Arc<Vec<Page>>)>,
    pub(super) live: Live,
}

impl Context {
    pub(super) fn new(gate: Gate, mail: Option<Mail>, describe: Describe, live: Live) -> Self {
        let generation = live.exchange().generation();
        let pages = grouped(live.exchange().now().iter().map(&describe));
        let pages = Mutex::new((generation, Arc::new(pages)));
        Self { gate, mail, describe, pages, live }
    }

    /// What is served now: at least one page.
    pub(super) fn pages(&self) -> Arc<Vec<Page>> {
        let mut known = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.live.exchange().generation();
        if known.0 != generation {
            let now = self.live.exchange().now();
            *known = (generation, Arc::new(grouped(now.iter().map(&self.describe))));
        }
        Arc::clone(&known.1)
    }
}

/// An answer, or what is said in its place.
type Answered = Result<Response<Body>, (StatusCode, String)>;

/// Answers a request.
pub(super) async fn answer(
    context: &Arc<Context>,
    peer: Option<IpAddr>,
    request: Request<Incoming>,
) -> Response<Body> {
    let (asked, body) = request.into_parts();
    let admitted = context.gate.admit(&asked.method, &asked.uri, &asked.headers, peer);
    let answered = match admitted {
        Ok(()) => by_route(context, &asked, body).await,
        Err((status, why)) => Err((status, why.to_owned())),
    };
    let mut response = answered.unwrap_or_else(|(status, why)| {
        let mut response = with(TEXT, why + "\n");
        *response.status_mut() = status;
        response
    });
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = match asked.uri.path() {
            "/messages" => "GET, HEAD, DELETE",
            "/faults" => "GET, HEAD, PUT, DELETE",
            "/faults/reset" => "POST",
            _ => "GET, HEAD",
        };
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    protect(response.headers_mut());
    response
}

/// What a browser may load with an answer. A style is allowed if it is this one.
fn policy(style: Option<&str>) -> HeaderValue {
    let style = style.map_or_else(
        || "'self'".to_owned(),
        |style| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style.as_bytes()))),
    );
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {style}; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // There is nothing in it that a field may not have.
    HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// Adds what keeps a browser from doing more with an answer than it is for.
fn protect(headers: &mut hyper::HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| policy(None));
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

async fn by_route(context: &Arc<Context>, head: &Parts, body: Incoming) -> Answered {
    let (asked, number) = route(&head.method, &head.uri)?;
    let pages = context.pages();
    let page =
        pages.get(number).ok_or_else(|| not_found("there is no definition of this number"))?;
    let snapshot = || Snapshot::of(page, context.live.numbers());
    Ok(match asked {
        Route::Page => with(HTML, include_str!("page/index.html")),
        Route::Style => with(CSS, include_str!("page/page.css")),
        Route::Script => with(JS, include_str!("page/page.js")),
        Route::MachineScript => with(JS, include_str!("page/machine.js")),
        Route::PartsScript => with(JS, include_str!("page/parts.js")),
        Route::Icon => with(SVG, include_str!("page/icon.svg")),
        Route::Picture => {
            let picture = page.definition.picture.clone();
            let picture = picture.ok_or_else(|| not_found("it is too large to be drawn"))?;
            let mut response = with(SVG, picture);
            let policy = policy(page.style());
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
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
        Route::State => with_json(&state::json(context, &pages, number, &snapshot())),
        Route::Table => with(TEXT, snapshot().table(page)),
        Route::Events { hears_sessions } => {
            let events = events(Arc::clone(context), number, hears_sessions);
            let mut response = with(EVENTS, "");
            *response.body_mut() = Body::Stream(Box::pin(events));
            response
        }
        Route::Sessions => {
            let last = context.live.dialogues().last();
            let all = last.iter().map(|one| sessions::json(&pages, one, &one.told(), 0));
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
        faults @ (Route::Faults | Route::PutFaults | Route::RemoveFaults | Route::ResetFaults) => {
            of_faults(context, number, faults, body).await?
        }
        messages => of_messages(context, messages).await?,
    })
}

fn failed(why: String) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, why)
}

/// An answer that says that it is done.
fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Answers what is asked of the faults. New sessions have what is put.
async fn of_faults(context: &Context, number: usize, asked: Route, body: Incoming) -> Answered {
    match asked {
        Route::PutFaults => {
            let wrong = |status: StatusCode| {
                (status, status.canonical_reason().unwrap_or_default().to_lowercase())
            };
            let text = String::from_utf8(body::read(body).await.map_err(wrong)?);
            let text = text.map_err(|_| {
                (StatusCode::UNPROCESSABLE_ENTITY, "the faults are not UTF-8".to_owned())
            })?;
            put_faults(context, Some(text)).await?;
        }
        Route::RemoveFaults => {
            put_faults(context, None).await?;
            return Ok(nothing());
        }
        Route::ResetFaults => {
            let exchange = context.live.exchange().clone();
            apart(move || Ok(exchange.reset_faults())).await.map_err(failed)?;
            return Ok(nothing());
        }
        _ => {}
    }
    let pages = context.pages();
    let page = pages.get(number).ok_or_else(|| not_found("there is no such definition now"))?;
    let source = page.definition.source.as_deref();
    Ok(with_json(&json!({ "faults": state::faults_json(page), "source": source })))
}

/// Has new sessions meet other faults. What compiles them has a thread of its own.
async fn put_faults(context: &Context, text: Option<String>) -> Result<(), (StatusCode, String)> {
    let exchange = context.live.exchange().clone();
    match apart(move || Ok(exchange.put_faults(text.as_deref()))).await.map_err(failed)? {
        Ok(_) => Ok(()),
        Err(NotTaken::Findings(findings)) => {
            Err((StatusCode::UNPROCESSABLE_ENTITY, findings.trim_end().to_owned()))
        }
        Err(NotTaken::Elsewhere(why)) => Err((StatusCode::FORBIDDEN, why)),
    }
}

/// Answers what is asked of the mail folder.
async fn of_messages(context: &Context, asked: Route) -> Answered {
    let mail = context.mail.as_ref();
    let mail = mail.ok_or_else(|| not_found("mail is not shown here: `web.messages` is false"))?;
    let gone = || not_found("there is no such message; it may have been removed");
    Ok(match asked {
        Route::RemoveMessages { to } => {
            mail.remove(to).await.map_err(failed)?;
            nothing()
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
