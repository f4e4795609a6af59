//! Octets on their way: lines, content with its dots, commands, and a whole session.

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use postman::config::Config;
use postman::dialogue::client;
use postman::smtp::command;
use postman::smtp::framer::{Content, Lines, Run};
use postman::smtp::machine::BUILT;
use postman::smtp::path::Syntax;
use postman::smtp::session::{Input, Limits, Output, Question, Session, World, drive};

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
    let _ = black_box(command::split(
        black_box("MAIL FROM:<someone@client.example> SIZE=4096"),
        Syntax::Lenient,
    ));
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
    let limits = Limits {
        commands_max: usize::MAX,
        recipients_per_session_max: usize::MAX,
        ..Limits::default()
    };
    let config = Config { limits, ..Config::default() };
    let mut session = Session::new(Arc::new(config.settings(&BUILT)), client(&config));
    let mut content = format!("{}\r\n", "x".repeat(78)).repeat(51);
    content += ".\r\n";
    let mut world = Written { out: Vec::new() };
    drive(&mut session, Input::Connect, &mut world);
    drive(&mut session, Input::Octets(b"EHLO client.example\r\n"), &mut world);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        for text in [
            "MAIL FROM:<someone@client.example>\r\n",
            "RCPT TO:<someone@postman.local>\r\n",
            "DATA\r\n",
            &content,
        ] {
            drive(&mut session, Input::Octets(text.as_bytes()), &mut world);
            black_box(std::mem::take(&mut world.out));
        }
    });
}

/// Answers every question with yes, and writes the replies.
struct Written {
    out: Vec<u8>,
}

impl World for Written {
    fn take(&mut self, output: Output<'_>) {
        match output {
            Output::Reply(reply) => reply.write(&mut self.out, true),
            other => drop(black_box(other)),
        }
    }

    fn answer(&mut self, question: Question) -> Input<'static> {
        match question {
            Question::Room(_) => Input::Room(Ok(())),
            Question::User(_) => Input::User(Ok(())),
            Question::Store => Input::Stored(Ok(())),
            Question::Handshake => Input::Handshake(Ok(())),
        }
    }
}
