//! Faults without a socket: the ready files of `faults/`, what the compiler says of a file, and that
//! whoever read 250 after END finds the mail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postman::autofsm::{self, Definition, Fault, compile_faults, render};
use postman::config::Config;
use postman::dialogue::{Dialogue, Peer, Play as _, client};
use postman::smtp::faults::{Faults, RULES};
use postman::smtp::machine::Machine;
use postman::smtp::session::{
    Input, NoUser, Output, Question, Refusal, Session, Settings, World, drive,
};
use proptest::prelude::*;

use crate::peer::{PAGE, page};
use crate::rig::Random;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tests' own page, compiled.
fn definition() -> Definition {
    autofsm::compile(PAGE, Some(&RULES)).definition.unwrap()
}

/// What is said of a file of faults.
fn said(source: &str) -> String {
    render(&compile_faults(source, &definition(), &RULES).diagnostics, "f.def", source)
}

fn compiled(name: &str, source: &str) -> Vec<Fault> {
    let found = compile_faults(source, &definition(), &RULES);
    let said = render(&found.diagnostics, name, source);
    found.faults.unwrap_or_else(|| panic!("{said}"))
}

fn ready(faults: &[Fault]) -> Arc<Faults> {
    Faults::new(&definition(), faults).unwrap().unwrap()
}

fn settings(config: &Config, faults: &[Fault]) -> Settings {
    Settings { faults: Some(ready(faults)), ..config.settings(page()) }
}

/// The nine faults of docs/faults.md's first example.
pub(crate) const NINE: &str = r#"
fault =
  { says = "the second recipient is put off, once";
    path = '.* MAIL RCPT RCPT';   reply = '451 4.2.1 Try again later';   first = 1; },
  { says = "a late greeting";
    path = '';                    wait = '30s'; },
  { says = "the connection is reset after DATA";
    path = '.* DATA';             cut = 0;  end = reset; },
  { says = "an EHLO answer in slow pieces, of our choosing";
    path = '.* EHLO';             reply = '250-slow.example', '250 SIZE 1000';  pace = '1 octet, 200ms'; },
  { says = "stored, and the answer is lost: the client will send it twice";
    path = '.* END';              done;  cut = 0;  end = close;  first = 1; },
  { says = "greylisting: each client, sender and recipient once, then welcome";
    path = '.* RCPT';             reply = '451 4.7.1 Greylisted';  first = 1;  each = client, sender, line; },
  { says = "no more than ten mails a minute";
    path = '.* MAIL';             reply = '421 4.7.0 Slow down';  end = close;  over = '10 in 60s'; },
  { says = "the address asks for its answer (as BadSMTP's)";
    path = '.* RCPT';             when = 'TO:<rcpt([45]\d\d)_([45]\.\d+\.\d+)@';  reply = '$1 $2 As you asked'; },
  { says = "spam is refused after the dot";
    path = '.* END';              when = '(?i)^subject:.*lottery';  reply = '554 5.7.1 No'; };
"#;

#[test]
fn each_of_the_nine_has_its_shortest_conversation_and_two_are_hidden() {
    let faults = compiled("f.def", NINE);
    let definition = definition();
    let runs: Vec<_> = faults.iter().map(|fault| fault.dialogue(&definition)).collect();
    let expected = [
        "HELO MAIL RCPT RCPT",
        "(the greeting)",
        "HELO MAIL RCPT DATA",
        "EHLO",
        "HELO MAIL RCPT DATA END",
        "HELO MAIL RCPT",
        "HELO MAIL",
        "HELO MAIL RCPT",
        "HELO MAIL RCPT DATA END",
    ];
    assert_eq!(runs, expected);
    let said = said(NINE);
    assert_eq!(said.matches("warning: this never fires: another comes first").count(), 2, "{said}");
}

#[test]
fn a_path_that_cannot_happen_is_told_with_its_place_and_reason() {
    let source = "fault =\n  { says = 'x'; path = '.* DATA MAIL'; reply = '451 4.0.0 x'; };\n";
    assert_eq!(
        said(source),
        "f.def:2:24: error: no conversation is as `path` says, so this never fires
   2 |   { says = 'x'; path = '.* DATA MAIL'; reply = '451 4.0.0 x'; };
     |                        ^^^^^^^^^^^^^^
   C: HELO    init -> client_init
   C: MAIL    client_init -> begin_transaction
   C: RCPT    begin_transaction -> transaction
   C: DATA    transaction -> read_data
   next it wants MAIL, and read_data accepts READ, END
   help: is the expression what you mean? `.*` at its start stands for all that came before; READ is met once in a message, and only with `content`
"
    );
}

/// A fault's attributes, and what is said of them.
#[test]
fn what_is_wrong_with_a_fault_is_told() {
    for (attributes, expected) in [
        ("path = '.* MAIL'; wait = 30s;", "`30s` begins as a number and is none"),
        ("path = '.* MAIL'; wait = 30s;", "put it in quotes"),
        ("path = '.* MAIL'; wait = 30;", "`30` cannot be `wait`"),
        ("path = '.* MAIL'; wait = '2h';", "at most an hour"),
        ("path = '.* MAIL'; pace = '0 octets, 1s';", "cannot be `pace`"),
        ("path = '.* MAIL'; over = 'ten in 1s'; end = close;", "cannot be `over`"),
        ("path = '.* MAIL'; first = 0; end = close;", "`0` cannot be `first`"),
        ("path = '.* MAIL'; first = 1; over = '1 in 1s'; end = close;", "count differently"),
        ("path = '.* MAIL'; each = client; end = close;", "counts nothing"),
        ("path = '.* MAIL'; first = 1; each = clint; end = close;", "did you mean `client`?"),
        ("path = '.* MAIL'; first = 1; each = client, client; end = close;", "listed twice"),
        ("path = '.* MAIL'; first = 1; each = sender; end = close;", "here is not yet a sender"),
        ("path = '.* MAIL';", "this fault does nothing"),
        ("path = '.* MAIL'; cut = 3;", "`cut` needs `end`"),
        ("path = '.* MAIL'; end = stop;", "no connection ends by `stop`"),
        ("path = '.* MAIL'; done = yes; end = close;", "`done` has no value"),
        ("path = '.* MAIL'; reply = '25'; ", "is not a line of a reply"),
        ("path = '.* MAIL'; reply = '354 go'; ", "it says 354, where the row says 250"),
        ("path = '.* DATA'; reply = '250 ok'; ", "it says 250, where the row says 354"),
        ("path = '.* MAIL'; reply = '451-a', '452 b'; ", "the lines of a reply have one code"),
        ("path = '.* MAIL'; reply = '451-a'; ", "says that another line follows"),
        ("path = '.* MAIL'; reply = '$1 a'; ", "`when` has no group for `$1`"),
        (
            "path = '.* MAIL'; when = '('; end = close;",
            "this pattern cannot be read: unclosed group",
        ),
        ("path = '.* MAIL'; reply = '451 a'; octets = \"451 b\\r\\n\";", "are both the answer"),
        ("path = '.* MAIL'; octets = \"451 b\";", "these octets are no whole reply"),
        ("path = '.* MAIL'; octets = \"451 b\\r\\n250 c\\r\\n\";", "something stands behind"),
        (
            "path = '.* MAIL'; octets = \"451 b\\n250 c\\r\\n\"; end = close;",
            "something stands behind",
        ),
        (
            "path = '.* MAIL'; octets = \"x\\r\\n250 c\\r\\n\"; end = close;",
            "beside lines of no reply",
        ),
        ("path = '.* DATA'; octets = \"250 c\\r\\n\";", "these octets say that it succeeded"),
        ("path = '.* DATA'; content = 3; end = close;", "no conversation is in READ"),
        ("path = '.* READ'; end = close;", "and only with `content`"),
        ("path = '.* READ'; content = 3; reply = '250 ok'; end = close;", "the row says nothing"),
        (
            "path = '.* READ'; content = 3; reply = '421 ok';",
            "an answer inside content needs `end`",
        ),
        ("path = '.* READ'; content = 3; when = 'x'; end = close;", "there is no line for `when`"),
        ("path = '.* READ'; content = 3; done; end = close;", "there is no row for `done`"),
        ("path = '.* READ READ'; content = 3; end = close;", "no conversation is in READ"),
        ("path = '.* MALI'; end = close;", "did you mean `MAIL`?"),
        ("path = '.* MAIL{3,2}'; end = close;", "nothing can come so often"),
        ("path = '.* MAIL{x}'; end = close;", "this is no count"),
        ("path = '.* MAIL{2'; end = close;", "this `{` is not closed"),
        ("path = '{2}'; end = close;", "there is nothing for this `{` to repeat"),
        ("path = '.* MAIL{2,1001}'; end = close;", "no part is counted beyond 1000"),
        ("path = '.* (MAIL{1000}){1000}'; end = close;", "too long once its counted parts"),
        ("path = '.* MAIL'; rpely = '451 x';", "did you mean `reply`?"),
        ("path = '.* MAIL'; end = close; colour = red;", "unknown attribute `colour` in a `fault`"),
        ("reply = '451 x';", "`fault` needs `says` and `path`"),
    ] {
        let said = said(&format!("fault = {{ says = 'x'; {attributes} }};\n"));
        assert!(said.contains(expected) && said.contains("error: "), "{attributes}\n{said}");
    }
    for (source, expected) in [
        (
            "AutoGen Definitions fsm;\nfault = { says = 'x'; path = ''; wait = '1s'; };\n",
            "a file of faults has no header",
        ),
        ("state = a;\n", "a file of faults has no `state`"),
        ("falut = { says = 'x'; path = ''; wait = '1s'; };\n", "did you mean `fault`?"),
        ("/* nothing */\n", "this file has no fault"),
        ("fault = x;\n", "`fault` takes a block"),
    ] {
        assert!(said(source).contains(expected), "{source}\n{}", said(source));
    }
}

#[test]
fn a_fault_that_another_hides_is_a_warning_that_names_it() {
    let two = |first: &str, second: &str| {
        said(&format!("fault = {{ says = 'one'; {first} }}, {{ says = 'two'; {second} }};\n"))
    };
    let hidden = "warning: this never fires: another comes first, \"one\"";
    let refuse = "reply = '451 x';";
    for (first, second) in [
        ("path = '.* RCPT';", "path = '.* RCPT RCPT';"),
        ("path = '.* MAIL';", "path = '.* RCPT';"),
        ("path = '';", "path = '.* RCPT';"),
    ] {
        let said = two(&format!("{first} {refuse}"), &format!("{second} end = close;"));
        assert!(said.contains(hidden), "{first} {second}: {said}");
    }
    let once =
        two("path = '.* MAIL'; first = 1; reply = '451 x';", "path = '.* MAIL'; end = close;");
    assert_eq!(once, "");
    let waits = two("path = '.* MAIL'; wait = '1s';", "path = '.* RCPT'; end = close;");
    assert_eq!(waits, "");
}

#[test]
fn the_build_refuses_faults() {
    let source = format!("{PAGE}{NINE}");
    let found = autofsm::compile(&source, Some(&RULES));
    let definition = found.definition.unwrap();
    assert_eq!(definition.faults.len(), 9);
    let refused = autofsm::refused_in_a_build(&definition).unwrap();
    assert_eq!(refused.message, "a server that is built has no faults");
    assert_eq!(autofsm::refused_in_a_build(&self::definition()), None);
}

#[test]
fn a_page_is_written_with_its_faults_and_read_again_as_it_was() {
    let definition = autofsm::compile(&format!("{PAGE}{NINE}"), Some(&RULES)).definition.unwrap();
    let page = autofsm::page(&definition, &[]);
    let again = autofsm::compile(&page, Some(&RULES));
    let shown = render(&again.diagnostics, "page", &page);
    let again = again.definition.unwrap_or_else(|| panic!("{shown}\n{page}"));
    assert_eq!(again.faults.len(), definition.faults.len());
    for (one, other) in again.faults.iter().zip(&definition.faults) {
        assert!(one.is_same(other), "{one:?}\n{other:?}");
    }
}

fn ready_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("faults")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "def")).collect();
    files.sort();
    assert!(files.len() >= 20, "{}", files.len());
    files
}

#[test]
fn each_ready_file_tells_its_story_and_its_dialogue_makes_each_fault_fire() {
    for path in ready_files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("/*\n * "), "{name} tells no story");
        assert_eq!(said(&source), "", "{name}");
        let faults = compiled(name, &source);
        let text = fs::read_to_string(path.with_extension("smtp")).unwrap();
        let dialogue = Dialogue::parse(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(dialogue.faults.as_deref(), Some(name));
        for piece in [usize::MAX, 1, 2, 7] {
            let config = dialogue.config().unwrap();
            let settings = settings(&config, &faults);
            let all = settings.faults.clone().unwrap();
            let mut peer = Peer::with(&config, settings);
            let played = dialogue.play(&mut peer, |_| piece);
            played.unwrap_or_else(|why| panic!("{name} in pieces of {piece}: {why}"));
            for report in all.report() {
                assert!(report.fired > 0, "{name}: {} did not fire", report.says);
            }
        }
    }
}

/// Three sessions at one server, each with two MAILs; how often the fault fired after each session.
fn fired_by_three(each: &str) -> Vec<u64> {
    let source = format!(
        "fault = {{ says = 'x'; path = '.* MAIL'; reply = '451 4.0.0 x'; first = 1; {each} }};"
    );
    let all = ready(&compiled("f.def", &source));
    let config = Config::default();
    let session = |_| {
        let settings = Settings { faults: Some(Arc::clone(&all)), ..config.settings(page()) };
        let mut peer = Peer::with(&config, settings);
        peer.give(Input::Octets(b"EHLO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n"));
        assert_eq!(peer.position().name(), "begin_transaction");
        all.report()[0].fired
    };
    (0..3).map(session).collect()
}

#[test]
fn counts_are_for_each_key_and_for_the_whole_server_without_one() {
    assert_eq!(fired_by_three("each = session;"), [1, 2, 3]);
    assert_eq!(fired_by_three("each = client;"), [1, 1, 1]);
    assert_eq!(fired_by_three(""), [1, 1, 1]);
}

/// What is around a session whose client reads as clients do: a clock that passes in waits, and a
/// store that says yes or no as it is told.
struct Around {
    said: Vec<u8>,
    draft: Vec<u8>,
    safe: Vec<Vec<u8>>,
    verdicts: Vec<bool>,
    asked: usize,
    open: bool,
    now: u64,
}

impl World for Around {
    fn take(&mut self, output: Output<'_>) {
        assert!(self.open, "an output after the end: {output:?}");
        match output {
            Output::Reply(reply) => reply.write(&mut self.said, true),
            Output::Octets(octets) => self.said.extend(octets),
            Output::Open(_) | Output::Discard => self.draft.clear(),
            Output::Content(octets) => self.draft.extend_from_slice(octets),
            Output::Wait(milliseconds) => self.now += milliseconds,
            Output::Close | Output::Reset | Output::Hang => self.open = false,
            _ => {}
        }
    }

    fn answer(&mut self, question: Question) -> Input<'static> {
        match question {
            Question::Room(_) => Input::Room(Ok(())),
            Question::Handshake => Input::Handshake(Ok(())),
            Question::User(mailbox) if mailbox.local.as_str() == "nobody" => {
                Input::User(Err(NoUser::Unknown))
            }
            Question::User(_) => Input::User(Ok(())),
            Question::Store => {
                let is_stored = self.verdicts.get(self.asked).copied().unwrap_or(true);
                self.asked += 1;
                let draft = std::mem::take(&mut self.draft);
                if is_stored {
                    self.safe.push(draft);
                }
                Input::Stored(if is_stored { Ok(()) } else { Err(Refusal::Full) })
            }
        }
    }

    fn now(&self) -> u64 {
        self.now
    }
}

/// How a client finds the end of a reply.
#[derive(Clone, Copy, Debug)]
enum Reads {
    /// Lines end in CR LF, and the last one has no `-` after its code.
    Strictly,
    /// Lines end in CR or LF, whichever comes.
    EachEnd,
    /// Any line that does not go on is an answer, whatever it is.
    AnyLine,
}

/// Takes one reply, and its code, 0 if it has none; none if it has not come whole.
fn take_reply(said: &mut Vec<u8>, reads: Reads) -> Option<u16> {
    let mut place = 0;
    loop {
        let rest = &said[place..];
        let (end, skip) = match reads {
            Reads::Strictly => (rest.windows(2).position(|two| two == b"\r\n")?, 2),
            Reads::EachEnd | Reads::AnyLine => {
                (rest.iter().position(|octet| b"\r\n".contains(octet))?, 1)
            }
        };
        let line = rest[..end].to_vec();
        place += end + skip;
        let code = line.get(..3).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let code: Option<u16> = code;
        let goes_on = line.get(3) == Some(&b'-');
        let is_last = match reads {
            Reads::AnyLine => !line.is_empty() && !goes_on,
            Reads::Strictly | Reads::EachEnd => code.is_some() && !goes_on,
        };
        if is_last {
            said.drain(..place);
            return Some(code.unwrap_or(0));
        }
    }
}

/// A client that sends messages by RFC 2920: MAIL, RCPT and DATA together, content after 354 only,
/// and the next group right behind the dot if it is in a hurry. Returns the bodies that were
/// answered with 250.
fn client_sends(
    session: &mut Session,
    around: &mut Around,
    messages: usize,
    reads: Reads,
    hurries: bool,
) -> Vec<Vec<u8>> {
    let mut believed = Vec::new();
    drive(session, Input::Connect, around);
    let Some(_) = take_reply(&mut around.said, reads) else { return believed };
    let give = |session: &mut Session, around: &mut Around, text: &str| {
        if around.open {
            drive(session, Input::Octets(text.as_bytes()), around);
        }
    };
    give(session, around, "EHLO client.example\r\n");
    let Some(_) = take_reply(&mut around.said, reads) else { return believed };
    let group = "RSET\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<nobody@postman.local>\r\n\
                 RCPT TO:<b@postman.local>\r\nDATA\r\n";
    let mut is_sent = false;
    for number in 0..messages {
        if !std::mem::take(&mut is_sent) {
            give(session, around, group);
        }
        let mut last = 0;
        for _ in 0..5 {
            let Some(code) = take_reply(&mut around.said, reads) else { return believed };
            last = code;
        }
        if last != 354 {
            continue;
        }
        let body = format!("Subject: {number}\r\n\r\nbody {number}\r\n");
        give(session, around, &body);
        is_sent = hurries && number + 1 < messages;
        give(session, around, &format!(".\r\n{}", if is_sent { group } else { "NOOP\r\n" }));
        let Some(code) = take_reply(&mut around.said, reads) else { return believed };
        if code / 100 == 2 {
            believed.push(body.into_bytes());
        }
        if !is_sent {
            let Some(_) = take_reply(&mut around.said, reads) else { return believed };
        }
    }
    believed
}

/// A fault as text, with attributes by chance: many are refused by the compiler.
fn fault_text(random: &mut Random) -> String {
    let mut one = |of: &[&str]| of[random.below(of.len())].to_owned();
    let path = one(&[
        "",
        ".*",
        ".* EHLO",
        ".* MAIL",
        ".* RCPT",
        ".* DATA",
        ".* END",
        ".* READ",
        ".* DATA READ? END",
        ".* END .* END",
        ".* [MAIL RCPT DATA END]",
        ".* RSET",
        ".* NOOP",
        ".* (MAIL RCPT DATA READ END){1,2}",
        ".* END .* MAIL",
        ".+",
    ]);
    let mut text = format!("{{ says = 'x'; path = '{path}';");
    let codes = [
        "",
        "250 a",
        "'250-a', '250 b'",
        "354 go",
        "451 no",
        "554 no",
        "'421-a', '421 b'",
        "220 x",
    ];
    let reply = one(&codes);
    if reply.starts_with('\'') {
        text += &format!(" reply = {reply};");
    } else if !reply.is_empty() {
        text += &format!(" reply = '{reply}';");
    } else {
        let pieces = [
            "250",
            "354",
            "451",
            "-",
            " ",
            "a",
            "\\r\\n",
            "\\n",
            "\\r",
            "2",
            "250 ok\\r\\n",
            "250-",
            "x",
        ];
        let mut octets = String::new();
        for _ in 0..one(&["0", "1", "2", "3", "4", "6"]).parse::<usize>().unwrap() {
            octets += &one(&pieces);
        }
        if one(&["y", "n"]) == "y" {
            text += &format!(" octets = \"{octets}\";");
        }
    }
    for (attribute, often) in [
        (" done;", "3"),
        (" first = 1;", "3"),
        (" wait = '1s';", "5"),
        (" pace = '3 octets, 1s';", "5"),
        (" cut = 4;", "5"),
        (" cut = 0;", "7"),
        (" end = close;", "4"),
        (" end = hang;", "6"),
        (" end = reset;", "6"),
        (" over = '1 in 10s';", "5"),
        (" when = '(?i)subject: 1';", "6"),
        (" content = 5;", "6"),
    ] {
        let often: usize = often.parse().unwrap();
        let dice: Vec<String> = (0..often).map(|side| side.to_string()).collect();
        let sides: Vec<&str> = dice.iter().map(String::as_str).collect();
        if one(&sides) == "0" {
            text += attribute;
        }
    }
    text + " }"
}

/// Plays a client against faults by chance; how many of them the compiler let pass, and how many
/// messages the client believes to be safe.
fn whoever_read_250_finds_the_mail(
    definition: &Definition,
    machine: &'static Machine,
    seed: u64,
) -> (usize, usize) {
    let mut random = Random(seed);
    // One that is refused says nothing of the others.
    let texts: Vec<String> = (0..=random.below(3))
        .map(|_| fault_text(&mut random))
        .filter(|text| {
            compile_faults(&format!("fault = {text};"), definition, &RULES).faults.is_some()
        })
        .collect();
    let source = format!("fault = {};", texts.join(", "));
    let mut faults = Vec::new();
    if !texts.is_empty() {
        faults = compile_faults(&source, definition, &RULES).faults.unwrap();
    }
    let config = Config::default();
    let faults_ready = Faults::new(definition, &faults).unwrap();
    let (mut sent, verdicts) = (0, (0..8).map(|_| random.below(3) > 0).collect::<Vec<_>>());
    for (reads, hurries) in [
        (Reads::Strictly, false),
        (Reads::Strictly, true),
        (Reads::EachEnd, true),
        (Reads::AnyLine, false),
        (Reads::AnyLine, true),
    ] {
        let settings = Settings { faults: faults_ready.clone(), ..config.settings(machine) };
        let mut session = Session::new(Arc::new(settings), client(&config));
        let mut around = Around {
            said: Vec::new(),
            draft: Vec::new(),
            safe: Vec::new(),
            verdicts: verdicts.clone(),
            asked: 0,
            open: true,
            now: 0,
        };
        let believed = client_sends(&mut session, &mut around, 4, reads, hurries);
        let mut safe: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for body in around.safe {
            *safe.entry(body).or_default() += 1;
        }
        for body in &believed {
            assert!(
                safe.contains_key(body),
                "seed {seed}, {reads:?}, {hurries}: 250 for a message that is not there: {:?}\n{source}",
                String::from_utf8_lossy(body)
            );
        }
        sent += believed.len();
    }
    (texts.len(), sent)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whoever_read_250_after_end_finds_the_mail_whatever_the_faults(seed in any::<u64>()) {
        let definition = definition();
        // Several of each seed: to compile the page takes longer than to play.
        for number in 0..16 {
            whoever_read_250_finds_the_mail(&definition, page(), seed ^ number);
        }
    }
}

#[test]
fn the_clients_of_that_property_meet_faults_and_believe_in_mail() {
    let definition = definition();
    let (mut faults, mut believed) = (0, 0);
    for seed in 0..100 {
        let (more, sent) = whoever_read_250_finds_the_mail(&definition, page(), seed);
        faults += more;
        believed += sent;
    }
    assert!(faults > 40 && believed > 200, "{faults} faults, {believed} messages");
}
