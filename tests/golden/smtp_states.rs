// The protocol of smtp-states.def, as build.rs compiled it. Edits here are lost: edit smtp-states.def.

/// just connected
pub const INIT: StateId = StateId(0);
/// greeted; no mail in hand
pub const CLIENT_INIT: StateId = StateId(1);
/// the sender is known
pub const BEGIN_TRANSACTION: StateId = StateId(2);
/// and one recipient or more
pub const TRANSACTION: StateId = StateId(3);
/// all that comes is content
pub const READ_DATA: StateId = StateId(4);
/// the end: the server closes
pub const DONE: StateId = StateId(5);

/// A cell: do this, go there, answer that.
const fn to(next: StateId, action: Action, reply: Option<ReplySpec>) -> Option<Transition> {
    Some(Transition { next, action, reply })
}
/// A reply whose words are the server's.
const fn code(code: u16) -> Option<ReplySpec> {
    Some(ReplySpec { code, text: None })
}
/// A reply whose words are the definition's.
#[allow(dead_code, reason = "a definition may have no words of its own")]
const fn says(code: u16, text: &'static str) -> Option<ReplySpec> {
    Some(ReplySpec { code, text: Some(text) })
}

/// The whole protocol.
pub static MACHINE: Machine = Machine {
    source: "smtp-states.def",
    states: &[
        State { name: "init", doc: "" },
        State { name: "client_init", doc: "greeted; no mail in hand" },
        State { name: "begin_transaction", doc: "the sender is known" },
        State { name: "transaction", doc: "and one recipient or more" },
        State { name: "read_data", doc: "all that comes is content" },
        State { name: "done", doc: "" },
    ],
    events: &[
        Event { name: "HELO", syntax: Some("HELO domain"), doc: "" },
        Event { name: "EHLO", syntax: Some("EHLO domain"), doc: "" },
        Event { name: "MAIL", syntax: Some("MAIL FROM:<address> [parameters]"), doc: "" },
        Event { name: "RCPT", syntax: Some("RCPT TO:<address>"), doc: "" },
        Event { name: "DATA", syntax: None, doc: "" },
        Event { name: "RSET", syntax: None, doc: "" },
        Event { name: "NOOP", syntax: Some("NOOP [text]"), doc: "" },
        Event { name: "HELP", syntax: Some("HELP [command]"), doc: "" },
        Event { name: "VRFY", syntax: Some("VRFY user"), doc: "" },
        Event { name: "EXPN", syntax: Some("EXPN [list]"), doc: "" },
        Event { name: "QUIT", syntax: None, doc: "" },
        Event { name: "READ", syntax: None, doc: "message content" },
        Event { name: "END", syntax: None, doc: "the line that is a single dot" },
    ],
    keywords: &["PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES"],
    cells: &[
        // init
        /* HELO */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:51
        /* EHLO */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:52
        /* MAIL */ None,
        /* RCPT */ None,
        /* DATA */ None,
        /* RSET */ to(INIT, Action::Reset, code(250)), // smtp-states.def:66
        /* NOOP */ to(INIT, Action::Answer, code(250)), // smtp-states.def:72
        /* HELP */ to(INIT, Action::Explain, code(214)), // smtp-states.def:73
        /* VRFY */ to(INIT, Action::Verify, code(252)), // smtp-states.def:74
        /* EXPN */ to(INIT, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:75
        /* QUIT */ to(DONE, Action::Answer, code(221)), // smtp-states.def:76
        /* READ */ None,
        /* END  */ None,
        // client_init
        /* HELO */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:51
        /* EHLO */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:52
        /* MAIL */ to(BEGIN_TRANSACTION, Action::SetSender, code(250)), // smtp-states.def:53
        /* RCPT */ None,
        /* DATA */ None,
        /* RSET */ to(CLIENT_INIT, Action::Reset, code(250)), // smtp-states.def:66
        /* NOOP */ to(CLIENT_INIT, Action::Answer, code(250)), // smtp-states.def:72
        /* HELP */ to(CLIENT_INIT, Action::Explain, code(214)), // smtp-states.def:73
        /* VRFY */ to(CLIENT_INIT, Action::Verify, code(252)), // smtp-states.def:74
        /* EXPN */ to(CLIENT_INIT, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:75
        /* QUIT */ to(DONE, Action::Answer, code(221)), // smtp-states.def:76
        /* READ */ None,
        /* END  */ None,
        // begin_transaction
        /* HELO */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:63
        /* EHLO */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:64
        /* MAIL */ None,
        /* RCPT */ to(TRANSACTION, Action::AddRecipient, code(250)), // smtp-states.def:54
        /* DATA */ None,
        /* RSET */ to(CLIENT_INIT, Action::Reset, code(250)), // smtp-states.def:65
        /* NOOP */ to(BEGIN_TRANSACTION, Action::Answer, code(250)), // smtp-states.def:72
        /* HELP */ to(BEGIN_TRANSACTION, Action::Explain, code(214)), // smtp-states.def:73
        /* VRFY */ to(BEGIN_TRANSACTION, Action::Verify, code(252)), // smtp-states.def:74
        /* EXPN */ to(BEGIN_TRANSACTION, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:75
        /* QUIT */ to(DONE, Action::Answer, code(221)), // smtp-states.def:76
        /* READ */ None,
        /* END  */ None,
        // transaction
        /* HELO */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:63
        /* EHLO */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:64
        /* MAIL */ None,
        /* RCPT */ to(TRANSACTION, Action::AddRecipient, code(250)), // smtp-states.def:54
        /* DATA */ to(READ_DATA, Action::OpenMessage, code(354)), // smtp-states.def:55
        /* RSET */ to(CLIENT_INIT, Action::Reset, code(250)), // smtp-states.def:65
        /* NOOP */ to(TRANSACTION, Action::Answer, code(250)), // smtp-states.def:72
        /* HELP */ to(TRANSACTION, Action::Explain, code(214)), // smtp-states.def:73
        /* VRFY */ to(TRANSACTION, Action::Verify, code(252)), // smtp-states.def:74
        /* EXPN */ to(TRANSACTION, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:75
        /* QUIT */ to(DONE, Action::Answer, code(221)), // smtp-states.def:76
        /* READ */ None,
        /* END  */ None,
        // read_data
        /* HELO */ None,
        /* EHLO */ None,
        /* MAIL */ None,
        /* RCPT */ None,
        /* DATA */ None,
        /* RSET */ None,
        /* NOOP */ None,
        /* HELP */ None,
        /* VRFY */ None,
        /* EXPN */ None,
        /* QUIT */ None,
        /* READ */ to(READ_DATA, Action::Append, None), // smtp-states.def:56
        /* END  */ to(CLIENT_INIT, Action::Deliver, code(250)), // smtp-states.def:57
        // done
        /* HELO */ None,
        /* EHLO */ None,
        /* MAIL */ None,
        /* RCPT */ None,
        /* DATA */ None,
        /* RSET */ None,
        /* NOOP */ None,
        /* HELP */ None,
        /* VRFY */ None,
        /* EXPN */ None,
        /* QUIT */ None,
        /* READ */ None,
        /* END  */ None,
    ],
};
