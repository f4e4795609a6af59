//! Words as dialogues, which `fsm play --against` plays.

use super::model::{Model, Sort, Word};

/// A word as a dialogue: what the client says, and the first digit of each reply, or its code if
/// codes count. Each line of the comment is one of the dialogue's.
#[must_use]
pub fn dialogue(model: &Model, word: &Word, comment: &[String]) -> String {
    let mut text = String::new();
    for line in comment {
        text += &format!("# {line}\n");
    }
    text += "S: 220\n";
    for ((_, expected), symbol) in model.machine.follow(word).zip(word) {
        let line = model.symbols.get(*symbol).map_or("", |symbol| &symbol.line);
        text += &format!("C: {line}\n");
        match (expected.code, expected.sort) {
            (_, Sort::Silent) => {}
            (Some(code), _) => text += &format!("S: {code}\n"),
            (None, Sort::Done) => text += "S: 2\n",
            (None, Sort::More) => text += "S: 3\n",
            (None, Sort::Refused) => text += "S: 5\n",
        }
        if expected.closes {
            text += "* closed\n";
        }
    }
    text
}
