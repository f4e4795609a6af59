//! What a server can do: the words of the caller, by which a definition to be served is checked.

/// What a server can do: the actions that a definition to be served may name.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The actions, each with what the compiler must prove of it.
    pub actions: &'static [ActionSpec],
    /// The commands that have a meaning of their own; a row may accept them by their actions only.
    pub commands: &'static [CommandSpec],
    /// The commands, and other words that a client would take for an offer, whose meaning the
    /// server cannot keep: a row may only refuse them.
    pub unable: &'static [&'static str],
    /// The commands that a server keeps only if it has what they need: else it leaves out their
    /// rows.
    pub conditional: &'static [&'static str],
    /// The event that stands for a piece of content. It is not a client's, and is not answered.
    pub content: &'static str,
    /// The event that stands for the end of content. It is not a client's, and is never refused.
    pub end: &'static str,
    /// The keywords that it can keep. One that is the name of a command is kept by that command.
    pub keywords: &'static [KeywordSpec],
    /// The action whose answer offers the keywords.
    pub offering: &'static str,
    /// The action of `content`, and of no other event.
    pub append: &'static str,
    /// The action of `end`, and of no other event.
    pub deliver: &'static str,
    /// The thing that a session may hold only where content is read.
    pub message: &'static str,
    /// The action of a row that refuses: it gives the row's reply, and does nothing else.
    pub refusing: &'static str,
    /// The code that asks for content.
    pub content_code: u16,
    /// The codes that say that the connection closes: a row has one if it leads to the last state.
    pub closing_codes: &'static [u16],
    /// Codes of success that promise what no row does, each with what it says.
    pub other_codes: &'static [(u16, &'static str)],
    /// The code of the greeting, which no row has.
    pub greeting_code: u16,
    /// What a fault can be counted for.
    pub keys: &'static [CountKey],
    /// Reads the pattern of a fault, and says how many groups it has, or what is wrong. Without it
    /// patterns are not looked at.
    pub pattern: Option<PatternReader>,
}

/// Reads a pattern: how many groups it has, or what is wrong with it.
pub type PatternReader = fn(&str) -> Result<usize, String>;

/// What a fault can be counted for: each of these has a count of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountKey {
    /// The word in the definition.
    pub name: &'static str,
    /// The thing of the conversation that it is, if it is one: it must be held where the fault fires.
    pub needs: Option<&'static str>,
}

/// A keyword that has a meaning.
#[derive(Clone, Copy, Debug)]
pub struct KeywordSpec {
    /// The word.
    pub name: &'static str,
    /// The command that it stands for, if there is one: it is offered where that is accepted.
    pub command: Option<&'static str>,
}

impl Vocabulary {
    /// The keyword of this name, in any case.
    pub(super) fn keyword(&self, word: &str) -> Option<&KeywordSpec> {
        self.keywords.iter().find(|known| known.name.eq_ignore_ascii_case(word))
    }
}

/// A command that has a meaning: what a success promises.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// The event's name.
    pub name: &'static str,
    /// The actions that do it.
    pub actions: &'static [&'static str],
    /// The codes of success that say that one of these actions was done.
    pub codes: &'static [u16],
    /// The word before the argument, with its colon, such as `FROM:`; "" without one.
    pub word: &'static str,
}

/// Whether an action takes an argument; without one that is required, or with one that is
/// refused, its command is never accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// There must be none.
    Refused,
    /// There may be one, where the command's syntax shows it.
    Optional,
    /// There must be one.
    Required,
}

/// One action: its name, and what it needs, gives and drops of the conversation's resources.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// The word in the definition, `add_recipient`.
    pub name: &'static str,
    /// The same as a Rust variant, `AddRecipient`, for the generated table.
    pub variant: &'static str,
    /// Whether it looks for an argument after the command's verb.
    pub argument: Argument,
    /// What a session must hold on every path that leads here, each as a phrase: `a sender`.
    pub needs: &'static [&'static str],
    /// What it must not hold on any path that leads here.
    pub lacks: &'static [&'static str],
    /// What it holds afterwards.
    pub gives: &'static [&'static str],
    /// What it no longer holds afterwards, but for what the action also `gives`.
    pub drops: &'static [&'static str],
}
