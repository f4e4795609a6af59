//! The form of the files, as a reader of a mailbox and the sending stage meet it: docs/mailbox.md.

use std::collections::HashSet;

use postman::autofsm;
use postman::config::Config;
use postman::smtp::machine::Machine;
use postman::smtp::path::{Domain, Syntax};
use postman::smtp::session::Input;
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::Peer;
use crate::rig::{Server, fields};

/// RFC 5322 2.1.1, without the line end.
const LINE_BYTES_MAX: usize = 998;

#[test]
fn the_field_of_many_recipients_is_folded_and_a_reader_finds_each() {
    let quoted = r#""a,b@victim.example,c"@other.server"#;
    let escaped = r#""a\",b\\"@other.server"#;
    let mut sent: Vec<String> = (0..998).map(|number| format!("recipient-{number:03}@other.server")).collect();
    sent.extend([quoted.to_owned(), escaped.to_owned()]);
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    talk.say("MAIL FROM:<a@x.org>", "250");
    for recipient in &sent {
        talk.say(&format!("RCPT TO:<{recipient}>"), "250");
    }
    talk.say("DATA", "354");
    talk.send(b"Subject: x\r\n\r\nx\r\n");
    talk.say(".", "250");
    let file = server.files(".OTHER_SERVERS/other.server").remove(0);
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX && !line.contains('\n')), "{text}");
    let fields = fields(&file);
    assert_eq!(fields.recipients(), sent);
    assert_eq!(fields.value("X-Postman-From"), Some("a@x.org"));
    assert!(text.ends_with("X-Postman-With: ESMTP\r\n\r\nSubject: x\r\n\r\nx\r\n"), "the content stays the content");
}

/// A reader that splits within quoted strings would send mail to whom nobody named.
#[test]
fn a_comma_in_quotes_names_nobody_else() {
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    talk.say("MAIL FROM:<>", "250");
    let sent = [r#""a,b@victim.example,c"@other.server"#, r#"",\\\"\\,"@other.server"#, r#""\,"@other.server"#];
    for to in sent {
        talk.say(&format!("RCPT TO:<{to}>"), "250");
    }
    talk.say("DATA", "354");
    talk.say(".", "250");
    let file = server.files(".OTHER_SERVERS/other.server").remove(0);
    assert_eq!(fields(&file).value("X-Postman-From"), Some("<>"));
    let written = [sent[0], sent[1], r#"","@other.server"#];
    assert_eq!(fields(&file).recipients(), written, "each is written in the shortest way");
}

/// RFC 5321 4.5.3.1.5: a line of a reply is at most 512 octets long, its CR LF included.
#[test]
fn no_line_of_a_reply_is_longer_than_512_octets() {
    let names: Vec<String> = (0..40).map(|number| format!("X{}{number:02}", "LONG".repeat(12))).collect();
    let page = format!(
        "AutoGen Definitions fsm;\nevent = HELO, EHLO, MAIL, RCPT, DATA, READ, END, HELP, QUIT, {names};\n\
         state = client_init, begin_transaction, transaction, read_data;\nkeyword = SIZE, {names};\n\
         event = XSYNTAX;\nXSYNTAX = \"XSYNTAX {argument}\";\nHELO = \"HELO domain\";\nEHLO = \"EHLO domain\";\n\
         MAIL = \"MAIL FROM:<address>\";\nRCPT = \"RCPT TO:<address>\";\n\
         transition =\n  {{ tst = init; tev = HELO; next = client_init; ttype = greet; reply = 250; }},\n\
         {{ tst = init; tev = EHLO; next = client_init; ttype = greet_extended; reply = 250; }},\n\
         {{ tst = client_init; tev = MAIL; next = begin_transaction; ttype = set_sender; reply = 250; }},\n\
         {{ tst = begin_transaction; tev = RCPT; next = transaction; ttype = add_recipient; reply = 250; }},\n\
         {{ tst = transaction; tev = DATA; next = read_data; ttype = open_message; reply = 354; }},\n\
         {{ tst = read_data; tev = READ; ttype = append; }},\n\
         {{ tst = read_data; tev = END; next = client_init; ttype = deliver; reply = 250; }},\n\
         {{ tst = init, client_init, begin_transaction, transaction; tev = HELP; ttype = explain; reply = 214; }},\n\
         {{ tst = init, client_init, begin_transaction, transaction; tev = XSYNTAX; ttype = answer;\n\
            reply = '250 2.0.0 {reply}'; }},\n\
         {{ tst = client_init; tev = {names}; ttype = answer; reply = 250; }},\n\
         {{ tst = init, client_init, begin_transaction, transaction; tev = QUIT; next = done; ttype = answer; reply = 221; }};\n",
        names = names.join(", "),
        // The longest that the compiler takes.
        argument = "a".repeat(392),
        reply = "r".repeat(490),
    );
    let compiled = autofsm::compile(&page, Some(&VOCABULARY));
    let shown = autofsm::render(&compiled.diagnostics, "long.def", &page);
    let machine = Machine::load("long.def", &compiled.definition.unwrap_or_else(|| panic!("{shown}"))).unwrap();
    let domain = Domain::parse(&format!("{}.example", "d".repeat(240)), Syntax::Strict).unwrap();
    let mut peer = Peer::with_machine(&Config { domain, ..Config::default() }, machine);
    let lines = format!(
        "EHLO {0}\r\nHELP\r\nHELP XSYNTAX\r\nXSYNTAX\r\nRCPT TO:<a@x.org>\r\nMAIL FROM:<{0}@x.org>\r\n{0}\r\nQUIT\r\n",
        "h".repeat(1900)
    );
    peer.give(Input::Octets(lines.as_bytes()));
    let said = String::from_utf8(peer.said).unwrap();
    let codes: HashSet<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, HashSet::from(["220", "250", "214", "503", "501", "500", "221"]), "{said}");
    for line in said.split_inclusive("\r\n") {
        assert!(line.len() <= 512 && line.ends_with("\r\n"), "{} octets: {line}", line.len());
    }
}
