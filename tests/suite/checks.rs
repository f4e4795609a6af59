//! What the fuzzers check, each a function of any octets that panics where something is wrong.
//! `cargo fuzz` calls them with what it finds, `cargo test` with the corpora.

use std::sync::LazyLock;

use postman::autofsm;
use postman::config::Config;
use postman::dialogue::{Play as _, Verdict};
use postman::smtp::command;
use postman::smtp::faults::{Faults, RULES};
use postman::smtp::framer::{Content, Line, Lines, Run};
use postman::smtp::path::{
    ADDRESS_BYTES_MAX, DOMAIN_BYTES_MAX, Domain, ForwardPath, ReversePath, Syntax,
};
use postman::smtp::session::{Input, Settings};
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::Peer;

pub(crate) type Check = fn(&[u8]);

/// Every check, by the name of its target.
pub(crate) const ALL: &[(&str, Check)] = &[
    ("command", command),
    ("configuration", configuration),
    ("definition", definition),
    ("faults", faults),
    ("framer", framer),
    ("path", path),
    ("session", session),
    ("web", web),
];

/// Requests for the page: each is answered or not, and none is let in by a foreign name.
pub(crate) fn web(data: &[u8]) {
    let sent = postman::web::rehearsal::judge(data);
    assert!(
        sent.is_empty() || sent.starts_with(b"HTTP/1."),
        "{:?}",
        String::from_utf8_lossy(&sent)
    );
    let has = |octets: &[u8], words: &str| {
        octets.windows(words.len()).any(|part| part.eq_ignore_ascii_case(words.as_bytes()))
    };
    let names = ["localhost", "127.", "::1", "0:1", "7f"];
    assert!(!has(&sent, " 200 OK\r\n") || names.iter().any(|name| has(data, name)));
}

/// The octets after the first, cut in pieces whose length the first tells.
fn pieces(data: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let (first, text) = data.split_first().unwrap_or((&0, &[]));
    (text, text.chunks(1 + usize::from(*first)))
}

/// Lines and content against the plainest reading of the RFC.
pub(crate) fn framer(data: &[u8]) {
    const MAX: usize = 40;
    let (text, cut) = pieces(data);

    let mut content = Content::new();
    let (mut kept, mut ended, mut taken_in_all) = (Vec::new(), false, 0);
    for piece in cut {
        let mut rest = piece;
        while !ended && !rest.is_empty() {
            let (taken, run) = content.take(rest);
            assert!(taken > 0 || run == Run::HeldCr, "no progress");
            match run {
                Run::Octets(range) => kept.extend_from_slice(&rest[range]),
                Run::HeldCr => kept.push(b'\r'),
                Run::End => ended = true,
            }
            taken_in_all += taken;
            rest = &rest[taken..];
        }
    }
    let mut whole = b"\r\n".to_vec();
    whole.extend_from_slice(text);
    let end = whole.windows(5).position(|window| window == b"\r\n.\r\n");
    assert_eq!(ended, end.is_some());
    let body = end.map_or(&whole[..], |end| &whole[..end + 2]);
    let mut expected = Vec::new();
    for (place, octet) in body.iter().enumerate().skip(2) {
        if !(*octet == b'.' && body[..place].ends_with(b"\r\n")) {
            expected.push(*octet);
        }
    }
    if let Some(end) = end {
        assert_eq!((kept, taken_in_all), (expected, end + 5 - 2));
    } else {
        // A CR behind the dot that begins a line may be the end's.
        let held = usize::from(body.ends_with(b"\r\n.\r"));
        assert_eq!(kept, expected[..expected.len() - held]);
    }

    let (_, cut) = pieces(data);
    let mut lines = Lines::new();
    let mut expected =
        text.split_inclusive(|octet| *octet == b'\n').filter(|line| line.ends_with(b"\n"));
    for piece in cut {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, line) = lines.take(rest, MAX);
            assert!(taken > 0, "no progress");
            rest = &rest[taken..];
            let Some(line) = line else { continue };
            let raw = expected.next().expect("a line that nobody sent");
            let (long, bare) = (raw.len() > MAX, !raw.ends_with(b"\r\n"));
            match line {
                Line::Whole(text) => assert!(!long && !bare && *text == raw[..raw.len() - 2]),
                Line::BareLf(text) => assert!(bare && raw.starts_with(&text)),
                Line::TooLong(text) => assert!(long && !bare && raw.starts_with(&text)),
            }
        }
    }
    assert_eq!(expected.next(), None, "a line was lost");
}

/// A command's parts are parts of its line, and what was read writes itself so that it reads
/// as the same.
pub(crate) fn command(data: &[u8]) {
    if let Some(text) = command::with_eight_bit_name(data) {
        assert!(
            text.len() == data.len()
                && text.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~'))
        );
    }
    let Ok(line) = std::str::from_utf8(data) else { return };
    let _ = (command::is_http(line), command::is_proxy(line));
    for syntax in [Syntax::Lenient, Syntax::Strict] {
        let Some(words) = command::split(line, syntax) else { return };
        assert!(line.starts_with(words.verb) && line.contains(words.argument));
        let mail = command::mail(words.argument, syntax, |_| true);
        if let Ok(mail) = &mail {
            let again = command::mail(&format!("FROM:<{}>", mail.sender), syntax, |_| false);
            assert_eq!(again.expect("what was read can be read").sender, mail.sender);
        }
        let rcpt = command::rcpt(words.argument, syntax);
        if let Ok(recipient) = &rcpt {
            let text = match &recipient {
                ForwardPath::Postmaster => "postmaster".to_owned(),
                ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
            };
            assert_eq!(command::rcpt(&format!("TO:<{text}>"), syntax).as_ref(), Ok(recipient));
        }
        let helo = command::helo(words.argument, syntax);
        if let Ok(name) = &helo {
            assert!(
                name.len() <= DOMAIN_BYTES_MAX
                    && name.bytes().all(|octet| octet.is_ascii_graphic())
            );
        }
        let vrfy = command::vrfy(words.argument, syntax, &Domain::Name("postman.local".to_owned()));
        // A lenient reader takes all that a strict one takes, and reads the same in it.
        if syntax == Syntax::Strict {
            let words = command::split(line, Syntax::Lenient).expect("a verb is a verb");
            if mail.is_ok() {
                assert_eq!(command::mail(words.argument, Syntax::Lenient, |_| true), mail);
            }
            if rcpt.is_ok() {
                assert_eq!(command::rcpt(words.argument, Syntax::Lenient), rcpt);
            }
            if helo.is_ok() {
                assert_eq!(command::helo(words.argument, Syntax::Lenient), helo);
            }
            if vrfy.is_ok() {
                let own = Domain::Name("postman.local".to_owned());
                assert_eq!(command::vrfy(words.argument, Syntax::Lenient, &own), vrfy);
            }
        }
    }
}

/// What is read as an address is printable, bounded, and reads as the same again.
pub(crate) fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for syntax in [Syntax::Lenient, Syntax::Strict] {
        if let Ok(domain) = Domain::parse(text, syntax) {
            let shown = domain.to_string();
            assert!(shown.bytes().all(|octet| octet.is_ascii_graphic()));
            assert_eq!(domain.is_strict(), Domain::parse(text, Syntax::Strict).is_ok());
            if shown.len() <= ADDRESS_BYTES_MAX {
                assert_eq!(Domain::parse(&shown, syntax), Ok(domain));
            }
        }
        if let Ok(path) = ReversePath::parse(text, syntax) {
            let shown = path.to_string();
            assert!(shown.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            // The other form of an IPv6 address is longer at times, and no more than that.
            assert!(shown.len() <= ADDRESS_BYTES_MAX + "[IPv6:::ffff:255.255.255.255]".len());
            if shown.len() <= ADDRESS_BYTES_MAX {
                assert_eq!(ReversePath::parse(&format!("<{shown}>"), syntax), Ok(path));
            }
        }
        let _ = ForwardPath::parse(text, syntax);
    }
}

/// A configuration is used, or refused with findings: a line each, with its place.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Config::parse(text) {
        assert!(!error.is_empty());
        for finding in error.split('\n') {
            let mut place = finding.split(':').map(str::parse::<usize>);
            assert!(
                matches!((place.next(), place.next()), (Some(Ok(1..)), Some(Ok(1..)))),
                "{error}"
            );
        }
    }
}

/// A definition compiles, or has diagnostics; they render; what compiled can be written; what was
/// refused and is known can be shown.
pub(crate) fn definition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for vocabulary in [None, Some(&VOCABULARY)] {
        let compiled = autofsm::compile(text, vocabulary);
        let shown = autofsm::render(&compiled.diagnostics, "x.def", text);
        assert_eq!(shown.is_empty(), compiled.diagnostics.is_empty());
        if let Some(refused) = &compiled.refused {
            assert!(compiled.definition.is_none());
            let marks = autofsm::Marks::of(refused, &compiled.diagnostics);
            let shown = [autofsm::table, autofsm::json, autofsm::dot, autofsm::mermaid];
            assert!(shown.iter().all(|show| !show(refused, &marks).is_empty()));
            assert!(autofsm::svg(refused, &marks).is_none_or(|picture| picture.contains("<svg")));
        }
        match compiled.definition {
            None => assert!(!compiled.diagnostics.is_empty(), "refused without a word"),
            Some(definition) => {
                assert_eq!(
                    definition.cells.len(),
                    definition.states.len() * definition.events.len()
                );
                if vocabulary.is_some() {
                    assert!(!autofsm::rust(&definition, &VOCABULARY, "x.def", text).is_empty());
                }
            }
        }
    }
}

const SAID: [&str; 16] = [
    "EHLO x\r\n",
    "HELO x\r\n",
    "MAIL FROM:<a@x.org>\r\n",
    "MAIL FROM:<> SIZE=9 BODY=7BIT\r\n",
    "RCPT TO:<b@postman.local>\r\n",
    "RCPT TO:<nobody@postman.local>\r\n",
    "RCPT TO:<Postmaster>\r\n",
    "RCPT TO:<a@other.server>\r\n",
    "DATA\r\n",
    "\r\n.\r\n",
    "RSET\r\n",
    "VRFY b\r\n",
    "STARTTLS\r\n",
    "x\r\n",
    "Received: x\r\n",
    "NOOP\r\n",
];

/// A list of operations: an octet says which, the next ones what. The peer holds the session to
/// its contract: the state moves only along a cell, each command has one reply, memory has its
/// bound, and a transaction that was dropped leaves no open message.
pub(crate) fn session(data: &[u8]) {
    let mut rest = data.iter().copied();
    let setup = rest.next().unwrap_or(0);
    let text = format!(
        "(users: Listed([\"b\"]), relay_from: [{}], vrfy: {}, bare_newline: {}, syntax: {}, errors_max: 5, line_bytes_max: 512,
          message_bytes_max: 65536, recipients_max: 100)",
        if setup & 1 == 0 { "" } else { "\"127.0.0.1\"" },
        if setup & 2 == 0 { "Vague" } else { "Honest" },
        if setup & 4 == 0 { "Refuse" } else { "Keep" },
        if setup & 8 == 0 { "Lenient" } else { "Strict" },
    );
    let mut peer = Peer::new(&Config::parse(&text).expect("a configuration"));
    while let (true, Some(operation)) = (peer.open, rest.next()) {
        match operation {
            0..=15 => peer.give(Input::Octets(SAID[usize::from(operation)].as_bytes())),
            16 => {
                let verdict = match rest.next().unwrap_or(0) % 5 {
                    0 => Verdict::Yes,
                    1 => Verdict::Unknown,
                    2 => Verdict::Full,
                    3 => Verdict::Busy,
                    _ => Verdict::Broken,
                };
                let question = peer.questions;
                peer.verdicts.insert(question, verdict);
            }
            17 => peer.give(Input::Silence),
            18 => peer.give(Input::Stop),
            19 => peer.give(Input::HangUp),
            20 => {
                // The same, many times: an over-long line, a big message, a full envelope.
                let (times, octet) = (rest.next().unwrap_or(0), rest.next().unwrap_or(b'x'));
                peer.give(Input::Octets(&vec![octet; usize::from(times) * 300]));
            }
            21 => {
                // Pipelined, in one input.
                let count = usize::from(rest.next().unwrap_or(0));
                let said: String =
                    rest.by_ref().take(count).map(|octet| SAID[usize::from(octet) % 16]).collect();
                peer.give(Input::Octets(said.as_bytes()));
            }
            22 if peer.shakes_hands => peer.give(Input::Encrypted),
            22 => {}
            _ => {
                let count = usize::from(operation) - 22;
                let octets: Vec<u8> = rest.by_ref().take(count).collect();
                peer.give(Input::Octets(&octets));
            }
        }
    }
}

/// A file of faults has findings, and they can be shown; or it has faults, and a client that talks
/// meets them without a panic.
pub(crate) fn faults(data: &[u8]) {
    static PAGE: LazyLock<autofsm::Definition> = LazyLock::new(|| {
        autofsm::compile(crate::peer::PAGE, Some(&RULES)).definition.expect("the page compiles")
    });
    let Ok(text) = std::str::from_utf8(data) else { return };
    let compiled = autofsm::compile_faults(text, &PAGE, &RULES);
    let shown = autofsm::render(&compiled.diagnostics, "x.def", text);
    assert_eq!(shown.is_empty(), compiled.diagnostics.is_empty());
    let Some(faults) = compiled.faults else {
        return assert!(!compiled.diagnostics.is_empty(), "refused without a word");
    };
    let faults = Faults::new(&PAGE, &faults).expect("its patterns were read");
    let config = Config::default();
    let settings = Settings { faults: faults.clone(), ..config.settings(crate::peer::page()) };
    let mut client = postman::dialogue::Peer::with(&config, settings);
    for line in [
        "EHLO x",
        "NOOP",
        "HELP",
        "MAIL FROM:<a@x.org>",
        "RCPT TO:<b@postman.local>",
        "RCPT TO:<c@postman.local>",
        "DATA",
        "Subject: x",
        "",
        "x",
        ".",
        "STARTTLS",
        "RSET",
        "MAIL FROM:<a@x.org>",
        "VRFY b",
        "QUIT",
    ] {
        client.give(Input::Octets(format!("{line}\r\n").as_bytes()));
    }
    if let Some(faults) = faults {
        assert_eq!(faults.report().len(), faults.count());
    }
}

#[test]
fn the_corpora_of_the_fuzzers_pass_their_checks() {
    for (name, check) in ALL {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect("a corpus") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            check(&std::fs::read(path).expect("a seed"));
            count += 1;
        }
        assert!(count >= 5, "{name}: {count} seeds");
    }
}
