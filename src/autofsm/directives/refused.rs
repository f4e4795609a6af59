//! Directives that are not carried out: those that would bring in other text or run a program, and
//! lines that are no directive.

use super::super::diagnostic::{keep, shown};
use super::super::lexer::Lexer;
use super::super::{Diagnostic, Span};
use super::Line;

/// The directives of AutoGen, with which a misspelt one is compared.
const DIRECTIVES: &[&str] = &[
    "ifdef", "ifndef", "else", "endif", "define", "undef", "if", "elif", "include", "error",
    "shell", "endshell", "macdef", "endmac", "option", "assert", "line", "pragma", "ident", "let",
];

/// The directive that was probably meant: one slip away, or written as C has it elsewhere.
fn meant(wrong: &str) -> Option<&'static str> {
    let small = wrong.to_ascii_lowercase();
    let distance = |known: &&'static str| strsim::damerau_levenshtein(known, &small);
    let near = DIRECTIVES.iter().copied().min_by_key(distance);
    let near = near.filter(|known| *known == small || (small.len() > 2 && distance(known) < 2));
    let begins =
        [("ifdef", "ifdef"), ("ifndef", "ifndef"), ("end", "endif"), ("els", "else"), ("if", "if")];
    near.or_else(|| {
        begins.iter().find(|(begin, _)| small.starts_with(begin)).map(|(_, known)| *known)
    })
}

impl Lexer<'_, '_> {
    /// A directive that GNU autogen carries out and the compiler does not, or that is unknown.
    pub(super) fn not_carried_out(&mut self, line: &Line<'_>) {
        let whole = line.span;
        match line.word {
            "error" => {
                let message = format!("`#error`: {}", shown(line.rest.trim()));
                self.doubt(
                    whole,
                    message,
                    "GNU autogen stops here: a name is missing, or one too many is defined",
                );
            }
            "include" if line.rest.trim_start().starts_with(['"', '<']) => {}
            "include" => {
                self.doubt(
                    whole,
                    "`#include` is not read: a definition is one file",
                    "put the file's text here",
                );
            }
            "shell" => {
                self.doubt(
                    whole,
                    "`#shell` is not read: nothing is run",
                    "put here what the program would print",
                );
                if let Some(length) = self.rest().find("\n#endshell") {
                    self.place += length + 1;
                    self.place = self.line_end();
                }
            }
            "assert" if !line.rest.trim_start().starts_with(['`', '(']) => {}
            "assert" => self.doubt(whole, "`#assert` is not read: nothing is run", "take it away"),
            "option" => {
                self.doubt(
                    whole,
                    "`#option` is not read: it is for the autogen command",
                    "give `-D` for `define`",
                );
            }
            "elif" => {
                let message = "`#elif` has a meaning in `#if` only, which is never true";
                self.doubt(whole, message, "write `#else`, and an `#ifdef` in it");
            }
            wrong => self.unknown(wrong, whole),
        }
    }

    /// GNU autogen passes over such a line with a warning. A slip in a directive is an error.
    fn unknown(&mut self, wrong: &str, span: Span) {
        let may_be = !wrong.is_empty() && self.directives.suggestions_left > 0;
        self.directives.suggestions_left -= usize::from(may_be);
        if let Some(meant) = Some(wrong).filter(|_| may_be).and_then(meant) {
            let message = format!("no directive is called `#{}`", shown(wrong));
            self.doubt(span, message, &format!("did you mean `#{meant}`?"));
        } else if !std::mem::replace(&mut self.directives.unknown_reported, true) {
            let message = "this line is no directive, and has no effect";
            let help = "write a comment as `/* */`: GNU autogen warns of each such line";
            keep(self.found, Diagnostic::warning(span, message).help(Some(help.to_owned())));
        }
    }
}
