//! Octets on their way: lines, content with its dots, commands, and a whole session.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use postman::smtp::command;
use postman::smtp::framer::{Content, Lines, Run};
use postman::smtp::machine::BUILT;
use postman::smtp::path::{Domain, Syntax};
use postman::smtp::session::{Client, Input, Output, Question, Session, Settings, Verdict};

fn main() {
    divan::main();
}

const CONTENT_BYTES: usize = 64 * 1024;

/// Lines of so many octets, and the end.
fn content(line: &str) -> Vec<u8> {
    let mut text = format!("{line}\r\n").repeat(CONTENT_BYTES / (line.len() + 2)).into_bytes();
    text.extend_from_slice(b".\r\n");
    text
}

fn cut(bencher: Bencher<'_, '_>, line: &str) {
    let text = content(line);
    let mut out = Vec::with_capacity(text.len());
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        out.clear();
        let mut cutter = Content::new();
        let mut rest = black_box(text.as_slice());
        loop {
            let (taken, run) = cutter.take(rest);
            match run {
                Run::End => break,
                Run::HeldCr => out.push(b'\r'),
                Run::Octets(range) => out.extend_from_slice(rest.get(range).unwrap_or_default()),
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        black_box(out.len())
    });
}

#[divan::bench]
fn content_of_78_octet_lines(bencher: Bencher<'_, '_>) {
    cut(bencher, &"x".repeat(78));
}

#[divan::bench]
fn content_of_empty_lines(bencher: Bencher<'_, '_>) {
    cut(bencher, "");
}

#[divan::bench]
fn content_whose_every_line_begins_with_a_dot(bencher: Bencher<'_, '_>) {
    cut(bencher, &format!("..{}", "x".repeat(76)));
}

#[divan::bench]
fn lines(bencher: Bencher<'_, '_>) {
    let text = "MAIL FROM:<someone@client.example> SIZE=4096 BODY=8BITMIME\r\n".repeat(100);
    bencher.counter(ItemsCount::new(100_usize)).bench_local(|| {
        let mut lines = Lines::new();
        let mut rest = black_box(text.as_bytes());
        while !rest.is_empty() {
            let (taken, line) = lines.take(rest, 2048);
            black_box(line);
            rest = rest.get(taken..).unwrap_or_default();
        }
    });
}

#[divan::bench]
fn verb() {
    let _ = black_box(command::split(black_box("MAIL FROM:<someone@client.example> SIZE=4096"), Syntax::Lenient));
}

#[divan::bench]
fn mail() {
    let _ = black_box(command::mail(
        black_box("FROM:<someone@client.example> SIZE=4096 BODY=8BITMIME"),
        Syntax::Lenient,
        |_| true,
    ));
}

#[divan::bench]
fn rcpt() {
    let _ = black_box(command::rcpt(black_box("TO:<someone@postman.local>"), Syntax::Lenient));
}

/// One message of 4 KiB through a session, from MAIL to its answer; nothing is stored.
#[divan::bench]
fn session_a_message(bencher: Bencher<'_, '_>) {
    let Ok(domain) = Domain::parse_own("postman.local") else { return };
    let settings = Arc::new(settings(domain));
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client { id: "1".to_owned(), address, local: address, may_relay: true, refused: false };
    let mut session = Session::new(settings, client);
    let mut content = format!("{}\r\n", "x".repeat(78)).repeat(51);
    content += ".\r\n";
    feed(&mut session, Input::Connect);
    feed(&mut session, Input::Octets(b"EHLO client.example\r\n"));
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        feed(&mut session, Input::Octets(b"MAIL FROM:<someone@client.example>\r\n"));
        feed(&mut session, Input::Octets(b"RCPT TO:<someone@postman.local>\r\n"));
        feed(&mut session, Input::Octets(b"DATA\r\n"));
        feed(&mut session, Input::Octets(content.as_bytes()));
    });
}

/// Gives an input, answers every question with yes, and writes the replies.
fn feed(session: &mut Session, input: Input<'_>) {
    let mut out = Vec::new();
    let mut asked = drain(session, input, &mut out);
    while asked.is_some() {
        asked = drain(session, Input::Verdict(Verdict::Yes), &mut out);
    }
    black_box(out);
}

fn drain(session: &mut Session, input: Input<'_>, out: &mut Vec<u8>) -> Option<Question> {
    let mut question = None;
    let mut outputs = session.handle(input);
    while let Some(output) = outputs.next() {
        match output {
            Output::Reply(reply) => reply.write(out, true),
            Output::Ask(asked) => question = Some(asked),
            other => drop(black_box(other)),
        }
    }
    question
}

fn settings(domain: Domain) -> Settings {
    Settings {
        machine: &BUILT,
        domain,
        syntax: Syntax::Lenient,
        refuse_bare_newline: true,
        verify_honestly: false,
        line_bytes_max: 2048,
        message_bytes_max: 50 << 20,
        recipients_max: 1000,
        errors_max: 20,
        commands_max: usize::MAX,
        recipients_per_session_max: usize::MAX,
        header_bytes_max: u64::MAX,
        received_max: 100,
    }
}
