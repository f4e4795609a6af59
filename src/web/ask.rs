//! A question to the interface of a running server, over plain HTTP: for `postman top`.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long the server may take to answer, and to take the question.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in octets.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// What a server answers to GET. The URL is `http://HOST:PORT`, with or without the scheme and a
/// path before the interface's own.
///
/// # Errors
/// One line: the URL is none, nobody answers there, or the answer is an error, with its reason.
pub(crate) fn get(url: &str, path: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    if rest.contains("://") || rest.chars().any(|char| char.is_control() || char == ' ') {
        return Err(format!("{}: expected http://HOST:PORT", url.escape_debug()));
    }
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let said = exchange(host, &format!("/{prefix}{slash}{path}"))
        .map_err(|error| format!("cannot ask {host}: {error}"))?;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(code) => {
            let reason = body.lines().next().unwrap_or_default();
            Err(format!("{host} answers {}: {}", code.escape_debug(), reason.escape_debug()))
        }
        None => Err(format!("{host} does not answer as a page does")),
    }
}

fn exchange(host: &str, path: &str) -> std::io::Result<String> {
    let address = host.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| std::io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // An answer to HTTP/1.0 is one piece, and its end is the connection's.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut octets = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
