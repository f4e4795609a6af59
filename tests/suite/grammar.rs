//! The grammar is the only reader of addresses: what it takes is what RFC 5321 says, no more
//! and no less. Held against the RFC's own ABNF, and against what other parsers say.

use postman::config::Config;
use postman::smtp::path::{ADDRESS_BYTES_MAX, Domain, ForwardPath, PathError, ReversePath, Syntax};
use postman::smtp::session::Input;

use crate::abnf::Grammar;
use crate::peer::Peer;
use crate::rig::Random;

/// In a debug build the reader of ABNF is slow; `POSTMAN_ROUNDS` has more.
fn rounds() -> usize {
    std::env::var("POSTMAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// One small change, of the kind that clients and attackers make.
pub(crate) fn nearly(text: &str, other: &str, random: &mut Random) -> String {
    const SIGNS: &[u8] = b"<>@.,:;[]\"\\ -_+/%=()\t\r\n\0\x7f0aZ9g";
    let mut octets = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        let place = random.below(octets.len() + 1);
        let sign = SIGNS[random.below(SIGNS.len())];
        match random.below(6) {
            0 => octets.insert(place, sign),
            1 if place < octets.len() => drop(octets.remove(place)),
            2 if place < octets.len() => octets[place] = sign,
            3 if place + 1 < octets.len() => octets.swap(place, place + 1),
            4 => {
                // The begin of one, the end of another.
                octets.truncate(place);
                octets.extend(&other.as_bytes()[random.below(other.len())..]);
            }
            _ => {
                let piece = octets[place / 2..place].to_vec();
                octets.splice(place..place, piece);
            }
        }
        if octets.is_empty() {
            octets.push(sign);
        }
    }
    String::from_utf8(octets).unwrap()
}

/// What the RFC says of a path: its grammar, and then our limit, since its own are minimums.
fn judge(grammar: &Grammar, rule: &str, text: &str) -> Result<(), PathError> {
    if !grammar.accepts(rule, text) {
        return Err(PathError::Syntax);
    }
    // The address after the route, of all ways to divide: the grammar leaves one.
    let mailbox = |place: usize| grammar.accepts("Mailbox", &text[place..text.len() - 1]);
    let begin = (1..text.len() - 1)
        .find(|place| mailbox(*place) && matches!(text.as_bytes()[place - 1], b'<' | b':'));
    let Some(begin) = begin else { return Ok(()) };
    if text.len() - 1 - begin > ADDRESS_BYTES_MAX { Err(PathError::AddressTooLong) } else { Ok(()) }
}

fn agree(grammar: &Grammar, text: &str, taken: &mut usize) {
    let reverse = judge(grammar, "Reverse-path", text);
    assert_eq!(
        ReversePath::parse(text, Syntax::Strict).map(|_| ()),
        reverse,
        "reverse-path {text:?}"
    );
    if let Ok(path) = ReversePath::parse(text, Syntax::Strict) {
        assert_eq!(
            ReversePath::parse(text, Syntax::Lenient),
            Ok(path),
            "a lenient reader reads it too"
        );
    }
    *taken += usize::from(reverse.is_ok());
    // "<Postmaster@" Domain ">" is a Forward-path too.
    let forward = if grammar.accepts("rcpt", &format!("RCPT TO:{text}\r\n")) {
        if text.eq_ignore_ascii_case("<postmaster>") {
            Ok(())
        } else {
            judge(grammar, "Forward-path", text)
        }
    } else {
        Err(PathError::Syntax)
    };
    assert_eq!(
        ForwardPath::parse(text, Syntax::Strict).map(|_| ()),
        forward,
        "forward-path {text:?}"
    );
}

#[test]
fn what_the_rfcs_grammar_makes_is_taken_and_what_is_nearly_so_is_judged_by_it() {
    let (grammar, seed) = (Grammar::new(), Random::seed());
    println!("POSTMAN_SEED={seed}");
    let mut random = Random(seed);
    let (mut taken, mut before) = (0, "<a@x.org>".to_owned());
    for _ in 0..rounds() {
        let path = grammar.generate("Reverse-path", &mut random);
        agree(&grammar, &path, &mut taken);
        for _ in 0..4 {
            agree(&grammar, &nearly(&path, &before, &mut random), &mut taken);
        }
        before = path;
    }
    // Both kinds, in numbers, or the test shows nothing.
    assert!((rounds()..rounds() * 4).contains(&taken), "{taken} of {}", rounds() * 5);
}

/// Small texts, all of them: nothing hides between the random ones.
#[test]
fn every_short_text_of_the_signs_that_matter_is_judged_as_the_rfc_judges_it() {
    const SIGNS: &[u8] = b"a1@.\"\\-:[]";
    let (grammar, mut taken) = (Grammar::new(), 0);
    for length in 0..=4_u32 {
        for number in 0..SIGNS.len().pow(length) {
            let inside = (0..length)
                .map(|place| char::from(SIGNS[number / SIGNS.len().pow(place) % SIGNS.len()]));
            agree(&grammar, &format!("<{}>", inside.collect::<String>()), &mut taken);
        }
    }
    assert!(taken > 10, "{taken}");
}

#[test]
fn domains_and_address_literals_are_the_rfcs_and_keep_their_value() {
    let (grammar, seed) = (Grammar::new(), Random::seed());
    println!("POSTMAN_SEED={seed}");
    let mut random = Random(seed);
    let is_domain =
        |text: &str| grammar.accepts("Domain", text) || grammar.accepts("address-literal", text);
    let mut before = "x.org".to_owned();
    for round in 0..rounds() {
        let text = grammar
            .generate(if round % 2 == 0 { "Domain" } else { "address-literal" }, &mut random);
        let read = Domain::parse(&text, Syntax::Strict)
            .unwrap_or_else(|error| panic!("{text}: {error:?}"));
        // What is written of it reads as the same again.
        assert_eq!(Domain::parse(&read.to_string(), Syntax::Strict), Ok(read.clone()), "{text}");
        if let Domain::Literal(std::net::IpAddr::V6(address)) = &read {
            // Where the standard library reads it too, it reads the same.
            let inside = &text[6..text.len() - 1];
            assert!(
                inside.parse().is_ok_and(|other: std::net::Ipv6Addr| other == *address)
                    || inside.contains('.'),
                "{text}"
            );
        }
        for _ in 0..4 {
            let text = nearly(&text, &before, &mut random);
            assert_eq!(Domain::parse(&text, Syntax::Strict).is_ok(), is_domain(&text), "{text:?}");
        }
        before = text;
    }
}

/// A whole line through a session that is where the command is expected.
fn reply_to(line: &str, before: &str, syntax: Syntax) -> u16 {
    let config = Config { syntax, ..Config::default() };
    let mut peer = Peer::new(&config);
    peer.give(Input::Octets(before.as_bytes()));
    peer.said.clear();
    peer.give(Input::Octets(line.as_bytes()));
    let replies = String::from_utf8(peer.said.clone()).unwrap();
    replies.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Whole commands, valid and nearly: 2xx or 3xx or a reason of its own where the grammar takes
/// the line, 50x where it does not.
#[test]
fn whole_commands_are_the_rfcs_too() {
    const COMMANDS: [(&str, &str); 11] = [
        ("ehlo", ""),
        ("helo", ""),
        ("mail", "EHLO x\r\n"),
        ("rcpt", "EHLO x\r\nMAIL FROM:<>\r\n"),
        ("data", "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@postman.local>\r\n"),
        ("rset", ""),
        ("vrfy", ""),
        ("expn", ""),
        ("help", ""),
        ("noop", ""),
        ("quit", ""),
    ];
    let (grammar, seed) = (Grammar::new(), Random::seed());
    println!("POSTMAN_SEED={seed}");
    let mut random = Random(seed);
    let other = "MAIL FROM:<a@x.org>\r\n".to_owned();
    for round in 0..rounds() {
        let (rule, before) = COMMANDS[round % COMMANDS.len()];
        let line = grammar.generate(rule, &mut random);
        let code = reply_to(&line, before, Syntax::Strict);
        // A parameter or a keyword that we do not have, a literal that leads nowhere, a topic of
        // HELP; a keyword given twice or one of ours with another's value.
        let reasons: &[u16] = match rule {
            "mail" => &[250, 555, 501],
            "rcpt" => &[250, 555, 501, 553],
            "help" => &[214, 504],
            "vrfy" => &[252],
            "expn" => &[502],
            "data" => &[354],
            "quit" => &[221],
            _ => &[250],
        };
        assert!(reasons.contains(&code), "{line:?}: {code}");
        if code == 501 {
            assert!(
                line.contains(' ') && !matches!(line.split_once('>'), Some((_, "\r\n"))),
                "{line:?}: {code}"
            );
        }
        let near = nearly(line.trim_end(), other.trim_end(), &mut random);
        if near.contains(['\r', '\n']) {
            continue;
        }
        let code = reply_to(&format!("{near}\r\n"), before, Syntax::Strict);
        // HELO takes a literal as EHLO does; blanks at the end are tolerated (RFC 5321 4.1.1).
        let read = near.trim_end_matches([' ', '\t']);
        let strict = format!("{read}\r\n");
        let known = COMMANDS.iter().any(|(rule, _)| grammar.accepts(rule, &strict));
        let lenient = match read.split_once(' ') {
            // SPEC: HELO takes a literal too; NOOP takes any text, EXPN declines any, HELP says
            // 504, VRFY takes a mailbox or a path, too (RFC 5321 3.5.1).
            Some((verb, argument)) if verb.eq_ignore_ascii_case("HELO") => {
                grammar.accepts("address-literal", argument)
            }
            Some((verb, _))
                if ["NOOP", "EXPN", "HELP"]
                    .iter()
                    .any(|known| verb.eq_ignore_ascii_case(known)) =>
            {
                true
            }
            // A tab is one of the words of these three.
            _ if ["NOOP\t", "EXPN\t", "HELP\t"].iter().any(|known| {
                read.get(..known.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(known))
            }) =>
            {
                true
            }
            Some((verb, argument)) if verb.eq_ignore_ascii_case("VRFY") => {
                let bare = argument
                    .strip_prefix('<')
                    .and_then(|rest| rest.strip_suffix('>'))
                    .unwrap_or(argument);
                grammar.accepts("Forward-path", &format!("<{bare}>"))
                    || grammar.accepts("Local-part", bare)
                    || bare.eq_ignore_ascii_case("postmaster")
            }
            None => read.eq_ignore_ascii_case("EXPN"),
            _ => false,
        };
        if !known && !lenient {
            assert!(matches!(code, 500 | 501 | 503 | 421), "{near:?}: {code}");
        }
    }
}

#[test]
fn a_blank_or_a_tab_between_words_is_an_error_only_to_the_letter() {
    for (line, strict) in [
        ("MAIL FROM:<a@x.org>", 250),
        ("MAIL FROM:<a@x.org> \t", 250),
        ("MAIL  FROM:<a@x.org>", 501),
        ("MAIL\tFROM:<a@x.org>", 501),
        ("MAIL FROM: <a@x.org>", 501),
        ("MAIL FROM :<a@x.org>", 501),
        ("MAIL FROM:<a@x.org>  SIZE=1", 501),
        ("mail\tfrom \t:\t <a@x.org>  SIZE=1  BODY=7BIT ", 501),
    ] {
        assert_eq!(
            reply_to(&format!("{line}\r\n"), "EHLO x\r\n", Syntax::Lenient),
            250,
            "{line:?}"
        );
        assert_eq!(
            reply_to(&format!("{line}\r\n"), "EHLO x\r\n", Syntax::Strict),
            strict,
            "{line:?}"
        );
    }
}
