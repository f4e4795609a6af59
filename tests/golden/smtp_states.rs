// The protocol of smtp-states.def, as build.rs compiled it. Edits here are lost: edit smtp-states.def.

/// just connected
pub const INIT: StateId = StateId(0);
/// greeted, no mail in hand; a clear line can still be encrypted
pub const CLIENT_INIT: StateId = StateId(1);
/// encrypted just now; as in init, nothing of before is known
pub const TLS_INIT: StateId = StateId(2);
/// greeted, no mail in hand; the line stays as it is
pub const CLIENT_READY: StateId = StateId(3);
/// the sender is known
pub const BEGIN_TRANSACTION: StateId = StateId(4);
/// the sender is known, and one recipient or more
pub const TRANSACTION: StateId = StateId(5);
/// all that comes is content
pub const READ_DATA: StateId = StateId(6);
/// the end: the server closes
pub const DONE: StateId = StateId(7);

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
        State { name: "client_init", doc: "greeted, no mail in hand; a clear line can still be encrypted" },
        State { name: "tls_init", doc: "encrypted just now; as in init, nothing of before is known" },
        State { name: "client_ready", doc: "greeted, no mail in hand; the line stays as it is" },
        State { name: "begin_transaction", doc: "the sender is known" },
        State { name: "transaction", doc: "the sender is known, and one recipient or more" },
        State { name: "read_data", doc: "all that comes is content" },
        State { name: "done", doc: "" },
    ],
    events: &[
        Event { name: "HELO", syntax: Some("HELO domain"), doc: "" },
        Event { name: "EHLO", syntax: Some("EHLO domain"), doc: "" },
        Event { name: "STARTTLS", syntax: None, doc: "" },
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
    keywords: &[
        Keyword { name: "PIPELINING", command: None },
        Keyword { name: "8BITMIME", command: None },
        Keyword { name: "SIZE", command: None },
        Keyword { name: "ENHANCEDSTATUSCODES", command: None },
        Keyword { name: "STARTTLS", command: Some(EventId(2)) },
    ],
    left_out: &[],
    encrypted_at: None,
    cells: &[
        // init
        /* HELO     */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:55
        /* EHLO     */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:56
        /* STARTTLS */ to(TLS_INIT, Action::StartTls, code(220)), // smtp-states.def:67
        /* MAIL     */ None,
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ to(INIT, Action::Reset, code(250)), // smtp-states.def:78
        /* NOOP     */ to(INIT, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(INIT, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(INIT, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(INIT, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // client_init
        /* HELO     */ to(CLIENT_INIT, Action::Greet, code(250)), // smtp-states.def:55
        /* EHLO     */ to(CLIENT_INIT, Action::GreetExtended, code(250)), // smtp-states.def:56
        /* STARTTLS */ to(TLS_INIT, Action::StartTls, code(220)), // smtp-states.def:67
        /* MAIL     */ to(BEGIN_TRANSACTION, Action::SetSender, code(250)), // smtp-states.def:57
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ to(CLIENT_INIT, Action::Reset, code(250)), // smtp-states.def:78
        /* NOOP     */ to(CLIENT_INIT, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(CLIENT_INIT, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(CLIENT_INIT, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(CLIENT_INIT, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // tls_init
        /* HELO     */ to(CLIENT_READY, Action::Greet, code(250)), // smtp-states.def:68
        /* EHLO     */ to(CLIENT_READY, Action::GreetExtended, code(250)), // smtp-states.def:69
        /* STARTTLS */ None,
        /* MAIL     */ None,
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ to(TLS_INIT, Action::Reset, code(250)), // smtp-states.def:78
        /* NOOP     */ to(TLS_INIT, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(TLS_INIT, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(TLS_INIT, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(TLS_INIT, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // client_ready
        /* HELO     */ to(CLIENT_READY, Action::Greet, code(250)), // smtp-states.def:68
        /* EHLO     */ to(CLIENT_READY, Action::GreetExtended, code(250)), // smtp-states.def:69
        /* STARTTLS */ None,
        /* MAIL     */ to(BEGIN_TRANSACTION, Action::SetSender, code(250)), // smtp-states.def:57
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ to(CLIENT_READY, Action::Reset, code(250)), // smtp-states.def:78
        /* NOOP     */ to(CLIENT_READY, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(CLIENT_READY, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(CLIENT_READY, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(CLIENT_READY, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // begin_transaction
        /* HELO     */ to(CLIENT_READY, Action::Greet, code(250)), // smtp-states.def:75
        /* EHLO     */ to(CLIENT_READY, Action::GreetExtended, code(250)), // smtp-states.def:76
        /* STARTTLS */ None,
        /* MAIL     */ None,
        /* RCPT     */ to(TRANSACTION, Action::AddRecipient, code(250)), // smtp-states.def:58
        /* DATA     */ None,
        /* RSET     */ to(CLIENT_READY, Action::Reset, code(250)), // smtp-states.def:77
        /* NOOP     */ to(BEGIN_TRANSACTION, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(BEGIN_TRANSACTION, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(BEGIN_TRANSACTION, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(BEGIN_TRANSACTION, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // transaction
        /* HELO     */ to(CLIENT_READY, Action::Greet, code(250)), // smtp-states.def:75
        /* EHLO     */ to(CLIENT_READY, Action::GreetExtended, code(250)), // smtp-states.def:76
        /* STARTTLS */ None,
        /* MAIL     */ None,
        /* RCPT     */ to(TRANSACTION, Action::AddRecipient, code(250)), // smtp-states.def:58
        /* DATA     */ to(READ_DATA, Action::OpenMessage, code(354)), // smtp-states.def:59
        /* RSET     */ to(CLIENT_READY, Action::Reset, code(250)), // smtp-states.def:77
        /* NOOP     */ to(TRANSACTION, Action::Answer, code(250)), // smtp-states.def:84
        /* HELP     */ to(TRANSACTION, Action::Explain, code(214)), // smtp-states.def:85
        /* VRFY     */ to(TRANSACTION, Action::Verify, code(252)), // smtp-states.def:86
        /* EXPN     */ to(TRANSACTION, Action::Answer, says(502, "5.5.1 No lists here")), // smtp-states.def:87
        /* QUIT     */ to(DONE, Action::Answer, code(221)), // smtp-states.def:88
        /* READ     */ None,
        /* END      */ None,
        // read_data
        /* HELO     */ None,
        /* EHLO     */ None,
        /* STARTTLS */ None,
        /* MAIL     */ None,
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ None,
        /* NOOP     */ None,
        /* HELP     */ None,
        /* VRFY     */ None,
        /* EXPN     */ None,
        /* QUIT     */ None,
        /* READ     */ to(READ_DATA, Action::Append, None), // smtp-states.def:60
        /* END      */ to(CLIENT_READY, Action::Deliver, code(250)), // smtp-states.def:61
        // done
        /* HELO     */ None,
        /* EHLO     */ None,
        /* STARTTLS */ None,
        /* MAIL     */ None,
        /* RCPT     */ None,
        /* DATA     */ None,
        /* RSET     */ None,
        /* NOOP     */ None,
        /* HELP     */ None,
        /* VRFY     */ None,
        /* EXPN     */ None,
        /* QUIT     */ None,
        /* READ     */ None,
        /* END      */ None,
    ],
};
