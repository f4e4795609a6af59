//! Lines into commands: the verb, and for each action its argument. RFC 5321 4.1.1, 4.1.2.
//!
//! The grammar stands above the regular expression that recognises it. What was parsed here is
//! the only thing that is used afterwards.

use std::sync::LazyLock;

use regex::Regex;

use super::path::{DOMAIN_BYTES_MAX, Domain, ForwardPath, PathError, ReversePath, path_length, pattern};

/// Why an argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// It does not have the command's form at all.
    Syntax,
    /// The path is none.
    Path(PathError),
    /// The domain is none.
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
// Blanks around the colon are wrong but common; we take them, as every server does.
static FROM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:FROM)[ \t]*:[ \t]*(?P<rest><.*)$"));

// rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
//        [SP Rcpt-parameters] CRLF                                       RFC 5321 4.1.1.3
static TO: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?i-u:TO)[ \t]*:[ \t]*(?P<rest><.*)$"));

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

/// A line, split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// The first word.
    pub verb: &'a str,
    /// What stands behind it, without blanks around; "" where nothing does.
    pub argument: &'a str,
}

/// Splits a line into verb and argument; nothing where it begins with no verb.
#[must_use]
pub fn split(line: &str) -> Option<Words<'_>> {
    let parts = COMMAND.captures(line)?;
    let part = |name| parts.name(name).map_or("", |found| found.as_str());
    Some(Words { verb: part("verb"), argument: part("argument") })
}

/// Whether a web client speaks.
#[must_use]
pub fn is_http(line: &str) -> bool {
    HTTP.is_match(line)
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
pub fn mail(argument: &str, offers: impl Fn(&str) -> bool) -> Result<Mail, ArgumentError> {
    let (path, parameters) = address(&FROM, argument)?;
    let sender = ReversePath::parse(path).map_err(ArgumentError::Path)?;
    let mut mail = Mail { sender, size: None, body: false };
    for (keyword, value) in parameters {
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
pub fn rcpt(argument: &str) -> Result<ForwardPath, ArgumentError> {
    let (path, parameters) = address(&TO, argument)?;
    let recipient = ForwardPath::parse(path).map_err(ArgumentError::Path)?;
    if parameters.is_empty() { Ok(recipient) } else { Err(ArgumentError::UnknownParameter) }
}

/// Reads what VRFY asks for: a user of the own domain, or any path.
///
/// # Errors
/// [`ArgumentError::Syntax`].
pub fn vrfy(argument: &str, own: &Domain) -> Result<ForwardPath, ArgumentError> {
    let bare = argument.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(argument);
    ForwardPath::parse(&format!("<{bare}>"))
        .or_else(|_| ForwardPath::parse(&format!("<{bare}@{own}>")))
        .map_err(|_| ArgumentError::Syntax)
}

/// Reads what HELO and EHLO say: by default any printable word, since many real clients send
/// names that are no domains; `strict` asks for the RFC's domain or address literal.
///
/// # Errors
/// [`ArgumentError::Domain`].
pub fn helo(argument: &str, strict: bool) -> Result<String, ArgumentError> {
    let word = !argument.is_empty()
        && argument.len() <= DOMAIN_BYTES_MAX
        && argument.bytes().all(|octet| octet.is_ascii_graphic());
    if word && (!strict || Domain::parse(argument).is_ok()) {
        Ok(argument.to_owned())
    } else {
        Err(ArgumentError::Domain)
    }
}

type Parameters<'a> = Vec<(&'a str, Option<&'a str>)>;

fn address<'a>(form: &Regex, argument: &'a str) -> Result<(&'a str, Parameters<'a>), ArgumentError> {
    let rest = form.captures(argument).and_then(|parts| parts.name("rest")).ok_or(ArgumentError::Syntax)?.as_str();
    let length = path_length(rest).ok_or(ArgumentError::Path(PathError::Syntax))?;
    let (path, behind) = rest.split_at_checked(length).ok_or(ArgumentError::Syntax)?;
    if !behind.is_empty() && !behind.starts_with(' ') {
        return Err(ArgumentError::Path(PathError::Syntax));
    }
    let mut parameters: Parameters<'_> = Vec::new();
    for word in behind.split_ascii_whitespace() {
        let parts = PARAMETER.captures(word).ok_or(ArgumentError::BadParameter)?;
        let keyword = parts.name("keyword").map_or("", |found| found.as_str());
        if parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(keyword)) {
            return Err(ArgumentError::BadParameter);
        }
        parameters.push((keyword, parts.name("value").map(|found| found.as_str())));
    }
    Ok((path, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verb_and_argument_are_split_at_blanks() {
        assert_eq!(split("MAIL FROM:<a@x.org>  "), Some(Words { verb: "MAIL", argument: "FROM:<a@x.org>" }));
        assert_eq!(split("quit"), Some(Words { verb: "quit", argument: "" }));
        assert_eq!(split(""), None);
        assert_eq!(split(" NOOP"), None);
        assert_eq!(split("RCPT:TO"), None);
    }

    #[test]
    fn mail_takes_the_parameters_that_are_offered() {
        let read = mail("FROM:<a@x.org> SIZE=12 BODY=8BITMIME", |_| true).unwrap();
        assert_eq!((read.size, read.body), (Some(12), true));
        for (argument, error) in [
            ("FROM:<a@x.org> SIZE=1 SIZE=1", ArgumentError::BadParameter),
            ("FROM:<a@x.org> SIZE", ArgumentError::BadParameter),
            ("FROM:<a@x.org> SIZE=x", ArgumentError::BadParameter),
            ("FROM:<a@x.org> BODY=9BIT", ArgumentError::BadParameter),
            ("FROM:<a@x.org> =", ArgumentError::BadParameter),
            ("FROM:<a@x.org> FOO=1", ArgumentError::UnknownParameter),
            ("FROM:<a@x.org>SIZE=1", ArgumentError::Path(PathError::Syntax)),
            ("FROM:a@x.org", ArgumentError::Syntax),
            ("TO:<a@x.org>", ArgumentError::Syntax),
        ] {
            assert_eq!(mail(argument, |_| true), Err(error), "{argument}");
        }
        assert_eq!(mail("FROM:<a@x.org> SIZE=1", |_| false), Err(ArgumentError::UnknownParameter));
    }

    #[test]
    fn blanks_around_the_colon_are_tolerated() {
        assert!(mail("from : <a@x.org>", |_| true).is_ok());
        assert!(rcpt("To:  <a@x.org>").is_ok());
        assert!(rcpt("to:<\"a> b\"@x.org>").is_ok());
        assert!(rcpt("to:<a@[x:<\"b>c]>").is_ok());
        assert!(rcpt("to:<\"[\"@x.org>").is_ok());
    }

    #[test]
    fn helo_is_a_printable_word_or_when_strict_a_domain() {
        assert!(helo("my_pc", false).is_ok());
        assert_eq!(helo("my_pc", true), Err(ArgumentError::Domain));
        assert!(helo("[192.0.2.1]", true).is_ok());
        assert_eq!(helo("", false), Err(ArgumentError::Domain));
        assert_eq!(helo("two words", false), Err(ArgumentError::Domain));
    }
}
