//! The encrypted line: STARTTLS and TLS from the first octet, over real sockets, by a client made of
//! rustls. RFC 3207, RFC 8314.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use postman::dialogue::{Dialogue, Peer};
use rustls::ClientConnection;

use crate::peer::page;
use crate::rig::{Server, fields, wait_until};
use crate::secure::{Keys, Secure, VERSIONS, client, client_config, start_tls, started};

/// A server that is encrypted from the first octet.
fn from_first_octet(keys: &Keys, more: &str) -> Server {
    let list = "listeners: [(address: \"127.0.0.1:0\", tls: FirstOctet)]";
    Server::start_listening(&format!("({list}, {}, {more})", keys.ron(&["a"])))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

#[test]
fn a_message_comes_over_both_kinds_of_listener_in_both_versions_and_the_trace_says_so() {
    let keys = Keys::new();
    let (after, first) = (keys.serve(""), from_first_octet(&keys, ""));
    for (version, name, cipher) in [
        (VERSIONS[0], "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (VERSIONS[1], "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ] {
        let config = client_config(version);
        let mut one = start_tls(&after, &config, "mail.example.org");
        let offered = one.say("EHLO x", "250");
        assert!(!offered.contains("STARTTLS") && offered.contains("PIPELINING"), "{offered}");
        one.say("STARTTLS", "503");
        one.deliver();
        one.say("RSET", "250");
        one.say("MAIL FROM:<a@x.org>", "250");
        one.say("RCPT TO:<a@other.server>", "250");
        one.say("DATA", "354");
        one.say("Subject: x\r\n\r\nx\r\n.", "250");
        one.say("QUIT", "221");
        assert_eq!(one.rest(), "");

        let mut other = Secure::over(connect(first.address), client(&config, "mail.example.org"));
        other.expect("220 postman.local ESMTP");
        // Encrypted just now: a greeting comes first, and STARTTLS is unknown.
        other.say("MAIL FROM:<a@x.org>", "503");
        other.say("STARTTLS", "500");
        assert!(!other.say("EHLO x", "250").contains("STARTTLS"));
        other.deliver();
        other.say("QUIT", "221");
        assert_eq!(other.rest(), "");

        let files = [after.files("user/new"), first.files("user/new")].concat();
        let traces: Vec<_> =
            files.iter().map(|file| fields(file).value("Received").unwrap().to_owned()).collect();
        let expected = format!("tls {cipher} ({name});");
        assert!(
            traces.iter().filter(|trace| trace.contains(&expected)).count() == 2,
            "{traces:#?}"
        );
        assert!(traces.iter().all(|trace| trace.contains(" with ESMTPS id ")), "{traces:#?}");
        let queued = after.files(".OTHER_SERVERS/other.server");
        assert_eq!(fields(&queued[0]).value("X-Postman-With"), Some("ESMTPS"));
    }
    // HELO has no name of its own for an encrypted line (RFC 3848); the cipher tells it.
    let mut old = start_tls(&after, &client_config(VERSIONS[1]), "mail.example.org");
    old.say("HELO x", "250");
    old.say("MAIL FROM:<a@x.org>", "250");
    old.say("RCPT TO:<helo@postman.local>", "250");
    old.say("DATA", "354");
    old.say("x\r\n.", "250");
    let file = after.files("helo/new").remove(0);
    let trace = fields(&file).value("Received").unwrap().to_owned();
    assert!(trace.contains(" with SMTP id ") && trace.contains("(TLSv1.3)"), "{trace}");
}

/// All that a server says, until it closes.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A client that is closed upon may hear of it by a reset.
    let _ = stream.read_to_end(&mut said);
    said
}

/// CVE-2011-0411, and the forty of NO STARTTLS (2021), over a real socket: in one segment, and cut
/// at each octet.
#[test]
fn what_is_piped_behind_starttls_in_the_clear_is_never_run() {
    let keys = Keys::new();
    let server = keys.serve("errors_max: 1000");
    let verbs = page().commands().map(|event| format!("{}\r\n", event.name));
    for line in verbs.chain(["EHLO thief\r\nMAIL FROM:<t@x.org>\r\n".to_owned()]) {
        for version in VERSIONS {
            let config = client_config(version);
            let whole = format!("STARTTLS\r\n{line}");
            for cut in 0..=whole.len() {
                let mut talk = server.connect();
                talk.say("EHLO x", "250");
                let mut stream = talk.into_stream();
                stream.set_nodelay(true).unwrap();
                let (first, second) = whole.as_bytes().split_at(cut);
                stream.write_all(first).unwrap();
                // The client's own hello follows, as if nothing had been put before it.
                let mut tls = client(&config, "mail.example.org");
                let mut hello = second.to_vec();
                tls.write_tls(&mut hello).unwrap();
                let _ = stream.write_all(&hello);
                let _ = stream.shutdown(Shutdown::Write);
                let said = rest(&stream);
                let text = String::from_utf8_lossy(&said);
                let refused =
                    "421 4.7.0 Nothing may follow STARTTLS before the handshake, closing\r\n";
                let begun = "220 2.0.0 Ready to start TLS\r\n";
                // Either it was seen with the line, or it was taken for a handshake, which it is not:
                // what follows 220 is an alert (RFC 8446 6) and nothing else.
                let after = said.strip_prefix(begun.as_bytes());
                let is_alert = |rest: &[u8]| rest.is_empty() || rest[0] == 21 && rest.len() == 7;
                assert!(
                    text == refused || after.is_some_and(is_alert),
                    "{line:?} cut at {cut}: {text:?}"
                );
            }
        }
    }
    start_tls(&server, &client_config(VERSIONS[1]), "mail.example.org").deliver();
    assert_eq!(server.files("user/new").len(), 1);
}

/// The records of what a client sends.
fn records(octets: &[u8]) -> Vec<&[u8]> {
    let (mut records, mut rest) = (Vec::new(), octets);
    while let [_, _, _, high, low, ..] = rest {
        let (record, after) = rest.split_at(5 + usize::from(u16::from_be_bytes([*high, *low])));
        records.push(record);
        rest = after;
    }
    assert!(rest.is_empty());
    records
}

/// What TLS has to send.
fn sealed(tls: &mut ClientConnection) -> Vec<u8> {
    let mut octets = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut octets).unwrap();
    }
    octets
}

#[test]
fn a_message_that_is_cut_after_a_record_is_not_stored_with_a_farewell_or_without() {
    let keys = Keys::new();
    let server = keys.serve("");
    let lines = ["Subject: x\r\n", "\r\n", "one\r\n.", "\r", "\n"];
    let mut stored = 0;
    for version in VERSIONS {
        let config = client_config(version);
        for (whole, farewell) in (0..=lines.len()).flat_map(|whole| [(whole, true), (whole, false)])
        {
            for part in [0, 3, 7] {
                let mut client = start_tls(&server, &config, "mail.example.org");
                client.say("EHLO x", "250");
                client.say("MAIL FROM:<a@x.org>", "250");
                client.say("RCPT TO:<user@postman.local>", "250");
                client.say("DATA", "354");
                let stream = client.reader.get_mut();
                let mut octets = Vec::new();
                for line in lines {
                    stream.conn.writer().write_all(line.as_bytes()).unwrap();
                    octets.extend(sealed(&mut stream.conn));
                }
                let records = records(&octets);
                assert_eq!(records.len(), lines.len());
                let mut sent = records[..whole].concat();
                if let Some(next) = records.get(whole) {
                    sent.extend_from_slice(&next[..part]);
                }
                if farewell && part == 0 && whole == lines.len() {
                    stream.conn.send_close_notify();
                    sent.extend(sealed(&mut stream.conn));
                }
                stream.sock.write_all(&sent).unwrap();
                stream.sock.shutdown(Shutdown::Write).unwrap();
                rest(&stream.sock);
                stored += usize::from(whole == lines.len());
                assert_eq!(server.files("user/new").len(), stored, "{whole} records and {part}");
                assert_eq!(server.files("user/tmp").len(), 0);
            }
        }
    }
    assert_eq!(stored, 12);
    // A farewell in the middle of a message is its sender's end, too.
    let mut client = start_tls(&server, &client_config(VERSIONS[1]), "mail.example.org");
    client.say("EHLO x", "250");
    client.say("MAIL FROM:<a@x.org>", "250");
    client.say("RCPT TO:<user@postman.local>", "250");
    client.say("DATA", "354");
    let stream = client.reader.get_mut();
    stream.conn.writer().write_all(b"Subject: x\r\n\r\nx\r\n").unwrap();
    stream.conn.send_close_notify();
    let sent = sealed(&mut stream.conn);
    stream.sock.write_all(&sent).unwrap();
    // Also if both come at once, and the socket stays open.
    assert_eq!(stream.sock.read(&mut [0; 64]).unwrap(), 0);
    assert_eq!(server.files("user/new").len(), stored);
}

#[test]
fn a_large_message_and_many_commands_in_one_write_come_whole() {
    let keys = Keys::new();
    let server = keys.serve("");
    for version in VERSIONS {
        let mut client = start_tls(&server, &client_config(version), "mail.example.org");
        let mut said = "EHLO x\r\n".to_owned() + &"NOOP\r\n".repeat(3000);
        said += "MAIL FROM:<a@x.org>\r\nRCPT TO:<big@postman.local>\r\nDATA\r\n";
        // The replies are more than the socket holds: they are read beside the writing.
        let stream = client.reader.get_mut();
        stream.sock.set_nonblocking(false).unwrap();
        client.send(said.as_bytes());
        for _ in 0..3003 {
            client.expect("250");
        }
        client.expect("354");
        let line = format!("{}\r\n", "x".repeat(98));
        client.send((line.repeat(30_000) + ".\r\n").as_bytes());
        client.expect("250");
    }
    let files = server.files("big/new");
    assert!(files.len() == 2 && files.iter().all(|file| file.len() > 30_000 * 99));
}

#[test]
fn above_the_cap_of_handshakes_starttls_is_454_and_changes_nothing() {
    let keys = Keys::new();
    let server = keys.serve("handshakes_max: 1");
    let under_way = started(&server);
    let mut other = server.connect();
    other.say("EHLO x", "250");
    assert_eq!(
        other.say("STARTTLS", "454"),
        "454 4.7.0 TLS is not available now, try again later\r\n"
    );
    // In the clear it may go on, or ask again.
    other.say("MAIL FROM:<a@x.org>", "250");
    other.say("RSET", "250");
    let mut third = server.connect();
    third.say("EHLO x", "250-");
    third.say("STARTTLS now", "501");
    third.say("STARTTLS", "454");
    assert!(third.say("EHLO x", "250").contains("STARTTLS"));
    let config = client_config(VERSIONS[1]);
    let mut first = Secure::over(under_way.into_stream(), client(&config, "mail.example.org"));
    first.say("NOOP", "250");
    third.say("STARTTLS", "220");
    drop(third);
    first.deliver();

    // Where TLS begins at the first octet there is no way to say so.
    let server = from_first_octet(&keys, "handshakes_max: 1, command_seconds_max: 60");
    let half = connect(server.address);
    let hello = {
        let mut octets = Vec::new();
        client(&config, "mail.example.org").write_tls(&mut octets).unwrap();
        octets
    };
    (&half).write_all(&hello[..20]).unwrap();
    // The first has its place before the second is accepted.
    assert_eq!(rest(&connect(server.address)), b"");
    drop(half);
    let begun = Instant::now();
    loop {
        let stream = connect(server.address);
        let mut tls = client(&config, "mail.example.org");
        let mut stream = &stream;
        if tls.complete_io(&mut stream).is_ok() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1));
    }
}

#[test]
fn a_handshake_has_the_time_of_a_command() {
    let keys = Keys::new();
    let server = keys.serve("command_seconds_max: 1");
    let stream = started(&server).into_stream();
    let mut hello = Vec::new();
    client(&client_config(VERSIONS[1]), "mail.example.org").write_tls(&mut hello).unwrap();
    // An octet now and then is no progress.
    let begun = Instant::now();
    for octet in hello.chunks(1) {
        if (&stream).write_all(octet).is_err() || begun.elapsed() > Duration::from_secs(30) {
            break;
        }
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        if matches!((&stream).read(&mut [0]), Ok(0)) {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// The processor's time that a server has used, in ticks of the system's.
fn ticks(server: &Server) -> u64 {
    let text = std::fs::read_to_string(server.proc("stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn bad_hellos_end_their_own_connection_and_nothing_goes_round() {
    let keys = Keys::new();
    let server = from_first_octet(&keys, "command_seconds_max: 60");
    let config = client_config(VERSIONS[1]);
    let mut hello = Vec::new();
    client(&config, "mail.example.org").write_tls(&mut hello).unwrap();
    let body = &hello[5..];
    // The hello in records of one octet each, which once panicked (RUSTSEC-2024-0399), and of none.
    let small: Vec<u8> = body.iter().flat_map(|octet| [22, 3, 1, 0, 1, *octet]).collect();
    let farewell = [21, 3, 3, 0, 2, 1, 0];
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("a farewell before all else (RUSTSEC-2024-0336)", farewell.to_vec()),
        ("a hello and a farewell (RUSTSEC-2024-0336)", [&hello[..], &farewell].concat()),
        ("half a hello and a farewell", [&hello[..40], &farewell].concat()),
        (
            "the hello in records of an octet (RUSTSEC-2024-0399), cut",
            small[..small.len() - 6].to_vec(),
        ),
        ("records of nothing", [22, 3, 1, 0, 0].repeat(1000)),
        ("a record that says 64 KiB", [&[22, 3, 1, 255, 255][..], &[0; 2000]].concat()),
        ("a handshake message of 16 MiB", [&[22, 3, 1, 0, 4, 1, 255, 255, 255][..]].concat()),
        ("data before the handshake", [&[23, 3, 3, 0, 3][..], b"abc"].concat()),
        ("two hellos", [&hello[..], &hello].concat()),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10]),
        ("a mail client without TLS", b"EHLO x\r\n".to_vec()),
        ("a web client without TLS", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("noise", (0..=255).cycle().take(5000).collect()),
        ("nothing", Vec::new()),
    ];
    for (name, octets) in &bad {
        let stream = connect(server.address);
        let _ = (&stream).write_all(octets);
        stream.shutdown(Shutdown::Write).unwrap();
        let said = rest(&stream);
        assert!(!said.windows(4).any(|four| four == b"220 "), "{name}: a greeting in the clear");
    }
    // A client that leaves all of them open and waits costs nothing meanwhile.
    let open: Vec<TcpStream> = bad
        .iter()
        .map(|(_, octets)| {
            let stream = connect(server.address);
            let _ = (&stream).write_all(octets);
            stream
        })
        .collect();
    Secure::over(connect(server.address), client(&config, "mail.example.org")).expect("220");
    let before = ticks(&server);
    std::thread::sleep(Duration::from_secs(1));
    assert!(ticks(&server) - before < 30, "{} ticks", ticks(&server) - before);
    drop(open);
    // In records of one octet the whole hello is a good one.
    let mut stream = connect(server.address);
    stream.write_all(&small).unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(first, [22], "the server's hello");
    let mut last = Secure::over(connect(server.address), client(&config, "mail.example.org"));
    last.expect("220");
    last.deliver();
}

#[test]
fn a_web_client_over_tls_is_ended_as_on_a_clear_line() {
    let keys = Keys::new();
    let server = from_first_octet(&keys, "");
    let config = client_config(VERSIONS[1]);
    let mut web = Secure::over(connect(server.address), client(&config, "mail.example.org"));
    web.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@x.org>\r\n");
    web.expect("220");
    web.expect("421 4.7.0 This is SMTP, closing");
    assert_eq!(web.rest(), "");
}

#[test]
fn a_second_connection_resumes_the_first_one_s_keys() {
    let keys = Keys::new();
    let server = keys.serve("");
    for version in VERSIONS {
        let config = client_config(version);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut client = start_tls(&server, &config, "mail.example.org");
            client.deliver();
            kinds.push(client.tls().handshake_kind().unwrap());
            client.say("QUIT", "221");
        }
        assert_eq!(kinds[0], rustls::HandshakeKind::Full);
        assert_eq!(kinds[1], rustls::HandshakeKind::Resumed);
    }
}

#[test]
fn stopping_ends_a_handshake_and_tells_who_is_encrypted() {
    let keys = Keys::new();
    let mut server = keys.serve("stop_seconds_max: 60");
    let half = started(&server).into_stream();
    let mut whole = start_tls(&server, &client_config(VERSIONS[1]), "mail.example.org");
    whole.say("EHLO x", "250");
    server.signal();
    whole.expect("421 4.3.2");
    assert_eq!(whole.rest(), "");
    assert_eq!(rest(&half), b"");
    assert_eq!(server.stop(), Some(0));
}

/// A trace has the handshake, but no cryptography: it plays as any other.
#[test]
fn the_trace_of_an_encrypted_session_plays() {
    let keys = Keys::new();
    let log = keys.path("log");
    let log = format!("log: (console_level: \"off\", files: [(\"{}\", \"trace\")])", log.display());
    let config = client_config(VERSIONS[1]);
    let mut server = Server::start_listening(&format!(
        "({log}, handshakes_max: 1, {},
          listeners: [(address: \"127.0.0.1:0\"), (address: \"127.0.0.1:0\", tls: FirstOctet)])",
        keys.ron(&["a"])
    ));
    let half = started(&server);
    let mut refused = server.connect();
    refused.say("EHLO x", "250");
    refused.say("STARTTLS", "454");
    drop(half);
    wait_until("the end of the first handshake", || {
        std::fs::read_to_string(keys.path("log")).unwrap().contains("0001 disconnect")
    });
    let mut secure = start_tls(&server, &config, "mail.example.org");
    secure.deliver();
    let stream = connect(server.addresses[1].parse().unwrap());
    let mut first = Secure::over(stream, client(&config, "mail.example.org"));
    first.expect("220");
    first.deliver();
    assert_eq!(server.stop(), Some(0));
    let log = std::fs::read_to_string(keys.path("log")).unwrap();
    for (id, expected) in [
        ("0001", "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\n# the client hung up\n"),
        ("0002", "* verdict busy\nC: STARTTLS\nS: 454 4.7.0 "),
        ("0003", "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\n* encrypted\n"),
        ("0004", "! encrypted: yes\nS: 220 "),
    ] {
        let lines = log.lines().filter_map(|line| line.split_once(&format!(" TRACE {id} ")));
        let text = lines.fold(String::new(), |text, (_, line)| text + line + "\n");
        assert!(text.contains(expected), "{text}");
        let dialogue = Dialogue::parse(&text).unwrap();
        let machine = dialogue.machine(page()).unwrap();
        let mut peer = Peer::new(&dialogue.config().unwrap(), machine);
        assert_eq!(dialogue.play(&mut peer, |most| most), Ok(()), "{text}");
    }
    assert!(log.contains(" INFO  0001 handshake failed=\"the client hung up\""), "{log}");
}
