//! The prompt of `fsm try`: line editing, history, completion and hints, by rustyline.

use std::borrow::Cow;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::End;
use super::try_it::WORDS;
use crate::smtp::machine::Position;

/// What the line could become: the commands that are accepted now, as they are written.
#[derive(Default)]
struct Offers {
    syntaxes: Vec<String>,
}

/// The start of a command, up to the client's own words.
fn begin(syntax: &str) -> &str {
    let own = syntax.find(['<', '[']).or_else(|| syntax.find(' ').map(|blank| blank + 1));
    let end = own.map_or(syntax.len(), |at| {
        if syntax.get(at..).is_some_and(|rest| rest.starts_with('<')) { at + 1 } else { at }
    });
    syntax.get(..end).unwrap_or(syntax)
}

fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

impl Offers {
    fn completions(&self, typed: &str) -> Vec<String> {
        let words = WORDS.iter().map(|(word, _)| begin(word));
        let all = self.syntaxes.iter().map(|syntax| begin(syntax)).chain(words);
        all.filter(|offer| !typed.is_empty() || !offer.starts_with(':'))
            .filter(|offer| starts(offer, typed))
            .map(str::to_owned)
            .collect()
    }

    /// The rest of the only syntax that the line can become.
    fn hint(&self, typed: &str) -> Option<String> {
        let mut fits =
            self.syntaxes.iter().filter(|syntax| !typed.is_empty() && starts(syntax, typed));
        let only = fits.next().filter(|_| fits.next().is_none())?;
        only.get(typed.len()..).filter(|rest| !rest.is_empty()).map(str::to_owned)
    }
}

impl Completer for Offers {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        place: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let found = self.completions(line.get(..place).unwrap_or(line));
        Ok((
            0,
            found
                .into_iter()
                .map(|text| Pair { display: text.clone(), replacement: text })
                .collect(),
        ))
    }
}

impl Hinter for Offers {
    type Hint = String;

    fn hint(&self, line: &str, place: usize, _: &Context<'_>) -> Option<String> {
        if place < line.len() { None } else { Offers::hint(self, line) }
    }
}

impl Highlighter for Offers {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\u{1b}[2m{hint}\u{1b}[0m"))
    }
}

impl Validator for Offers {}
impl Helper for Offers {}

/// A terminal that lines are typed at.
pub(super) struct Prompt {
    editor: Editor<Offers, MemHistory>,
}

impl Prompt {
    pub(super) fn open() -> Result<Self, End> {
        let config =
            Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history);
        let mut editor = editor.map_err(|error| format!("cannot use the terminal: {error}"))?;
        editor.set_helper(Some(Offers::default()));
        Ok(Self { editor })
    }

    /// A typed line; `None` at the end of input. Ctrl-C drops the line.
    pub(super) fn read(&mut self, position: Position, open: bool) -> Result<Option<String>, End> {
        if let Some(offers) = self.editor.helper_mut() {
            let accepted = position.accepted().filter(|_| open);
            offers.syntaxes =
                accepted.map(|event| event.syntax.unwrap_or(event.name).to_owned()).collect();
        }
        loop {
            return match self.editor.readline(&format!("{}> ", position.name())) {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(End::Error(format!("cannot read the terminal: {error}"))),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_completes_up_to_the_client_s_own_words_and_hints_at_them() {
        let syntaxes =
            ["MAIL FROM:<address> [parameters]", "HELO domain", "HELP [command]", "QUIT"];
        let offers = Offers { syntaxes: syntaxes.map(str::to_owned).into() };
        assert_eq!(offers.completions("m"), ["MAIL FROM:<"]);
        assert_eq!(offers.completions("hel"), ["HELO ", "HELP "]);
        assert_eq!(offers.completions("").len(), 4);
        assert_eq!(offers.completions(":s"), [":states", ":save "]);
        assert_eq!(offers.hint("mail f"), Some("ROM:<address> [parameters]".to_owned()));
        assert_eq!(offers.hint("HEL"), None);
        assert_eq!(offers.hint("quit"), None);
    }
}
