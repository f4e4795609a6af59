//! The rooms of the house: what each part of the source may know.
//!
//! `autofsm/` is compiled by build.rs alone too, so that a `use crate::` in it does not compile;
//! the rest is read here. What the documents promise of the source is read in `documents.rs`, and
//! the lists of dependencies in `dependencies.rs`.

use std::fs;
use std::path::{Path, PathBuf};

mod dependencies;
mod documents;

/// A rule: which files, but for which, may not have these words, and why.
struct Rule {
    room: &'static str,
    but: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        room: "src/autofsm",
        but: &[],
        words: &[
            "crate::", "postman", "smtp::", "std::fs", "std::net", "std::env", "log::", "rustix",
            "regex",
        ],
        why: "the definition compiler knows nothing of the rest, of SMTP or of files",
    },
    Rule {
        room: "src/autofsm",
        but: &[],
        words: &[
            "HELO",
            "EHLO",
            "MAIL",
            "RCPT",
            "DATA",
            "RSET",
            "VRFY",
            "QUIT",
            "READ",
            "\"END",
            "`END",
            "\"append",
            "\"deliver",
            "\"answer",
            "open message",
            "open_message",
            "sender",
            "recipient",
            "354",
            "221",
            "421",
        ],
        why: "the words of a protocol come with the vocabulary",
    },
    Rule {
        room: "src/smtp",
        but: &[],
        words: &[
            "std::fs",
            "std::thread",
            "std::time",
            "std::env",
            "std::os",
            "std::process",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "SystemTime",
            "Instant",
            "log::",
            "println!",
            "async ",
            ".await",
            "rustix",
            "chrono",
            "getrandom",
            "crate::server",
            "crate::maildir",
            "crate::config",
            "crate::logging",
            "crate::cli",
        ],
        why: "the protocol has no socket, no file, no clock and no log",
    },
    Rule {
        room: "src",
        but: &["src/server", "src/web"],
        words: &[
            "async fn",
            "async move",
            "async {",
            ".await",
            "async_io",
            "async_channel",
            "futures_lite",
            "smol",
        ],
        why: "only the server and its page are async",
    },
    Rule {
        room: "src",
        but: &["src/web"],
        words: &["hyper", "http1", "prometheus", "form_urlencoded", "text/html", "Origin"],
        why: "only the page knows HTTP",
    },
    Rule {
        room: "src/web",
        but: &[],
        words: &[
            "std::fs",
            "crate::maildir",
            "crate::cli",
            "crate::autofsm",
            "crate::dialogue",
            "crate::conformance",
            "rustix",
            "unsafe-inline",
        ],
        why: "the page looks at the server, and touches neither its disk nor its definition",
    },
    Rule {
        room: "src/server",
        but: &[],
        words: &["crate::web", "crate::reader", "crate::cli"],
        why: "the server does not know who looks",
    },
    Rule {
        room: "src",
        but: &[],
        words: &["tokio"],
        why: "there is one runtime, and it is smol's",
    },
    Rule {
        room: "src",
        but: &["src/maildir"],
        words: &[
            "fs::write",
            "File::create",
            "create_new",
            "OpenOptions",
            "fs::rename",
            "fs::remove",
            "fs::create_dir",
            "DirBuilder",
            "openat",
            "renameat",
            "linkat",
            "unlinkat",
            "mkdirat",
            "fsync",
            "fdatasync",
        ],
        why: "only maildir writes mail",
    },
    Rule {
        room: "src/maildir",
        but: &[],
        words: &[
            "crate::server",
            "crate::config",
            "crate::logging",
            "crate::cli",
            "TcpStream",
            "log::",
        ],
        why: "the store knows no socket, no configuration and no log",
    },
    Rule {
        room: "src/conformance",
        but: &[],
        words: &[
            "std::fs",
            "std::net",
            "std::thread",
            "std::time",
            "TcpStream",
            "log::",
            "crate::server",
            "crate::maildir",
            "crate::cli",
        ],
        why: "the suite and its run have no socket, no file and no clock",
    },
    Rule {
        room: "src",
        but: &[],
        words: &[
            "env::var",
            "env::vars",
            "option_env!",
            "env::set_var",
            "chrono::Local",
            "home_dir",
            "temp_dir",
        ],
        why: "nothing in the environment changes what it does",
    },
    Rule {
        room: "src/smtp",
        but: &[],
        // The tests' own dependencies bring Unicode's tables into the binary that tests run, and
        // hide that the one that is built without them stops at its first command.
        words: &["(?i)", "(?i:", r"\d", r"\w", r"\s", r"\b", r"\p{"],
        why: "the server's regex has no tables of Unicode: `(?i-u:...)`, and classes by their octets",
    },
    Rule {
        room: "src",
        but: &[],
        words: &["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX"],
        why: "what is here is finished",
    },
];

/// Files that a rule does not bind, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The standard library reads it for the stack of a thread that a library starts: nothing may
    // run there then.
    ("src/server/reactor.rs", "env::var"),
    // The names of systemd's sockets, which the library does not read.
    ("src/server/service.rs", "env::var"),
    // The file of a unix socket is no mail.
    ("src/server/listeners.rs", "fs::remove"),
    // A certificate for a trial is no mail, and may not replace another file.
    ("src/cli/certificate.rs", "OpenOptions"),
    ("src/cli/certificate.rs", "create_new"),
    // The log's own files are no mail.
    ("src/logging.rs", "OpenOptions"),
    ("src/logging.rs", "create_new"),
    ("src/logging.rs", "fs::remove"),
    // The folder that `serve -- CMD` gave its command: it is a reader's, and no server's.
    ("src/cli/mail.rs", "env::var"),
    // A reader removes what was read.
    ("src/reader/folder.rs", "fs::remove"),
    // A transcript is no mail.
    ("src/server/transcript.rs", "OpenOptions"),
    ("src/server/transcript.rs", "create_new"),
    ("src/server/transcript.rs", "DirBuilder"),
    ("src/server/transcript.rs", "fs::rename"),
    // A dialogue that a person saves is no mail, and may not replace another file.
    ("src/cli/fsm/try_it.rs", "OpenOptions"),
    ("src/cli/fsm/try_it.rs", "create_new"),
    // Nor are the dialogues of a suite, and of its findings.
    ("src/cli/fsm/test.rs", "OpenOptions"),
    ("src/cli/fsm/test.rs", "create_new"),
    ("src/cli/fsm/test.rs", "DirBuilder"),
    // The word by which TAP marks a failure that is expected.
    ("src/conformance/report/forms.rs", "TODO"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    let before_tests = text
        .find("#[cfg(test)]\nmod tests {")
        .map_or(usize::MAX, |place| text[..place].lines().count());
    lines
        .take_while(|(number, _)| *number < before_tests)
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
        .collect()
}

fn broken(path: &str, text: &str) -> Vec<String> {
    let is_test =
        path.ends_with("/tests.rs") || path.ends_with("/gate.rs") || path.contains("/tests/");
    let within = |room: &str| path.starts_with(&format!("{room}/")) || path == room;
    let mut found = Vec::new();
    for rule in RULES
        .iter()
        .filter(|rule| !is_test && within(rule.room) && !rule.but.iter().any(|but| within(but)))
    {
        for (number, line) in code(text) {
            // Where autofsm is a module of the build script, this names the same module.
            let line = line.replace("pub(in crate::autofsm)", "");
            for word in rule.words.iter().filter(|word| line.contains(**word)) {
                if !EXCEPTIONS.contains(&(path, word)) {
                    found.push(format!("{path}:{number}: `{word}`, but {}", rule.why));
                }
            }
        }
    }
    found
}

#[test]
fn each_part_of_the_source_keeps_to_its_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join("src"), &mut paths);
    assert!(paths.len() > 30);
    let found: Vec<_> = paths
        .iter()
        .flat_map(|path| {
            let shown = path.strip_prefix(root).unwrap().to_str().unwrap();
            broken(shown, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    for (path, text) in [
        ("src/autofsm/mod.rs", "use crate::smtp::path;"),
        ("src/autofsm/served.rs", "\"append\" => content,"),
        ("src/autofsm/fitting.rs", "code == 354"),
        ("src/autofsm/resolve/attributes.rs", "it is not an EHLO keyword"),
        ("src/smtp/session/mod.rs", "let now = std::time::Instant::now();"),
        ("src/cli/serve.rs", "async fn serve() {}"),
        ("src/server/door.rs", "fs::write(path, mail)?;"),
        ("src/maildir/mod.rs", "log::info!(\"delivered\");"),
        ("src/logging.rs", "let zone = env::var(\"TZ\");"),
        ("src/cli/serve.rs", "use hyper::Method;"),
        ("src/server/live.rs", "use crate::web::Web;"),
        ("src/web/messages.rs", "std::fs::read(path)"),
        ("src/web/mod.rs", "tokio::spawn(served);"),
    ] {
        assert!(!broken(path, text).is_empty(), "{path}: {text}");
        assert!(broken(path, &format!("// {text}")).is_empty(), "{path}: {text}");
    }
}

/// The longest function, in lines from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// The functions of a text that are too long: line and length.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines = code(text);
    let mut found = Vec::new();
    for (place, (number, line)) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let mut words = line.split_whitespace().skip_while(|word| {
            word.starts_with("pub")
                || word.starts_with("in ")
                || matches!(*word, "const" | "async" | "extern")
        });
        if words.next() != Some("fn") {
            continue;
        }
        let end = format!("{}}}", &line[..indent]);
        let length =
            lines[place..].iter().position(|(_, line)| *line == end).map_or(1, |length| length + 1);
        // What has its brace on its own line, or none, ends there.
        let is_short = line.trim_end().ends_with(['}', ';']);
        if !is_short && length > FUNCTION_LINES_MAX {
            found.push((*number, length));
        }
    }
    found
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("build.rs")];
    files(&root.join("src"), &mut paths);
    let mut long = Vec::new();
    for path in paths {
        for (line, length) in long_functions(&fs::read_to_string(&path).unwrap()) {
            long.push(format!("{}:{line}: a function of {length} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
    let of = |count: usize| {
        format!("    pub(crate) async fn f(\n{}    }}\n", "        x();\n".repeat(count))
    };
    assert_eq!(long_functions(&of(FUNCTION_LINES_MAX - 2)), []);
    assert_eq!(long_functions(&of(FUNCTION_LINES_MAX - 1)), [(1, FUNCTION_LINES_MAX + 1)]);
}
