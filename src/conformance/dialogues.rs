//! Words as dialogues, which `fsm play --against` plays.

use super::model::{Model, Sort, Word};
use super::words::Kind;

/// A word as a dialogue: what the client says, and the first digit of each reply, or its code if
/// codes count. Each line of the comment is one of the dialogue's.
#[must_use]
pub fn dialogue(model: &Model, word: &Word, comment: &[String]) -> String {
    let mut text = String::new();
    for line in comment {
        text += &format!("# {line}\n");
    }
    if model.from_first_octet {
        text += "! encrypted: yes\n";
    }
    text += "S: 220\n";
    for ((_, expected), symbol) in model.machine.follow(word).zip(word) {
        let Some(symbol) = model.symbols.get(*symbol) else { continue };
        text += &format!("C: {}\n", symbol.line);
        match (expected.code, expected.sort) {
            (_, Sort::Silent) => {}
            (Some(code), _) => text += &format!("S: {code}\n"),
            (None, Sort::Done) => text += "S: 2\n",
            (None, Sort::More) => text += "S: 3\n",
            (None, Sort::Refused) => text += "S: 5\n",
        }
        if symbol.kind == Kind::Encrypt && expected.sort == Sort::Done {
            text += "* encrypted\n";
        }
        if expected.closes {
            text += "* closed\n";
        }
    }
    text
}
