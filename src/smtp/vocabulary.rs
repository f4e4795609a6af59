//! What this server can do, for the compiler: the actions that a definition may name, with what
//! each needs, lacks, gives and drops; the commands that have a meaning, with what a success
//! promises; and the commands whose rows a server may have to leave out.
//!
//! An action's name in the definition (`ttype = add_recipient`), its variant here and the
//! session's method are one word. The build script includes this file too, so that the
//! compiler proves an edit against the very vocabulary that the server acts by.

use crate::autofsm::{ActionSpec, Argument, CommandSpec, CountKey, KeywordSpec, Vocabulary};

const fn keyword(name: &'static str, command: Option<&'static str>) -> KeywordSpec {
    KeywordSpec { name, command }
}

/// The keywords of the extensions that this server keeps, each with the command that it stands
/// for. RFC 5321 4.1.1.1.
const KEYWORDS: &[KeywordSpec] = &[
    keyword("PIPELINING", None),           // RFC 2920
    keyword("8BITMIME", None),             // RFC 6152
    keyword("SIZE", None),                 // RFC 1870
    keyword("ENHANCEDSTATUSCODES", None),  // RFC 2034
    keyword("STARTTLS", Some("STARTTLS")), // RFC 3207
];

/// The client's name: what HELO and EHLO give.
pub const GREETING: &str = "a greeting";
/// The address for reports: what MAIL gives.
pub const SENDER: &str = "a sender";
/// An address to deliver to: what RCPT gives.
pub const RECIPIENT: &str = "a recipient";
/// What the client and the server say cannot be read on the way: what STARTTLS gives.
pub const ENCRYPTED: &str = "an encrypted line";
/// A message whose content is arriving.
pub const MESSAGE: &str = "an open message";

macro_rules! actions {
    ($( $(#[$doc:meta])* $variant:ident $name:literal $argument:ident needs $needs:tt lacks $lacks:tt gives $gives:tt drops $drops:tt; )*) => {
        /// What the server does when a command was accepted. RFC 5321 4.1.1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $( $(#[$doc])* $variant, )* }

        impl Action {
            /// Every action, in the order of the vocabulary.
            pub const ALL: &'static [Action] = &[$( Action::$variant, )*];

            /// The word by which a definition names the action.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Action::$variant => $name, )* }
            }
        }

        /// What the compiler must know to prove that a definition can be served.
        pub const VOCABULARY: Vocabulary = Vocabulary {
            actions: &[$( ActionSpec {
                name: $name, variant: stringify!($variant), argument: Argument::$argument,
                needs: &$needs, lacks: &$lacks, gives: &$gives, drops: &$drops,
            }, )*],
            commands: COMMANDS,
            unable: UNABLE,
            conditional: CONDITIONAL,
            content: "READ",
            end: "END",
            keywords: KEYWORDS,
            offering: "greet_extended",
            append: "append",
            deliver: "deliver",
            message: MESSAGE,
            refusing: "answer",
            content_code: 354,
            closing_codes: &[221, 421],
            other_codes: OTHER_CODES,
            greeting_code: 220,
            keys: KEYS,
            pattern: None,
        };
    };
}

actions! {
    /// Learns the client's name; a transaction in progress is dropped. RFC 5321 4.1.1.1.
    Greet "greet" Required needs [] lacks [] gives [GREETING] drops [SENDER, RECIPIENT, MESSAGE];
    /// The same, and lists the service extensions. RFC 5321 4.1.1.1.
    GreetExtended "greet_extended" Required needs [] lacks [] gives [GREETING] drops [SENDER, RECIPIENT, MESSAGE];
    /// Encrypts the line; nothing that was said before counts. RFC 3207 4.2.
    StartTls "start_tls" Refused needs [] lacks [ENCRYPTED] gives [ENCRYPTED] drops [GREETING, SENDER, RECIPIENT, MESSAGE];
    /// Begins a transaction. RFC 5321 4.1.1.2.
    SetSender "set_sender" Required needs [GREETING] lacks [SENDER] gives [SENDER] drops [RECIPIENT, MESSAGE];
    /// Adds one recipient to the transaction. RFC 5321 4.1.1.3.
    AddRecipient "add_recipient" Required needs [SENDER] lacks [] gives [RECIPIENT] drops [];
    /// Opens a message for the content that follows. RFC 5321 4.1.1.4.
    OpenMessage "open_message" Refused needs [SENDER, RECIPIENT] lacks [] gives [MESSAGE] drops [];
    /// Takes a piece of content. RFC 5321 4.1.1.4.
    Append "append" Optional needs [MESSAGE] lacks [] gives [] drops [];
    /// Makes the message safe for every recipient; the transaction is over. RFC 5321 4.1.1.4.
    Deliver "deliver" Optional needs [MESSAGE] lacks [] gives [] drops [SENDER, RECIPIENT, MESSAGE];
    /// Drops the transaction and keeps the greeting. RFC 5321 4.1.1.5.
    Reset "reset" Refused needs [] lacks [] gives [] drops [SENDER, RECIPIENT, MESSAGE];
    /// Says whether a mailbox exists. RFC 5321 4.1.1.6.
    Verify "verify" Required needs [] lacks [] gives [] drops [];
    /// Lists the commands, or one command's syntax. RFC 5321 4.1.1.8.
    Explain "explain" Optional needs [] lacks [] gives [] drops [];
    /// Gives the row's reply and does nothing else. RFC 5321 4.1.1.7, 4.1.1.9, 4.1.1.10.
    Answer "answer" Optional needs [] lacks [] gives [] drops [];
}

const fn command(
    name: &'static str,
    actions: &'static [&'static str],
    codes: &'static [u16],
) -> CommandSpec {
    CommandSpec { name, actions, codes, word: "" }
}

/// The commands that mean something to a client, each with the actions that a success promises,
/// and the codes that say it. RFC 5321 4.3.2. A definition's other commands are its own, and free.
const COMMANDS: &[CommandSpec] = &[
    command("HELO", &["greet"], &[250]),
    command("EHLO", &["greet_extended"], &[250]),
    command("STARTTLS", &["start_tls"], &[220]),
    CommandSpec { word: "FROM:", ..command("MAIL", &["set_sender"], &[250]) },
    // Not 251: the server forwards nothing.
    CommandSpec { word: "TO:", ..command("RCPT", &["add_recipient"], &[250]) },
    command("DATA", &["open_message"], &[354]),
    command("END", &["deliver"], &[250]),
    command("RSET", &["reset"], &[250]),
    // Not 250, which says that the user exists: the session answers so when it asked. RFC 5321 7.3.
    command("VRFY", &["verify"], &[252]),
    // There are no lists, so that 250 could name no member of one.
    command("EXPN", &["answer"], &[252]),
    command("HELP", &["explain", "answer"], &[211, 214]),
    command("NOOP", &["answer"], &[250]),
    command("QUIT", &["answer"], &[221]),
];

/// The commands that need what a server may lack: STARTTLS needs a certificate. A server without it
/// leaves out their rows (`served` in `src/server/terms.rs`).
const CONDITIONAL: &[&str] = &["STARTTLS"];

/// What this server cannot do: commands, and the keywords of extensions, since EHLO offers a
/// keyword that is the name of a command. A definition may only refuse them.
const UNABLE: &[&str] = &[
    "AUTH", // RFC 4954
    "BDAT",
    "CHUNKING",
    "BINARYMIME", // RFC 3030
    "BURL",       // RFC 4468
    "ETRN",       // RFC 1985
    "ATRN",       // RFC 2645
    "LHLO",       // RFC 2033
    "TURN",
    "SEND",
    "SOML",
    "SAML",          // RFC 821; RFC 5321 F
    "DSN",           // RFC 3461
    "SMTPUTF8",      // RFC 6531
    "DELIVERBY",     // RFC 2852
    "FUTURERELEASE", // RFC 4865
    "MT-PRIORITY",   // RFC 6710
    "REQUIRETLS",    // RFC 8689
    "NO-SOLICITING", // RFC 3865
    "CHECKPOINT",    // RFC 1845
    "MTRK",          // RFC 3885
    "XCLIENT",
    "XFORWARD", // Postfix: another client's address, which the server would have to believe
    "CONPERM",
    "CONNEG", // RFC 4141
    "LIMITS", // RFC 9422
];

/// What a fault can be counted for; `src/smtp/faults/` reads each from the session.
const KEYS: &[CountKey] = &[
    CountKey { name: "session", needs: None },
    CountKey { name: "client", needs: None },
    CountKey { name: "sender", needs: Some(SENDER) },
    CountKey { name: "line", needs: None },
];

/// Codes of success that promise what no row does, and what they say.
const OTHER_CODES: &[(u16, &str)] = &[
    (220, "that the service, or encryption, is ready"),
    (235, "that a login succeeded"),
    (251, "that mail will be forwarded"),
];
