use super::*;

/// The findings of a text, and a check that each is one line.
fn findings(text: &str) -> Vec<String> {
    Config::parse(text).unwrap_err().lines().map(str::to_owned).collect()
}

#[test]
fn the_sample_is_the_default() {
    assert_eq!(Config::parse(&Config::sample()), Ok(Config::default()));
    assert_eq!(Config::parse("()"), Ok(Config::default()));
    assert_eq!(Config::parse("\u{feff}()"), Ok(Config::default()));
    // A container's name.
    assert!(Config::parse("(domain: \"mail_server\")").is_ok());
    assert_eq!(Config::parse("Config(port: 2525)"), Ok(Config::default()));
}

/// A text with one mistake, and a part of the finding.
const MISTAKES: &[(&str, &str)] = &[
    ("(\n  prot: 25,\n)", "2:3: unknown key `prot`; did you mean `port`?"),
    ("(port: 99999)", "1:8: port must be a number from 0 to 65535, not 99999"),
    ("(port: \"25\")", "1:8: port must be a number from 0 to 65535, not \"25\""),
    ("(port: -1)", "1:8: port must be a number from 0 to 65535, not -1"),
    ("(port: 25.5)", "1:8: port must be a number from 0 to 65535, not 25.5"),
    (
        "(port: 340282366920938463463374607431768211456)",
        "1:8: port must be a number from 0 to 65535, not 3402",
    ),
    ("(nice: -21)", "1:8: nice must be a number from -20 to 19, not -21"),
    ("(timer: \"300\")", "1:9: timer must be a number from 1 to 86400 seconds, not \"300\""),
    ("(timer: 5m)", "1:9: timer must be a number from 1 to 86400 seconds, not 5m"),
    ("(sandbox: yes)", "1:11: sandbox must be true or false, not yes"),
    (
        "(domain: [\"a\",\"b\"])",
        "1:10: domain must be one domain in quotes, such as \"example.org\", not [\"a\",\"b\"]",
    ),
    (
        "(domain: \"-\")",
        "1:10: domain must be one domain in quotes, such as \"example.org\", not \"-\"",
    ),
    ("(domain: example.org)", "not example.org; write it in quotes, \"example.org\""),
    (
        "(host: 127.0.0.1)",
        "1:8: host must be an IP address in quotes, such as \"127.0.0.1\", not 127.0.0.1; write",
    ),
    (
        "(host: \"mail\")",
        "1:8: host must be an IP address in quotes, such as \"127.0.0.1\", not \"mail\"",
    ),
    ("(maildir_path: /var/mail)", "1:16: maildir_path must be a path in quotes, "),
    ("(maildir_path: \"\")", "1:16: maildir_path must be a path in quotes, "),
    ("(relay_from: \"10.0.0.0/8\")", "1:14: relay_from must be a list of networks, such as ["),
    (
        "(relay_from: [\"::1\", \"10.0.0.0/33\"])",
        "1:22: relay_from must be a list of networks, such as [",
    ),
    ("(log: (console_level: \"loud\"))", "1:23: log.console_level must be \"off\", \"error\", "),
    ("(log: (console_level: info))", "1:23: log.console_level must be \"off\", \"error\", "),
    ("(log: (console: \"info\"))", "1:8: log: unknown key `console`"),
    (
        "(log: \"info\")",
        "1:7: log must be keys in parentheses, (console_level: ..., files: ...), not \"info\"",
    ),
    (
        "(log: (files: [\"/a\"]))",
        "1:16: log.files must be a list of paths and levels, such as [(\"/var",
    ),
    (
        "(log: (files: (\"/a\", \"info\")))",
        "1:15: log.files must be a list of paths and levels, such as [(",
    ),
    (
        "(log: (files: [(\"/a\", \"loud\")]))",
        "1:23: log.files must be a list of paths and levels, ",
    ),
    ("(log: (files: [(\"/a\", info)]))", "1:23: log.files must be a list of paths and levels, "),
    ("(log: (files: [(\"/a\" \"info\")]))", "1:21: log lacks a comma here"),
    (
        "(\n recipients_max: 3)",
        "2:18: recipients_max must be a number, at least 100 (RFC 5321 4.5.3.1.8), not 3",
    ),
    ("(\n // recipients_max: much\n recipients_max: 3)", "3:18: recipients_max must be"),
    (
        "(message_bytes_max: 18446744073709551616)",
        "not 18446744073709551616; it is too large for this machine",
    ),
    (
        "(recipients_per_session_max: 999)",
        "1:30: recipients_per_session_max must be at least recipients_max",
    ),
    ("(recipients_max: 20000)", "1:18: recipients_max must be at most recipients_per_session_max"),
    ("(user: \"\")", "1:8: user must be None, or a name in quotes"),
    ("(users: any)", r#"1:9: users must be Any, or Listed(["alice", "bob"]), not any"#),
    ("(\n users: [\"alice\"])", "2:9: users must be Any, or Listed(["),
    ("(users: Listed(\"alice\"))", "1:16: users must be Any, or Listed(["),
    ("(users: Listed)", "1:9: users must be Any, or Listed(["),
    (
        "(users: Listed([\"bob\", \"alice@example.org\"]))",
        "1:24: users must be Any, or Listed([\"alice\", \"bob\"]), not \"alice@example.org\"; \
             a user is the part before the `@`: write \"alice\"",
    ),
    (
        "(users: Listed([\"b\u{fc}ro\"]))",
        "this is not the local part of an address (RFC 5321 4.1.2)",
    ),
    ("(users: Listed([\"\"]))", "this is not the local part of an address (RFC 5321 4.1.2)"),
    ("(uncapped_from: [\"10.0.0.0/8\"])", "1:17: uncapped_from must be RelayFrom, or Networks(["),
    ("(uncapped_from: Networks([\"x\"]))", "1:27: uncapped_from must be RelayFrom, or Networks(["),
    (
        "(mailbox_format: \"Message\")",
        "1:18: mailbox_format must be Message or Envelope or Content, not \"Message\"",
    ),
    ("(bare_newline: keep)", "1:16: bare_newline must be Refuse or Keep, not keep"),
    (
        "(\n strict_helo: true)",
        "2:2: unknown key `strict_helo`; its successor is `syntax: Strict`, or `Lenient`",
    ),
    ("(syntax: strict)", "1:10: syntax must be Lenient or Strict, not strict"),
    ("(domain: \"my_server\", syntax: Strict)", "1:10: domain must be without underscores"),
    ("(vrfy: true)", "1:8: vrfy must be Vague or Honest, not true"),
    ("(port: 25, timer: 9, port: 26)", "1:22: port is set twice"),
    (
        "(message_bytes_max: 50MiB)",
        "1:21: message_bytes_max must be a number, at least 65536 octets (RFC 5321",
    ),
    ("(message_bytes_max: 50MiB)", "not 50MiB; write it in quotes, \"50MiB\""),
    ("(message_bytes_max: 50 MiB)", "not 50 MiB; write it in quotes, \"50 MiB\""),
    ("(message_bytes_max: \"50 MB\")", "such as 1048576 or \"1 MiB\", not \"50 MB\""),
];

#[test]
fn each_finding_names_its_key_and_what_is_allowed() {
    for (text, expected) in MISTAKES {
        let found = findings(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}:\n{expected}\n{found:#?}");
    }
}

#[test]
fn a_mistake_of_form_is_said_in_words_with_its_place() {
    for (text, expected) in [
        ("", "1:1: all keys go between one `(` and one `)`: expected `(`, the file ends"),
        ("port: 25,\n", "1:1: all keys go between one `(` and one `)`: expected `(`, found `p`"),
        ("{port: 25}", "1:1: all keys go between one `(` and one `)`: expected `(`, found `{`"),
        ("(port: 1", "1:9: the closing `)` is missing after the value of `port`: the file ends"),
        ("(port: 1))", "1:10: nothing may follow the closing `)`, found `)`"),
        (
            "(port: 1]",
            "1:9: expected `,` or a closing bracket after the value of `port`, found `]`",
        ),
        ("(port = 1)", "1:7: expected `:` after the key `port`, found `=`"),
        ("(port: )", "1:8: in the value of `port`: expected a value, found `)`"),
        (
            "(port: 25,, timer: 1)",
            "1:11: expected a key, in letters, digits and `_` after the value of `port`, found `,`",
        ),
        ("(\"port\": 1)", "1:2: expected a key, in letters, digits and `_`, found `\"`"),
        (
            "(domain: \"x.org, port: 1)",
            "1:10: in the value of `domain`: the string that begins here has no closing `\"`",
        ),
        (
            "(domain: \"\\q\")",
            "in the value of `domain`: not an escape; a backslash itself is `\\\\`",
        ),
        ("(port: 1 /* the port )", "the comment that begins here has no closing `*/`"),
        (
            "(relay_from: [\"::1\", port: 1)",
            "expected `,` or a closing bracket after the value of `relay_from`, found `:`",
        ),
        (
            "(users: Listed([\"a\"), port: 1)",
            "expected `,` or a closing bracket after the value of `users`, found `)`",
        ),
        (
            "(port: 25; timer: 9)",
            "1:10: expected `,` or a closing bracket after the value of `port`, found `;`",
        ),
        ("(port: 25\n timer: 9)", "1:10: port must be followed by a comma"),
        ("(port: 25 timer: 9)", "1:10: port must be followed by a comma"),
        ("(port: \u{1b}[2J)", "found `\\u{1b}`"),
    ] {
        let found = findings(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}:\n{expected}\n{found:#?}");
    }
}

#[test]
fn all_that_is_wrong_is_said_in_one_run_and_in_order() {
    let text = "(\n port: 99999\n timer: 5min,\n prot: 1,\n message_bytes_max: 50MiB,\n users: Listed([\"a@x\", \"b@x\"]),\n \
                log: (console_level: \"loud\", files: [(\"\", \"x\")]),\n port: 25, maildir_path: /var/mail\n recipients_max: 3)";
    let found = findings(text);
    let starts = [
        "2:8: port must be a number",
        "2:13: port must be followed by a comma",
        "3:9: timer must be",
        "4:2: unknown key `prot`",
        "5:21: message_bytes_max must be",
        "6:17: users must be",
        "6:24: users must be",
        "7:23: log.console_level must be",
        "7:40: log.files must be",
        "7:44: log.files must be",
        "8:2: port is set twice",
        "8:26: maildir_path must be",
        "8:35: maildir_path must be followed by a comma",
        "9:18: recipients_max must be",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{start}\n{found}");
    }
}

#[test]
fn sizes_and_times_may_have_a_unit_in_quotes() {
    let read = |text: &str| Config::parse(text).unwrap();
    assert_eq!(read("(message_bytes_max: \"50 MiB\")"), Config::default());
    assert_eq!(read("(message_bytes_max: \"50MiB\", timer: \"5 min\")"), Config::default());
    assert_eq!(read("(message_seconds_max: \"1 h\", user: None)"), Config::default());
    assert_eq!(read("(message_bytes_max: 52_428_800)"), Config::default());
    let users = read(
        "(users: Listed ( [\"a b\", \"Bob\", /* and */ \"x\"], ), user: \"postman\", group: Some(\"mail\"))",
    );
    assert_eq!(
        users.users,
        Users::Listed(vec!["a b".to_owned(), "Bob".to_owned(), "x".to_owned()])
    );
    assert_eq!((users.user.as_deref(), users.group.as_deref()), (Some("postman"), Some("mail")));
    assert_eq!(read("(host: \"localhost\")"), Config::default());
}

#[test]
fn the_example_of_a_user_is_one_who_may_receive_and_needs_no_quotes_at_a_shell() {
    for (text, one) in [
        ("()", "user"),
        ("(users: Listed([]))", "postmaster"),
        ("(users: Listed([\"a b\", \"it's\", \"Bob.x_y-z\", \"alice\"]))", "Bob.x_y-z"),
        ("(users: Listed([\"a b\"]))", "postmaster"),
    ] {
        assert_eq!(Config::parse(text).unwrap().users.one(), one, "{text}");
    }
}

#[test]
fn no_text_stops_the_reading() {
    let sample = Config::sample();
    for end in (0..sample.len()).filter(|end| sample.is_char_boundary(*end)).step_by(83) {
        let _ = Config::parse(&sample[..end]);
        let _ = Config::parse(&sample[end..]);
        let _ = Config::parse(&format!("{}\u{e9}]{}", &sample[..end], &sample[end..]));
    }
}
