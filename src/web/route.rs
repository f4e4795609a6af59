//! What a request asks for.

use hyper::{Method, StatusCode, Uri};

use crate::reader::Time;

/// The longest time that `?wait=` may ask for, in milliseconds.
const WAIT_MS_MAX: u128 = 5 * 60 * 1000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Page,
    Style,
    Script,
    MachineScript,
    PartsScript,
    Icon,
    Picture,
    Metrics,
    Ready,
    State,
    Table,
    Events { hears_sessions: bool },
    Sessions,
    Session(String),
    Explain(String),
    Messages { to: Option<String>, wait: Option<std::time::Duration> },
    RemoveMessages { to: Option<String> },
    Message(String),
    Source(String),
    Download(String),
    Faults,
    PutFaults,
    RemoveFaults,
    ResetFaults,
}

/// A route, and the number of the definition that it is about.
pub(super) type Asked = (Route, usize);

/// Why there is none.
pub(super) type Wrong = (StatusCode, String);

/// The value of a name in a query, decoded: the first of its name.
fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// What a request asks for.
///
/// # Errors
/// 404 for a path that is not ours, 405 for a method that it does not have, 400 for a wrong value.
pub(super) fn route(method: &Method, uri: &Uri) -> Result<Asked, Wrong> {
    let query = uri.query().unwrap_or_default();
    let of = |name: &str| value(query, name);
    let needs = |name: &str| {
        of(name).ok_or_else(|| (StatusCode::BAD_REQUEST, format!("?{name}= is missing")))
    };
    let number = of("definition").map_or(Ok(0), |number| number.parse());
    let number =
        number.map_err(|_| (StatusCode::BAD_REQUEST, "?definition= is no number".to_owned()))?;
    // HEAD is a GET whose body is left out.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let is_get = method == Method::GET;
    let route = match uri.path() {
        "/" => Route::Page,
        "/page.css" => Route::Style,
        "/page.js" => Route::Script,
        "/machine.js" => Route::MachineScript,
        "/parts.js" => Route::PartsScript,
        // The second is what a browser asks for beside a text.
        "/icon.svg" | "/favicon.ico" => Route::Icon,
        "/machine.svg" => Route::Picture,
        "/metrics" => Route::Metrics,
        "/ready" => Route::Ready,
        "/state" => Route::State,
        "/table" => Route::Table,
        "/events" => Route::Events { hears_sessions: of("sessions").as_deref() != Some("no") },
        "/sessions" => Route::Sessions,
        "/messages" if method == Method::DELETE => {
            return Ok((Route::RemoveMessages { to: of("to") }, number));
        }
        "/messages" => Route::Messages { to: of("to"), wait: wait(of("wait"))? },
        "/faults" if method == Method::PUT => return Ok((Route::PutFaults, number)),
        "/faults" if method == Method::DELETE => return Ok((Route::RemoveFaults, number)),
        "/faults/reset" if method == Method::POST => return Ok((Route::ResetFaults, number)),
        "/faults" => Route::Faults,
        // It is only posted to.
        "/faults/reset" => return Err(not_for(method)),
        "/explain" => Route::Explain(needs("cell")?),
        "/message" => Route::Message(needs("id")?),
        "/message/source" => Route::Source(needs("id")?),
        "/message/download" => Route::Download(needs("id")?),
        path => match path.strip_prefix("/sessions/") {
            Some(id) => Route::Session(id.to_owned()),
            None => return Err((StatusCode::NOT_FOUND, "there is no such page".to_owned())),
        },
    };
    if !is_get {
        return Err(not_for(method));
    }
    Ok((route, number))
}

fn not_for(method: &Method) -> Wrong {
    (StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not for this page"))
}

/// How long is waited for a message.
fn wait(text: Option<String>) -> Result<Option<std::time::Duration>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
    let Time(time) = text.parse().map_err(wrong)?;
    if time.as_millis() > WAIT_MS_MAX {
        return Err(wrong("?wait= is at most 5min".to_owned()));
    }
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn get(uri: &'static str) -> Result<Asked, u16> {
        ask(&Method::GET, uri)
    }

    fn ask(method: &Method, uri: &'static str) -> Result<Asked, u16> {
        route(method, &Uri::from_static(uri)).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn a_path_is_one_of_a_list() {
        assert_eq!(get("/"), Ok((Route::Page, 0)));
        assert_eq!(get("/state?definition=3"), Ok((Route::State, 3)));
        assert_eq!(get("/explain?cell=init+EHLO"), Ok((Route::Explain("init EHLO".into()), 0)));
        assert_eq!(get("/explain?cell=init%20EHLO"), Ok((Route::Explain("init EHLO".into()), 0)));
        assert_eq!(get("/events?sessions=no"), Ok((Route::Events { hears_sessions: false }, 0)));
        assert_eq!(ask(&Method::HEAD, "/ready"), Ok((Route::Ready, 0)));
        for path in ["/x", "//", "/page.css/", "/../etc/passwd", "/state/"] {
            assert_eq!(get(path), Err(404), "{path}");
        }
    }

    #[test]
    fn a_wrong_value_and_a_wrong_method_are_told_apart() {
        for uri in ["/explain", "/message", "/state?definition=x", "/messages?wait=1h"] {
            assert_eq!(get(uri), Err(400), "{uri}");
        }
        for uri in ["/", "/state", "/explain?cell=x", "/message?id=x"] {
            assert_eq!(ask(&Method::DELETE, uri), Err(405), "{uri}");
        }
        assert_eq!(ask(&Method::PUT, "/messages"), Err(405));
    }

    #[test]
    fn a_message_is_waited_for_and_not_for_ever() {
        let wait = Some(Duration::from_secs(10));
        let messages = Route::Messages { to: Some("a+b@x.org".into()), wait };
        assert_eq!(get("/messages?to=a%2Bb@x.org&wait=10s"), Ok((messages, 0)));
        assert_eq!(get("/messages?wait=6min"), Err(400));
    }
}
