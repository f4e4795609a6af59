//! What other Rust parsers say of addresses, beside what we say. Each difference has its
//! production; a difference that has none fails the test.

use std::collections::BTreeSet;

use email_address::{EmailAddress, Options};
use postman::smtp::path::{ForwardPath, Syntax};
use smtp_proto::Request;

use crate::abnf::Grammar;
use crate::grammar::nearly;
use crate::rig::Random;

fn ours(address: &str) -> bool {
    matches!(
        ForwardPath::parse(&format!("<{address}>"), Syntax::Strict),
        Ok(ForwardPath::Mailbox(_))
    )
}

/// An address of a header, RFC 5322; with literals, without a display name.
fn email_address(address: &str) -> bool {
    EmailAddress::parse_with_options(
        address,
        Options { allow_display_text: false, ..Options::default() },
    )
    .is_ok()
}

/// A RCPT command, RFC 5321.
fn smtp_proto(address: &str) -> bool {
    let line = format!("RCPT TO:<{address}>\r\n");
    let mut octets = line.as_bytes().iter();
    matches!(Request::parse(&mut octets), Ok(Request::Rcpt { .. })) && octets.as_slice().is_empty()
}

/// Address; what we, `email_address` and `smtp-proto` say; and the production that decides where
/// they differ.
const TABLE: &[(&str, [bool; 3], &str)] = &[
    ("a@x.org", [true, true, true], ""),
    ("a.b+c@x-1.org", [true, true, true], ""),
    ("a@x", [true, true, true], ""),
    ("a..b@x.org", [false, false, false], ""),
    (".a@x.org", [false, false, false], ""),
    ("a b@x.org", [false, false, false], ""),
    (
        "a@",
        [false, false, true],
        "Mailbox = Local-part \"@\" ( Domain / address-literal ): a domain must be there",
    ),
    ("@x.org", [false, false, false], ""),
    ("a.@x.org", [false, false, true], "Dot-string = Atom *(\".\" Atom)"),
    ("a@-x.org", [false, false, true], "sub-domain = Let-dig [Ldh-str]"),
    ("a@x-.org", [false, false, true], "Ldh-str = *( ALPHA / DIGIT / \"-\" ) Let-dig"),
    ("a@x..org", [false, false, false], ""),
    ("a@x.org.", [false, false, true], "Domain = sub-domain *(\".\" sub-domain)"),
    (
        "a@my_pc",
        [false, true, true],
        "Let-dig = ALPHA / DIGIT; RFC 5322's dot-atom has every atext",
    ),
    (
        "\u{fc}@x.org",
        [false, true, true],
        "atext is ASCII; others are RFC 6531's, which we do not offer",
    ),
    (
        "a@b\u{fc}cher.example",
        [false, true, true],
        "Let-dig = ALPHA / DIGIT; U-labels are RFC 6531's",
    ),
    ("\"a b\"@x.org", [true, true, true], ""),
    ("\"a\\\"b\"@x.org", [true, true, true], ""),
    (
        "\"\"@x.org",
        [true, false, false],
        "Quoted-string = DQUOTE *QcontentSMTP DQUOTE: none is allowed",
    ),
    (
        "\"a\tb\"@x.org",
        [false, true, true],
        "qtextSMTP = %d32-33 / %d35-91 / %d93-126: no tab, RFC 5322 has FWS",
    ),
    ("\"a\"b@x.org", [false, false, true], "Local-part = Dot-string / Quoted-string: not both"),
    ("a@[192.0.2.1]", [true, true, false], "address-literal"),
    (
        "a@[192.0.2.300]",
        [false, true, false],
        "Snum: 0 through 255; RFC 5322's domain-literal is any text",
    ),
    ("a@[192.000.002.001]", [true, true, false], "Snum = 1*3DIGIT"),
    ("a@[IPv6:2001:db8::1]", [true, true, false], "IPv6-comp"),
    (
        "a@[IPv6:1:2:3:4:5:6:7::]",
        [false, true, false],
        "IPv6-comp: at most 6 groups beside the \"::\"",
    ),
    ("a@[x]", [false, true, false], "General-address-literal = Standardized-tag \":\" 1*dcontent"),
    (
        "@hop.one:a@x.org",
        [true, false, true],
        "Path = \"<\" [ A-d-l \":\" ] Mailbox \">\"; a header has no route",
    ),
    ("a@b@c", [false, false, false], ""),
    ("a(comment)@x.org", [false, false, false], ""),
    (
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x.org",
        [true, false, true],
        "4.5.3.1.1: 64 octets are what must be taken at least",
    ),
    (
        "a@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
        [true, false, true],
        "sub-domain has no length in RFC 5321; 63 is the DNS's, RFC 1035 2.3.4",
    ),
];

#[test]
fn each_difference_to_other_parsers_is_in_the_table() {
    let mut wrong = Vec::new();
    for (address, expected, production) in TABLE {
        let found = [ours(address), email_address(address), smtp_proto(address)];
        if found != *expected {
            wrong.push(format!("{address:?}: {found:?}, not {expected:?}"));
        }
        let differ = found.iter().collect::<BTreeSet<_>>().len() > 1;
        assert_eq!(differ, !production.is_empty(), "{address:?} is not explained, or need not be");
        assert!(found[0] == Grammar::new().accepts("Forward-path", &format!("<{address}>")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The local part and the domain, where the last `@` divides them.
fn parts(address: &str) -> (&str, &str) {
    address.rsplit_once('@').unwrap_or((address, ""))
}

/// Why `email_address`, which reads RFC 5322's addr-spec, may differ.
fn why_email_address(address: &str, grammar: &Grammar) -> Option<&'static str> {
    let (local, domain) = parts(address);
    if address.starts_with('@') {
        return Some("a source route: no header has one");
    }
    if domain.ends_with(']') || domain.starts_with('[') || address.contains("@[") {
        return Some(
            "RFC 5322 domain-literal is \"[\" *dtext \"]\", RFC 5321 has three kinds of literals",
        );
    }
    if local.contains('"') {
        return Some(
            "RFC 5322 quoted-string has FWS, and here must not be empty; RFC 5321 has QcontentSMTP",
        );
    }
    if domain.split('.').any(|label| label.len() > 63) {
        return Some("RFC 1035's 63 octets a label, which RFC 5321 does not ask");
    }
    if !address.is_ascii() {
        return Some("RFC 6531");
    }
    if !grammar.accepts("Domain", domain) && domain.split('.').all(|label| !label.is_empty()) {
        return Some("RFC 5322 dot-atom as a domain: `_` and any atext, a dash at either end");
    }
    (local.len() > 64 || address.len() > 254).then_some("RFC 5321 4.5.3.1")
}

/// Why `smtp-proto`, which looks for the path's end and little else, may differ.
fn why_smtp_proto(address: &str, grammar: &Grammar) -> Option<&'static str> {
    let (local, domain) = parts(address);
    if address.contains(['[', ']']) {
        return Some("address-literal, which smtp-proto does not know");
    }
    if address.contains('"') {
        return Some("Quoted-string: smtp-proto looks at its quotes only");
    }
    if address.starts_with('@') || address.contains(':') {
        return Some("A-d-l: smtp-proto skips to the colon");
    }
    if !grammar.accepts("Domain", domain) {
        return Some("Domain: smtp-proto takes any atext there, or nothing");
    }
    if address.bytes().any(|octet| octet >= 0x7f) {
        return Some("atext: smtp-proto takes DEL and all that is not ASCII");
    }
    if local.ends_with('.') {
        return Some("Dot-string: smtp-proto takes a dot at the end");
    }
    if address.contains(' ') {
        return Some(
            "a blank: smtp-proto takes it before the address, and reads on behind it as parameters",
        );
    }
    if address.contains(['<', '>']) {
        return Some("Path: a `>` ends it; what is behind are parameters");
    }
    (local.len() > 64).then_some("4.5.3.1.1: 64 octets")
}

#[test]
fn at_random_each_difference_to_other_parsers_has_its_production() {
    let (grammar, seed) = (Grammar::new(), Random::seed());
    println!("POSTMAN_SEED={seed}");
    let mut random = Random(seed);
    let mut before = "a@x.org".to_owned();
    let mut same = 0;
    for _ in 0..2000 {
        let valid = grammar.generate("Mailbox", &mut random);
        let address =
            if random.below(2) == 0 { valid.clone() } else { nearly(&valid, &before, &mut random) };
        before = valid;
        if address.contains(['\r', '\n', '\0']) {
            continue;
        }
        let our = ours(&address);
        for (name, their, why) in [
            ("email_address", email_address(&address), why_email_address(&address, &grammar)),
            ("smtp-proto", smtp_proto(&address), why_smtp_proto(&address, &grammar)),
        ] {
            same += usize::from(our == their);
            assert!(
                our == their || why.is_some(),
                "{address:?}: we say {our}, {name} says {their}, and nobody knows why"
            );
        }
    }
    assert!(same > 1000, "{same} of 4000");
}
