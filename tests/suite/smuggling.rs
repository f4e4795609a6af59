//! Only CR LF dot CR LF ends a message. Every sequence that some server was found to take for
//! it, and all that can be made of their parts, at every place of a buffer: each is content, or
//! has the message refused, and the second message that an attacker hid behind it never comes.
//!
//! SEC Consult, "SMTP Smuggling", December 2023 (CVE-2023-51764, -51765, -51766); Postfix,
//! `smtpd_forbid_bare_newline`; Sendmail's and Exim's answers, 2023 and 2024; Python's aiosmtpd,
//! CVE-2024-27305; RFC 5321 2.3.8, 4.1.1.4.

use postman::config::{BareNewline, Config};
use postman::smtp::session::Input;

use crate::peer::Peer;
use crate::rig::{Random, Server};

/// What was taken for the end of data somewhere, or could be.
const ENDS: &[&str] = &[
    "\n.\n",
    "\n.\r\n",
    "\n.\r",
    "\r.\r",
    "\r.\n",
    "\r.\r\n",
    "\r\n.\r",
    "\r\n.\n",
    "\n\n.\r\n",
    "\n\r.\r\n",
    "\r\n\n.\r\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\r\n.\n",
    "\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\0\n.\r\n",
    "\r\n.\0\r\n",
    "\r\n.\r\0\n",
    "\0\r\n.\n",
    "\r\n.\x0b\r\n",
    "\r\n\x0b.\r\n",
    "\r\n.\x0c\r\n",
    "\x0b.\x0b",
    "\x0c.\x0c",
    "\u{85}.\u{85}",
    "\u{2028}.\u{2028}",
    "\u{2029}.\u{2029}",
    "\r\n.\u{85}",
    "\u{2028}.\r\n",
    "\r\n. \r\n",
    "\r\n .\r\n",
    "\r\n.\t\r\n",
    "\r\n..\r\n",
    "\r\n\u{ff0e}\r\n",
    "\r\n.\u{200b}\r\n",
    "\n\r\n.\n\r",
    "\x1a",
    "\x04",
];

const SMUGGLED: &str = "MAIL FROM:<admin@postman.local>\r\nRCPT TO:<c@postman.local>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";
const ENVELOPE: &str = "EHLO x\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<b@postman.local>\r\nDATA\r\n";

/// CR or LF alone, by another reading than the framer's.
fn has_bare(text: &str) -> bool {
    let rest = text.replace("\r\n", "");
    rest.contains(['\r', '\n'])
}

/// What must be stored of a text that is kept: a dot is taken from each line that begins with one.
fn unstuffed(text: &str) -> Vec<u8> {
    let text = format!("\r\n{text}").replace("\r\n.", "\r\n");
    text.as_bytes()[2..].to_vec()
}

fn check(content: &str, config: &Config, pieces: &[&[u8]]) {
    let mut peer = Peer::new(config);
    peer.give(Input::Octets(ENVELOPE.as_bytes()));
    peer.said.clear();
    for piece in pieces {
        peer.give(Input::Octets(piece));
    }
    assert_eq!(peer.take_reply(), None, "an end before the end: {content:?}");
    peer.give(Input::Octets(b"\r\n.\r\n"));
    let reply = peer.take_reply().unwrap_or_default();
    // The last CR LF is the line's own, and the content's last octets may want it.
    if config.bare_newline == BareNewline::Refuse && has_bare(&format!("{content}\r\n")) {
        assert!(reply.starts_with("550 5.6.11"), "{content:?}: {reply}");
        assert!(peer.stored.is_empty());
    } else {
        assert!(reply.starts_with("250"), "{content:?}: {reply}");
        assert_eq!(peer.stored, [unstuffed(&format!("{content}\r\n"))], "{content:?}");
    }
    assert_eq!((peer.take_reply(), peer.envelopes.len()), (None, 1));
    assert_eq!(peer.session.position().name(), "client_ready");
}

#[test]
fn nothing_but_the_end_of_data_ends_a_message_wherever_it_is_cut() {
    let configs = [BareNewline::Refuse, BareNewline::Keep]
        .map(|bare_newline| Config { bare_newline, ..Config::default() });
    for end in ENDS {
        let content = format!("Subject: x\r\n\r\nhello{end}{SMUGGLED}");
        let octets = content.as_bytes();
        for config in &configs {
            let begin = content.find("hello").unwrap();
            for cut in begin..begin + 5 + end.len() + 6 {
                check(&content, config, &[&octets[..cut], &octets[cut..]]);
            }
            check(&content, config, &octets.chunks(1).collect::<Vec<_>>());
            check(&content, config, &[octets]);
        }
    }
}

/// All texts of the octets that matter, up to six, where a smuggler would put them.
#[test]
fn no_text_of_the_octets_that_matter_ends_a_message_but_the_one() {
    const SIGNS: [&str; 5] = ["\r", "\n", ".", "\0", "x"];
    let seed = Random::seed();
    println!("POSTMAN_SEED={seed}");
    let (mut random, config) = (Random(seed), Config::default());
    for number in 0..SIGNS.len().pow(6) {
        let end: String =
            (0..6).map(|place| SIGNS[number / SIGNS.len().pow(place) % SIGNS.len()]).collect();
        // One of the five is looked at each time: all of them take minutes.
        if random.below(5) > 0 || format!("{end}M").contains("\r\n.\r\n") {
            continue;
        }
        let content = format!("x{end}MAIL FROM:<a@x.org>");
        let cut = 1 + random.below(end.len());
        check(&content, &config, &[&content.as_bytes()[..cut], &content.as_bytes()[cut..]]);
    }
}

#[test]
fn over_a_socket_no_second_message_comes_out_of_one() {
    let server = Server::start("(users: Listed([\"b\", \"c\"]), bare_newline: Keep)");
    let refusing = Server::start("(users: Listed([\"b\", \"c\"]))");
    for end in ENDS {
        let content = format!("Subject: x\r\n\r\nhello{end}{SMUGGLED}");
        for (server, keeps) in [(&server, true), (&refusing, false)] {
            let mut talk = server.connect();
            talk.send(format!("{ENVELOPE}{content}\r\n.\r\nQUIT\r\n").as_bytes());
            for code in ["250-", "250", "250", "354"] {
                talk.expect(code);
            }
            talk.expect(if keeps || !has_bare(&content) { "250" } else { "550 5.6.11" });
            talk.expect("221");
            assert!(talk.is_closed(), "{end:?}");
        }
    }
    let clean = ENDS.iter().filter(|end| !has_bare(end)).count();
    for (server, expected) in [(&server, ENDS.len()), (&refusing, clean)] {
        assert_eq!(server.files("b/new").len(), expected);
        assert!(server.files("c/new").is_empty(), "a smuggled message arrived");
    }
    // Kept as it came: each file ends in the content, octet by octet.
    let mut files = server.files("b/new");
    for end in ENDS {
        let whole = unstuffed(&format!("Subject: x\r\n\r\nhello{end}{SMUGGLED}\r\n"));
        let place = files
            .iter()
            .position(|file| file.ends_with(&whole))
            .unwrap_or_else(|| panic!("{end:?} is lost"));
        files.remove(place);
    }
}
