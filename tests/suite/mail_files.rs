//! The form of the files, as a reader of a mailbox and the sending stage meet it: docs/mailbox.md.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use postman::autofsm;
use postman::config::Config;
use postman::smtp::machine::Machine;
use postman::smtp::path::{Domain, Syntax};
use postman::smtp::session::Input;
use postman::smtp::vocabulary::VOCABULARY;

use crate::peer::Peer;
use crate::rig::{Server, Talk, fields, skip};

/// The manual of the form.
const DOC: &str = include_str!("../../docs/mailbox.md");

/// RFC 5322 2.1.1, without the line end.
const LINE_BYTES_MAX: usize = 998;

#[test]
fn the_field_of_many_recipients_is_folded_and_a_reader_finds_each() {
    let quoted = r#""a,b@victim.example,c"@other.server"#;
    let escaped = r#""a\",b\\"@other.server"#;
    let mut sent: Vec<String> =
        (0..998).map(|number| format!("recipient-{number:03}@other.server")).collect();
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
    assert!(
        text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX && !line.contains('\n')),
        "{text}"
    );
    let fields = fields(&file);
    assert_eq!(fields.recipients(), sent);
    assert_eq!(fields.value("X-Postman-From"), Some("a@x.org"));
    assert!(
        text.ends_with("X-Postman-With: ESMTP\r\n\r\nSubject: x\r\n\r\nx\r\n"),
        "the content stays the content"
    );
}

/// RFC 5322 2.1.1, with the longest addresses and the longest name of a client that are taken.
#[test]
fn the_longest_addresses_fit_into_the_lines_of_each_file() {
    let address = |domain: &str| format!("{}@{domain}", "a".repeat(900 - domain.len() - 1));
    let (sender, far) = (address("x.org"), address("other.server"));
    for config in ["()", "(mailbox_format: Envelope)", "(bare_newline: Keep)"] {
        let server = Server::start(config);
        let mut talk = server.connect();
        talk.say(&format!("EHLO {}", "h".repeat(1500)), "250-");
        send(
            &mut talk,
            &sender,
            &[&far, &format!("{}@postman.local", "b".repeat(255))],
            "Subject: x\n\nx\n",
        );
        for place in [".OTHER_SERVERS/other.server".to_owned(), format!("{}/new", "b".repeat(255))]
        {
            let file = server.files(&place).remove(0);
            let longest = file.split(|octet| *octet == b'\n').map(<[u8]>::len).max().unwrap();
            assert!(longest <= LINE_BYTES_MAX + 1, "{longest} in {place}, {config}");
            assert_eq!(fields(&file).value("X-Postman-From"), Some(sender.as_str()));
        }
        assert_eq!(
            fields(&server.files(".OTHER_SERVERS/other.server")[0]).recipients(),
            [far.as_str()]
        );
    }
}

/// A reader that splits within quoted strings would send mail to whom nobody named.
#[test]
fn a_comma_in_quotes_names_nobody_else() {
    let server = Server::start("()");
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    talk.say("MAIL FROM:<>", "250");
    let sent = [
        r#""a,b@victim.example,c"@other.server"#,
        r#"",\\\"\\,"@other.server"#,
        r#""\,"@other.server"#,
    ];
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
    let names: Vec<String> =
        (0..40).map(|number| format!("X{}{number:02}", "LONG".repeat(12))).collect();
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
    let machine =
        Machine::load("long.def", &compiled.definition.unwrap_or_else(|| panic!("{shown}")))
            .unwrap();
    let domain = Domain::parse(&format!("{}.example", "d".repeat(240)), Syntax::Strict).unwrap();
    let mut peer = Peer::with_machine(&Config { domain, ..Config::default() }, machine);
    let lines = format!(
        "EHLO {0}\r\nHELP\r\nHELP XSYNTAX\r\nXSYNTAX\r\nRCPT TO:<a@x.org>\r\nMAIL FROM:<{0}@x.org>\r\n{0}\r\nQUIT\r\n",
        "h".repeat(1900)
    );
    peer.give(Input::Octets(lines.as_bytes()));
    let said = String::from_utf8(peer.said.clone()).unwrap();
    let codes: HashSet<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, HashSet::from(["220", "250", "214", "503", "501", "500", "221"]), "{said}");
    for line in said.split_inclusive("\r\n") {
        assert!(line.len() <= 512 && line.ends_with("\r\n"), "{} octets: {line}", line.len());
    }
}

fn send(talk: &mut Talk, sender: &str, recipients: &[&str], content: &str) {
    talk.say(&format!("MAIL FROM:<{sender}>"), "250");
    for recipient in recipients {
        talk.say(&format!("RCPT TO:<{recipient}>"), "250");
    }
    talk.say("DATA", "354");
    talk.send(content.replace('\n', "\r\n").as_bytes());
    talk.say(".", "250");
}

/// The manual's blocks of this kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let begin = format!("```{kind}\n");
    DOC.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The mail of the manual's examples.
fn example(server: &Server) {
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    let to = ["alice@postman.local", "carol@other.example", "\"d,e\"@other.example"];
    send(
        &mut talk,
        "bob@example.org",
        &to,
        "From: Bob <bob@example.org>\nSubject: Lunch\n\nAt noon?\n",
    );
}

#[test]
fn the_manual_s_names_of_folders_are_those_that_are_made() {
    let rows = DOC
        .split("| recipient | folder |\n|---|---|\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('`').collect()).collect();
    assert!(rows.len() > 10);
    let server = Server::start("(users: Any)");
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    for row in rows {
        let [_, recipient, _, folder, _] = row.as_slice() else { panic!("{row:?}") };
        let place = if folder.starts_with(".OTHER") {
            (*folder).to_owned()
        } else {
            format!("{folder}/new")
        };
        let before = server.files(&place).len();
        send(&mut talk, "", &[recipient], "x\n");
        assert_eq!(server.files(&place).len(), before + 1, "{recipient} in {folder}");
    }
    let listed = Server::start("(users: Listed([\"alice\"]))");
    let mut talk = listed.connect();
    talk.say("EHLO client.example", "250-");
    send(&mut talk, "", &["PostMaster"], "x\n");
    assert_eq!(
        listed.files("postmaster/new").len(),
        1,
        "postmaster's mail is taken though nobody listed it"
    );
}

#[test]
fn the_manual_s_files_are_those_that_are_written() {
    let server = Server::start("()");
    example(&server);
    let text = |place: &str| String::from_utf8(server.files(place).remove(0)).unwrap();
    let (mailbox, queue) = (text("alice/new"), text(".OTHER_SERVERS/other.example"));
    let [_, shown_mailbox, shown_queue] = blocks("text")[..] else { panic!("three blocks") };
    // What no two runs share: the time, in two forms, and the id.
    let value = |file: &str, name: &str| fields(file.as_bytes()).value(name).unwrap().to_owned();
    let (time, id) = (value(&queue, "X-Postman-Date"), value(&queue, "X-Postman-Id"));
    let date = mailbox.lines().find(|line| line.ends_with(" +0000")).unwrap();
    let same = |file: &str| {
        file.replace(date, "\tSat, 19 Dec 2020 22:16:15 +0000")
            .replace(&time, "1608416175")
            .replace(&id, "65fe-1")
    };
    assert_eq!(same(&mailbox), shown_mailbox);
    assert_eq!(same(&queue), shown_queue.replace('\n', "\r\n"));
    for place in ["alice/new", ".OTHER_SERVERS/other.example"] {
        let folder = server.folder.path().join("maildir").join(place);
        let files = fs::read_dir(folder)
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_file());
        let names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        let (written, random) = names[0].split_once('_').unwrap();
        assert_eq!(written, time);
        assert!(random.parse::<u64>().is_ok(), "{names:?}");
    }
}

#[test]
fn the_manual_s_programs_read_the_files() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("python3 is not installed, so nothing ran the manual's programs");
    }
    let server = Server::start("()");
    example(&server);
    let mut talk = server.connect();
    talk.say("EHLO client.example", "250-");
    let many: Vec<String> =
        (0..99).map(|number| format!("\"a,{number}\\\\\"@folded.example")).collect();
    send(
        &mut talk,
        "",
        &many.iter().map(String::as_str).collect::<Vec<_>>(),
        "X-Postman-To: nobody\n",
    );
    let python = |program: &str, folder: &Path| {
        let output =
            Command::new("python3").args(["-c", program]).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let [take_apart, read] = blocks("python")[..] else { panic!("two programs") };
    let folder = server.folder.path();
    for place in [".OTHER_SERVERS/other.example", ".OTHER_SERVERS/folded.example", "alice/new"] {
        let program = format!(
            "{take_apart}\nimport pathlib\nfor file in pathlib.Path('maildir/{place}').iterdir():\n    \
             if file.is_file(): print(*recipients(file), sep='\\n')\n"
        );
        let expected = fields(&server.files(place)[0]).recipients();
        assert_eq!(python(&program, folder).lines().collect::<Vec<_>>(), expected, "{place}");
    }
    assert_eq!(fields(&server.files(".OTHER_SERVERS/folded.example")[0]).recipients(), many);
    assert_eq!(python(read, folder), "Bob <bob@example.org>: Lunch\n");
}
