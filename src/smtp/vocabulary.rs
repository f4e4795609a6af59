//! The actions that a definition may name, and what each needs, gives and drops.
//!
//! An action's name in the definition (`ttype = add_recipient`), its variant here and the
//! session's method are one word. The build script includes this file too, so that the
//! compiler proves an edit against the very vocabulary that the server acts by.

use crate::autofsm::{ActionSpec, Argument, Vocabulary};

/// The EHLO keywords of the extensions that this server keeps. RFC 5321 4.1.1.1.
pub const KEYWORDS: &[&str] = &["PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES"];

/// A client that said who it is: what HELO and EHLO do.
const GREETING: &str = "a greeting";
/// Somebody to send reports to: what MAIL names.
const SENDER: &str = "a sender";
/// Somebody to deliver to: what RCPT names.
const RECIPIENT: &str = "a recipient";
/// A message whose content is coming in.
const MESSAGE: &str = "an open message";

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
            content: "READ",
            end: "END",
            keywords: KEYWORDS,
        };
    };
}

actions! {
    /// Learns the client's name; a transaction in progress is dropped. RFC 5321 4.1.1.1.
    Greet "greet" Required needs [] lacks [] gives [GREETING] drops [SENDER, RECIPIENT, MESSAGE];
    /// The same, and lists the service extensions. RFC 5321 4.1.1.1.
    GreetExtended "greet_extended" Required needs [] lacks [] gives [GREETING] drops [SENDER, RECIPIENT, MESSAGE];
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
