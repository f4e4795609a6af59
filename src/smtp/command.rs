//! Lines into commands: a verb and an argument. RFC 5321 4.1.1, 4.1.2.
//!
//! The grammar is above the regular expression that recognises it. What was parsed is the only
//! thing that is used afterwards. What all commands share is here; the argument of each is read
//! beside its action (`session/actions/`): [`helo`], [`mail`], [`rcpt`], [`vrfy`].

use std::sync::LazyLock;

use regex::Regex;

use super::path::{PathError, Syntax, path_length, pattern};
pub use super::session::actions::{Mail, helo, mail, rcpt, vrfy};

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
// Blanks at its end are taken away before. Only one reading of a line is possible at each octet: the
// library's quickest engine can take it.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?P<verb>[A-Za-z][A-Za-z0-9_^-]*)(?:[ \t]+(?P<argument>[^ \t\n].*))?$")
});

// The first line of a web client, also if its target is longer than a line may be, and the field
// that each of its requests has (RFC 9112 3, 3.2). It would go on with a body that another server's
// page chose.
static HTTP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:[A-Z]+ [!-~]+ HTTP/[0-9]|(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /|(?i-u:host):)",
    )
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
/// A strict reader takes away one space between the two. Any other blank stays with the
/// argument, where the grammar has none. Blanks at the end are tolerated (RFC 5321 4.1.1).
#[must_use]
pub fn split(line: &str, syntax: Syntax) -> Option<Words<'_>> {
    let line = line.trim_end_matches([' ', '\t']);
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

/// Keywords with their values.
type Parameters<'a> = Vec<(&'a str, Option<&'a str>)>;

/// The path and the text after it, which is empty or begins with a space.
pub(super) fn address<'a>(
    form: &Regex,
    argument: &'a str,
) -> Result<(&'a str, &'a str), ArgumentError> {
    let rest = form
        .captures(argument)
        .and_then(|parts| parts.name("rest"))
        .ok_or(ArgumentError::Syntax)?
        .as_str();
    let length = path_length(rest).ok_or(ArgumentError::Path(PathError::Syntax))?;
    let (path, after) = rest.split_at_checked(length).ok_or(ArgumentError::Syntax)?;
    if !after.is_empty() && !after.starts_with(' ') {
        return Err(ArgumentError::Path(PathError::Syntax));
    }
    Ok((path, after))
}

pub(super) fn parameters(text: &str, syntax: Syntax) -> Result<Parameters<'_>, ArgumentError> {
    let words: &mut dyn Iterator<Item = &str> = match syntax {
        Syntax::Lenient => &mut text.split_ascii_whitespace(),
        Syntax::Strict => &mut text.split(' ').skip(1),
    };
    let mut parameters: Parameters<'_> = Vec::new();
    for word in words {
        let (keyword, value) = parameter(word).ok_or(ArgumentError::BadParameter)?;
        if parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(keyword)) {
            return Err(ArgumentError::BadParameter);
        }
        parameters.push((keyword, value));
    }
    Ok(parameters)
}

/// Reads one parameter.
///
/// ```text
/// esmtp-param = esmtp-keyword ["=" esmtp-value]      RFC 5321 4.1.2
/// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
/// esmtp-value = 1*(%d33-60 / %d62-126)
/// ```
fn parameter(word: &str) -> Option<(&str, Option<&str>)> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let is_keyword = keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
        && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_value = |value: &str| {
        !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'=')
    };
    (is_keyword && value.is_none_or(is_value)).then_some((keyword, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::path::{DOMAIN_BYTES_MAX, ForwardPath};

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
            assert_eq!(
                mail("FROM:<a@x.org> SIZE=1", syntax, |_| false),
                Err(ArgumentError::UnknownParameter)
            );
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
        for argument in
            ["FROM: < >", "FROM:SIZE=1", "FROM:a@x.org\tSIZE=1", "FROM:a@x.org>", "FROM:a b@x.org"]
        {
            assert!(mail(argument, Lenient, |_| true).is_err(), "{argument}");
        }
        assert_eq!(
            mail("FROM: a@x.org SIZE=7", Lenient, |_| true).map(|mail| mail.size),
            Ok(Some(7))
        );
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
        for line in [
            "PROXY TCP4 192.0.2.7 192.0.2.1 56324 25",
            "PROXY TCP6 2001:db8::7 ::1 1 2",
            "PROXY UNKNOWN",
        ] {
            assert!(is_proxy(line), "{line}");
        }
        for line in [
            "PROXY",
            "PROXY TCP5 x",
            "proxy tcp4 192.0.2.7",
            "NOOP PROXY TCP4 192.0.2.7",
            "PROXY UNKNOWNS",
        ] {
            assert!(!is_proxy(line), "{line}");
        }
    }
}
