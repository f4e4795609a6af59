//! `postman ready HOST:PORT`: whether a server greets, for health checks and scripts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;

use super::{End, print};
use crate::logging::escape;

/// How long each of connecting, greeting and farewell may take.
const SECONDS_MAX: Duration = Duration::from_secs(5);
/// The most that is read of a greeting, in octets.
const GREETING_BYTES_MAX: u64 = 64 << 10;

#[derive(Args)]
pub(super) struct Ready {
    /// The server, which speaks in the clear first.
    #[arg(value_name = "HOST:PORT")]
    server: String,
}

/// Ends with 0 if the server greets with 220, and with 1 if it does not: it is full, it stops, or
/// nobody is there.
pub(super) fn run(ready: &Ready) -> Result<(), End> {
    let addresses = ready.server.to_socket_addrs();
    let addresses = addresses.map_err(|error| {
        format!("`{}` is no host with a port: {error}", ready.server.escape_debug())
    })?;
    let mut why = "it has no address".to_owned();
    for address in addresses {
        match greeting(address) {
            Ok(line) if line.starts_with("220") => return print(&format!("{line}\n")),
            Ok(line) => why = format!("it says \"{line}\""),
            Err(error) => why = error.to_string(),
        }
    }
    print(&format!("{} is not ready: {why}\n", ready.server.escape_debug()))?;
    Err(End::Findings)
}

/// The greeting's first line.
fn greeting(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, SECONDS_MAX)?;
    stream.set_read_timeout(Some(SECONDS_MAX))?;
    stream.set_write_timeout(Some(SECONDS_MAX))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(GREETING_BYTES_MAX));
    let (mut line, mut first) = (Vec::new(), None);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let shown = || escape(String::from_utf8_lossy(&line).trim_end());
        let is_last = line.get(3) != Some(&b'-');
        first.get_or_insert_with(shown);
        if is_last {
            break;
        }
    }
    // A server counts who just goes as one that has broken off.
    let _ = stream.write_all(b"QUIT\r\n");
    let _ = reader.read_until(b'\n', &mut line);
    first.ok_or_else(|| std::io::Error::other("it has closed without a greeting"))
}
