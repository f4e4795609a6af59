//! Lines into commands: the verb, and for each action its argument. RFC 5321 4.1.1, 4.1.2.
//!
//! The grammar stands above the regular expression that recognises it. What was parsed here is
//! the only thing that is used afterwards.

use std::sync::LazyLock;

use regex::Regex;

use super::path::{DOMAIN_BYTES_MAX, Domain, ForwardPath, PathError, ReversePath, Syntax, path_length, pattern};

/// Why an argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// It does not have the command's form at all.
    Syntax,
    /// The path is invalid.
    Path(PathError),
    /// The domain is invalid.
    Domain,
    /// A parameter is malformed or given twice.
    BadParameter,
    /// A parameter is not known, or not offered.
    UnknownParameter,
}

// command = verb [SP argument] CRLF                                      RFC 5321 2.4, 4.1.1
static COMMAND: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<verb>[A-Za-z][A-Za-z0-9_^-]*)(?:[ \t]+(?P<argument>.*?))?[ \t]*$"));

// mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF             RFC 5321 4.1.1.2
static FROM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:FROM):(?P<rest><.*)$"));
// Blanks around the colon and paths without brackets are wrong but common, and a receiver must
// not lose the mail of a controller that nobody can mend.
static LENIENT_FROM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:FROM)[ \t]*:[ \t]*(?P<rest>.+)$"));

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
//        [SP Rcpt-parameters] CRLF                                       RFC 5321 4.1.1.3
static TO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:TO):(?P<rest><.*)$"));
static LENIENT_TO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:TO)[ \t]*:[ \t]*(?P<rest>.+)$"));

// esmtp-param = esmtp-keyword ["=" esmtp-value]                          RFC 5321 4.1.2
// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
// esmtp-value = 1*(%d33-60 / %d62-126)
static PARAMETER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[!-<>-~]+))?$"));

// size-value = 1*20DIGIT                                                 RFC 1870 3
static SIZE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[0-9]{1,20}$"));

// vrfy   = "VRFY" SP String CRLF                                         RFC 5321 4.1.1.6
// String = Atom / Quoted-string                                          RFC 5321 4.1.2
// "a user name or mailbox": we take a mailbox too, bare or as a path. RFC 5321 3.5.1 shows both.

// What a web client says first, also where its target is longer than a line may be, and the field that each of
// its requests has (RFC 9112 3, 3.2). It would go on with a body that somebody else's page chose.
static HTTP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:[A-Z]+ [!-~]+ HTTP/[0-9]|(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /|(?i-u:host):)")
});

// PROXY-v1 = "PROXY" SP ( "TCP4" / "TCP6" / "UNKNOWN" ) ...      PROXY protocol specification 2.1
static PROXY: LazyLock<Regex> = LazyLock::new(|| pattern("^PROXY (?:TCP4|TCP6|UNKNOWN)(?: |$)"));

/// The lines that version 2 of the PROXY protocol begins with, `\r\n\r\n\0\r\n`; `QUIT\n` and
/// binary data follow. PROXY protocol specification 2.2.
pub const PROXY_V2_LINES: [&[u8]; 3] = [b"", b"", b"\0"];

/// A line, split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// The first word.
    pub verb: &'a str,
    /// The text after it, without blanks around; "" if there is none.
    pub argument: &'a str,
}

/// Splits a line into verb and argument. Returns `None` if the line does not begin with a verb.
/// A strict reader takes one space away between the two, and what else separates them stays with
/// the argument, where no grammar has it; blanks at the end are tolerated (RFC 5321 4.1.1).
#[must_use]
pub fn split(line: &str, syntax: Syntax) -> Option<Words<'_>> {
    let parts = COMMAND.captures(line)?;
    let verb = parts.name("verb")?;
    let mut start = parts.name("argument").map_or(line.len(), |argument| argument.start());
    let end = parts.name("argument").map_or(line.len(), |argument| argument.end());
    if syntax == Syntax::Strict && start < end {
        let after = verb.end();
        start = if line.get(after..)?.starts_with(' ') { after + 1 } else { after };
    }
    Some(Words { verb: verb.as_str(), argument: line.get(start..end)? })
}

/// A line with octets above 127, which clients put into the names of their HELO: `MÜLLER-PC`, in
/// UTF-8 or Latin-1. Returns it with a `?` for each of these octets, as the log, the trace and the
/// queue have it; `None` if a control character is in it.
#[must_use]
pub fn with_eight_bit_name(line: &[u8]) -> Option<String> {
    let printable = |octet: &u8| match octet {
        b'\t' | b' '..=b'~' => Some(char::from(*octet)),
        0x80.. => Some('?'),
        _ => None,
    };
    line.iter().map(printable).collect()
}

/// Whether a web client speaks.
#[must_use]
pub fn is_http(line: &str) -> bool {
    HTTP.is_match(line)
}

/// Whether a proxy speaks, by version 1 of the PROXY protocol.
#[must_use]
pub fn is_proxy(line: &str) -> bool {
    PROXY.is_match(line)
}

/// What MAIL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where reports go.
    pub sender: ReversePath,
    /// `SIZE=`, in octets. RFC 1870.
    pub size: Option<u64>,
    /// Whether `BODY=` was given. RFC 6152.
    pub body: bool,
}

/// Reads MAIL's argument; `offers` says which keywords the machine offers.
///
/// # Errors
/// As [`ArgumentError`] says.
pub fn mail(argument: &str, syntax: Syntax, offers: impl Fn(&str) -> bool) -> Result<Mail, ArgumentError> {
    let form = if syntax == Syntax::Strict { &FROM } else { &LENIENT_FROM };
    let (path, rest) = address(form, argument)?;
    let sender = ReversePath::parse(path, syntax).map_err(ArgumentError::Path)?;
    let mut mail = Mail { sender, size: None, body: false };
    for (keyword, value) in parameters(rest, syntax)? {
        if keyword.eq_ignore_ascii_case("SIZE") && offers("SIZE") {
            let digits = value.filter(|text| SIZE.is_match(text)).ok_or(ArgumentError::BadParameter)?;
            // Twenty digits can be more than 64 bits hold: that is too big all the same.
            let size = digits.parse().unwrap_or(u64::MAX);
            if mail.size.replace(size).is_some() {
                return Err(ArgumentError::BadParameter);
            }
        } else if keyword.eq_ignore_ascii_case("BODY") && offers("8BITMIME") {
            let known = |text: &str| text.eq_ignore_ascii_case("7BIT") || text.eq_ignore_ascii_case("8BITMIME");
            if !value.is_some_and(known) || std::mem::replace(&mut mail.body, true) {
                return Err(ArgumentError::BadParameter);
            }
        } else {
            return Err(ArgumentError::UnknownParameter);
        }
    }
    Ok(mail)
}

/// Reads RCPT's argument. No parameter of it is offered.
///
/// # Errors
/// As [`ArgumentError`] says.
pub fn rcpt(argument: &str, syntax: Syntax) -> Result<ForwardPath, ArgumentError> {
    let form = if syntax == Syntax::Strict { &TO } else { &LENIENT_TO };
    let (path, rest) = address(form, argument)?;
    let recipient = ForwardPath::parse(path, syntax).map_err(ArgumentError::Path)?;
    if parameters(rest, syntax)?.is_empty() { Ok(recipient) } else { Err(ArgumentError::UnknownParameter) }
}

/// Reads what VRFY asks for: a user of the own domain, or any path.
///
/// # Errors
/// [`ArgumentError::Syntax`].
pub fn vrfy(argument: &str, syntax: Syntax, own: &Domain) -> Result<ForwardPath, ArgumentError> {
    let bare = argument.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(argument);
    ForwardPath::parse(&format!("<{bare}>"), syntax)
        .or_else(|_| ForwardPath::parse(&format!("<{bare}@{own}>"), syntax))
        .map_err(|_| ArgumentError::Syntax)
}

/// Reads the name in HELO and EHLO. Many real clients send names that are not domains, so a lenient
/// reader takes any printable word, of which only the first [`DOMAIN_BYTES_MAX`] octets are
/// kept; a strict one takes a domain or an address literal of at most that length.
///
/// # Errors
/// [`ArgumentError::Domain`].
pub fn helo(argument: &str, syntax: Syntax) -> Result<String, ArgumentError> {
    let is_name = match syntax {
        Syntax::Lenient => !argument.is_empty() && argument.bytes().all(|octet| octet.is_ascii_graphic()),
        Syntax::Strict => argument.len() <= DOMAIN_BYTES_MAX && Domain::parse(argument, syntax).is_ok(),
    };
    let kept = argument.get(..DOMAIN_BYTES_MAX).unwrap_or(argument);
    if is_name { Ok(kept.to_owned()) } else { Err(ArgumentError::Domain) }
}

type Parameters<'a> = Vec<(&'a str, Option<&'a str>)>;

/// The path and the text after it, which is empty or begins with a space.
fn address<'a>(form: &Regex, argument: &'a str) -> Result<(&'a str, &'a str), ArgumentError> {
    let rest = form.captures(argument).and_then(|parts| parts.name("rest")).ok_or(ArgumentError::Syntax)?.as_str();
    let length = path_length(rest).ok_or(ArgumentError::Path(PathError::Syntax))?;
    let (path, after) = rest.split_at_checked(length).ok_or(ArgumentError::Syntax)?;
    if !after.is_empty() && !after.starts_with(' ') {
        return Err(ArgumentError::Path(PathError::Syntax));
    }
    Ok((path, after))
}

fn parameters(text: &str, syntax: Syntax) -> Result<Parameters<'_>, ArgumentError> {
    let words: &mut dyn Iterator<Item = &str> = match syntax {
        Syntax::Lenient => &mut text.split_ascii_whitespace(),
        Syntax::Strict => &mut text.split(' ').skip(1),
    };
    let mut parameters: Parameters<'_> = Vec::new();
    for word in words {
        let parts = PARAMETER.captures(word).ok_or(ArgumentError::BadParameter)?;
        let keyword = parts.name("keyword").map_or("", |found| found.as_str());
        if parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(keyword)) {
            return Err(ArgumentError::BadParameter);
        }
        parameters.push((keyword, parts.name("value").map(|found| found.as_str())));
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    use Syntax::{Lenient, Strict};

    #[test]
    fn verb_and_argument_are_split_at_blanks() {
        for syntax in [Lenient, Strict] {
            let words = Words { verb: "MAIL", argument: "FROM:<a@x.org>" };
            assert_eq!(split("MAIL FROM:<a@x.org>  ", syntax), Some(words));
            assert_eq!(split("quit", syntax), Some(Words { verb: "quit", argument: "" }));
            assert_eq!(split("quit \t", syntax), Some(Words { verb: "quit", argument: "" }));
            assert_eq!(split("", syntax), None);
            assert_eq!(split(" NOOP", syntax), None);
            assert_eq!(split("RCPT:TO", syntax), None);
        }
        for (line, lenient, strict) in
            [("HELO  x ", "x", " x"), ("HELO\tx", "x", "\tx"), ("HELO \t x y\t", "x y", "\t x y")]
        {
            assert_eq!(split(line, Lenient).map(|words| words.argument), Some(lenient));
            assert_eq!(split(line, Strict).map(|words| words.argument), Some(strict));
        }
    }

    #[test]
    fn mail_takes_the_parameters_that_are_offered() {
        let all = |_: &str| true;
        for syntax in [Lenient, Strict] {
            let read = mail("FROM:<a@x.org> SIZE=12 BODY=8BITMIME", syntax, all).unwrap();
            assert_eq!((read.size, read.body), (Some(12), true));
            for (argument, error) in [
                ("FROM:<a@x.org> SIZE=1 SIZE=1", ArgumentError::BadParameter),
                ("FROM:<a@x.org> SIZE", ArgumentError::BadParameter),
                ("FROM:<a@x.org> SIZE=x", ArgumentError::BadParameter),
                ("FROM:<a@x.org> BODY=9BIT", ArgumentError::BadParameter),
                ("FROM:<a@x.org> =", ArgumentError::BadParameter),
                ("FROM:<a@x.org> FOO=1", ArgumentError::UnknownParameter),
                ("FROM:<a@x.org>SIZE=1", ArgumentError::Path(PathError::Syntax)),
                ("FROM <a@x.org>", ArgumentError::Syntax),
                ("FROM:", ArgumentError::Syntax),
                ("TO:<a@x.org>", ArgumentError::Syntax),
            ] {
                assert_eq!(mail(argument, syntax, all), Err(error), "{argument}");
            }
            assert_eq!(mail("FROM:<a@x.org> SIZE=1", syntax, |_| false), Err(ArgumentError::UnknownParameter));
        }
    }

    #[test]
    fn a_lenient_reader_takes_blanks_around_the_colon_and_paths_without_brackets() {
        for argument in [
            "from : <a@x.org>",
            "FROM:\t< a@x.org >",
            "FROM:a@x.org",
            "FROM: a@x.org",
            "FROM : a@x.org  SIZE=1  BODY=7BIT",
            "FROM:\"a SIZE=1\"@x.org SIZE=1",
            "FROM:<a@x.org>  SIZE=1",
        ] {
            assert!(mail(argument, Lenient, |_| true).is_ok(), "{argument}");
            assert!(mail(argument, Strict, |_| true).is_err(), "{argument}");
        }
        for argument in ["FROM: < >", "FROM:SIZE=1", "FROM:a@x.org\tSIZE=1", "FROM:a@x.org>", "FROM:a b@x.org"] {
            assert!(mail(argument, Lenient, |_| true).is_err(), "{argument}");
        }
        assert_eq!(mail("FROM: a@x.org SIZE=7", Lenient, |_| true).map(|mail| mail.size), Ok(Some(7)));
        assert_eq!(rcpt("TO:Postmaster", Lenient), Ok(ForwardPath::Postmaster));
        assert!(rcpt("TO:a@x.org", Lenient).is_ok());
        assert_eq!(rcpt("TO:a@x.org", Strict), Err(ArgumentError::Syntax));
        assert_eq!(rcpt("TO:a@x.org FOO=1", Lenient), Err(ArgumentError::UnknownParameter));
    }

    #[test]
    fn a_path_ends_neither_in_a_quoted_string_nor_in_a_literal() {
        for syntax in [Lenient, Strict] {
            assert!(rcpt("to:<\"a> b\"@x.org>", syntax).is_ok());
            assert!(rcpt("to:<a@[x:<\"b>c]>", syntax).is_ok());
            assert!(rcpt("to:<\"[\"@x.org>", syntax).is_ok());
        }
    }

    #[test]
    fn helo_takes_any_printable_word_or_if_strict_a_domain() {
        for name in ["my_pc", "[192.0.2", "a:b", "?", "M??LLER-PC", "(x)"] {
            assert_eq!(helo(name, Lenient).as_deref(), Ok(name));
            assert_eq!(helo(name, Strict), Err(ArgumentError::Domain));
        }
        assert!(helo("[192.0.2.1]", Strict).is_ok());
        let long = "d".repeat(DOMAIN_BYTES_MAX + 1);
        assert_eq!(helo(&long, Lenient).map(|name| name.len()), Ok(DOMAIN_BYTES_MAX));
        assert_eq!(helo(&long, Strict), Err(ArgumentError::Domain));
        assert!(helo(&long[1..], Strict).is_ok());
        for syntax in [Lenient, Strict] {
            assert_eq!(helo("", syntax), Err(ArgumentError::Domain));
            assert_eq!(helo("two words", syntax), Err(ArgumentError::Domain));
        }
    }

    #[test]
    fn a_name_with_octets_above_127_becomes_printable_ascii() {
        for (line, text) in [
            ("EHLO M\u{dc}LLER-PC".as_bytes(), Some("EHLO M??LLER-PC")),
            (b"EHLO M\xdcLLER-PC\t", Some("EHLO M?LLER-PC\t")),
            (b"EHLO \xdc\x1b[2J", None),
            (b"EHLO \xdc\0", None),
            (b"EHLO \xdc\x7f", None),
            (b"EHLO \xdc\rx", None),
        ] {
            assert_eq!(with_eight_bit_name(line).as_deref(), text);
        }
    }

    #[test]
    fn a_preamble_of_the_proxy_protocol_is_recognised_and_a_command_is_not_taken_for_one() {
        for line in ["PROXY TCP4 192.0.2.7 192.0.2.1 56324 25", "PROXY TCP6 2001:db8::7 ::1 1 2", "PROXY UNKNOWN"] {
            assert!(is_proxy(line), "{line}");
        }
        for line in ["PROXY", "PROXY TCP5 x", "proxy tcp4 192.0.2.7", "NOOP PROXY TCP4 192.0.2.7", "PROXY UNKNOWNS"] {
            assert!(!is_proxy(line), "{line}");
        }
    }
}
