//! The blocks of `fault` into faults, each attribute checked by itself and with the others.

use super::super::diagnostic::{keep, shown};
use super::super::parser::{Attribute, Content, Value};
use super::super::resolve::suggest;
use super::super::{CountKey, Diagnostic, Span, Vocabulary, expression, normal};
use super::values::{self, Shape};
use super::{Answer, Automaton, Code, Count, Definition, Ending, FAULTS_MAX, Fault, Run};

/// The most instructions that all expressions of a file have: each session follows them all.
const STEPS_MAX: usize = 16_384;

struct Reader<'a> {
    source: &'a str,
    definition: &'a Definition,
    rules: &'a Vocabulary,
    /// The attributes of the block at hand.
    block: &'a [Attribute<'a>],
    /// Where the block begins.
    begin: Span,
    found: &'a mut Vec<Diagnostic>,
}

/// Reads the faults of a file. What is wrong with them is reported.
pub(super) fn read<'a>(
    source: &str,
    values: impl Iterator<Item = &'a Value<'a>>,
    definition: &Definition,
    rules: &Vocabulary,
    found: &mut Vec<Diagnostic>,
) -> Vec<Fault> {
    let (mut faults, mut steps) = (Vec::new(), 0_usize);
    for value in values {
        let Content::Block(block) = &value.content else {
            if !matches!(value.content, Content::Unread) {
                keep(found, Diagnostic::error(value.span, "`fault` takes a block"));
            }
            continue;
        };
        let begin = Span { start: value.span.start, end: value.span.start + 1 };
        if faults.len() >= FAULTS_MAX {
            let message = format!("more faults than {FAULTS_MAX} are not read");
            keep(found, Diagnostic::error(begin, message));
            return faults;
        }
        let mut reader = Reader { source, definition, rules, block, begin, found };
        let Some(fault) = reader.fault(value.span) else { continue };
        steps += fault.automaton.size();
        if steps > STEPS_MAX {
            let message =
                "these expressions are too long together: each session follows all of them";
            keep(found, Diagnostic::error(fault.path_span, message));
            return faults;
        }
        faults.push(fault);
    }
    faults
}

impl<'a> Reader<'a> {
    fn say(&mut self, span: Span, message: impl Into<String>, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        keep(self.found, Diagnostic::error(span, message).help(help));
    }

    /// The values of an attribute.
    fn given(&self, name: &str) -> Vec<&'a Value<'a>> {
        let named = self.block.iter().filter(|attribute| normal(attribute.name) == name);
        named.flat_map(|attribute| &attribute.values).collect()
    }

    /// Where an attribute is.
    fn place(&self, name: &str) -> Option<Span> {
        let named = self.block.iter().find(|attribute| normal(attribute.name) == name);
        named.map(|attribute| attribute.span)
    }

    fn text(&mut self, value: &'a Value<'a>) -> Option<(&'a str, Span)> {
        match &value.content {
            Content::Text(text) => Some((text, value.span)),
            Content::Block(_) => {
                let begin = Span { start: value.span.start, end: value.span.start + 1 };
                self.say(begin, "expected a word, not a block", "");
                None
            }
            Content::Unread => None,
        }
    }

    /// The text of an attribute that has one value, if it is there.
    fn one(&mut self, name: &str) -> Option<(&'a str, Span)> {
        let given = self.given(name);
        let (first, more) = given.split_first()?;
        if let Some(second) = more.first() {
            self.say(second.span, format!("`{name}` has one value"), "");
        }
        self.text(first)
    }

    /// An attribute, read; what is wrong with it is said.
    fn read<T>(&mut self, name: &str, read: fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let (text, span) = self.one(name)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(help) => {
                self.say(span, format!("`{}` cannot be `{name}`", shown(text)), help);
                None
            }
        }
    }

    fn fault(&mut self, span: Span) -> Option<Fault> {
        let before = self.found.len();
        let (says, path) = (self.one("says"), self.one("path"));
        let (Some((says, _)), Some((path, path_span))) = (says, path) else {
            if !self.block.iter().any(|attribute| attribute.broken) {
                self.say(self.begin, "`fault` needs `says` and `path`", "");
            }
            return None;
        };
        let steps = expression::read(self.source, self.definition, path, path_span, self.found);
        let (when, groups) = self.when();
        let (count, each) = self.count();
        let answer = self.answer(groups);
        let fault = Fault {
            says: says.to_owned(),
            path: path.to_owned(),
            path_span,
            when,
            count,
            each,
            answer,
            done: self.done(),
            wait_ms: self.read("wait", values::wait).unwrap_or(0),
            pace: self.read("pace", values::pace),
            cut: self.read("cut", values::octets).and_then(|octets| usize::try_from(octets).ok()),
            end: self.end(),
            content: self.read("content", values::octets),
            span,
            automaton: Automaton::new(steps?),
            cells: Vec::new(),
            run: Run::default(),
        };
        if self.found.len() == before {
            self.together(&fault);
        }
        (self.found.len() == before).then_some(fault)
    }

    /// The pattern, and how many groups it has.
    fn when(&mut self) -> (Option<String>, usize) {
        let Some((text, span)) = self.one("when") else { return (None, 0) };
        let groups = match self.rules.pattern.map(|pattern| pattern(text)) {
            None => usize::MAX,
            Some(Ok(groups)) => groups,
            Some(Err(why)) => {
                self.say(span, format!("this pattern cannot be read: {}", shown(&why)), "");
                0
            }
        };
        (Some(text.to_owned()), groups)
    }

    fn count(&mut self) -> (Count, Vec<CountKey>) {
        let first = self.read("first", values::times);
        let over = self.read("over", values::over);
        let count = match (first, over) {
            (Some(first), None) => Count::First(first),
            (None, Some((most, in_ms))) => Count::Over { most, in_ms },
            (None, None) => Count::Always,
            (Some(_), Some(_)) => {
                let place = self.place("over").unwrap_or(self.begin);
                self.say(place, "`first` and `over` count differently", "write two faults");
                Count::Always
            }
        };
        let mut each = Vec::new();
        for value in self.given("each") {
            let Some((name, span)) = self.text(value) else { continue };
            let keys = self.rules.keys;
            match keys.iter().find(|key| key.name == name) {
                Some(key) if each.contains(key) => {
                    self.say(span, format!("`{name}` is listed twice in `each`"), "");
                }
                Some(key) => each.push(*key),
                None => {
                    let names = keys.iter().map(|key| key.name);
                    let list = names.clone().collect::<Vec<_>>().join(", ");
                    let help =
                        suggest(name, names).unwrap_or_else(|| format!("one or more of {list}"));
                    self.say(span, format!("nothing is counted for each `{}`", shown(name)), &help);
                }
            }
        }
        if let (Some(place), None, None) =
            (self.place("each"), self.place("first"), self.place("over"))
        {
            self.say(place, "`each` without `first` or `over` counts nothing", "");
        }
        (count, each)
    }

    fn answer(&mut self, groups: usize) -> Answer {
        let replies = self.given("reply");
        if let Some(place) = self.place("octets") {
            if !replies.is_empty() {
                self.say(
                    place,
                    "`octets` and `reply` are both the answer",
                    "leave one of them out",
                );
            }
            let Some((text, span)) = self.one("octets") else { return Answer::Row };
            self.octets(text, span);
            return Answer::Octets(text.to_owned());
        }
        let (mut code, mut lines) = (None, Vec::new());
        let last = replies.len().saturating_sub(1);
        for (number, value) in replies.into_iter().enumerate() {
            let Some((text, span)) = self.text(value) else { continue };
            let (its, follows, words) = match values::reply_line(text) {
                Ok(line) => line,
                Err(help) => {
                    self.say(span, format!("`{}` is not a line of a reply", shown(text)), help);
                    continue;
                }
            };
            if follows && number == last {
                let message = "a `-` after the code says that another line follows";
                self.say(span, message, "write a blank, or send it as `octets`");
            }
            if code.is_some_and(|code| code != its) {
                let message = "the lines of a reply have one code";
                self.say(span, message, "as `octets` each line may have its own");
            }
            let group = values::highest_group(text);
            if group > groups {
                let message = format!("`when` has no group for `${group}`");
                self.say(span, message, "a group is a part in parentheses: `TO:<(.*)@`");
            }
            code = Some(its);
            lines.push(words.trim_end().to_owned());
        }
        code.map_or(Answer::Row, |code| Answer::Reply(code, lines))
    }

    /// Octets that are no more than one reply, and none that a client could take for two.
    fn octets(&mut self, text: &str, span: Span) {
        let Shape { is_whole, goes_on, .. } = values::shape(text);
        if text.len() > values::OCTETS_MAX {
            let message = format!("more octets than {} are not sent", values::OCTETS_MAX);
            self.say(span, message, "");
        } else if goes_on {
            let message = "something stands behind the line that ends the reply";
            let help = "a client would take it for the next answer; one fault is one answer";
            self.say(span, message, help);
        } else if values::hides_success(text) {
            let message = "a success stands beside lines of no reply";
            let help = "each line begins with its code, and `-` if another follows";
            self.say(span, message, help);
        } else if !is_whole && self.place("end").is_none() {
            let message = "these octets are no whole reply, and the conversation goes on";
            let help = "a client would take the next answer for this one: add `end = close;`, `reset` \
                        or `hang`, or end them in a line that begins with a code and a blank, and \"\\r\\n\"";
            self.say(span, message, help);
        }
    }

    fn done(&mut self) -> bool {
        let Some((text, span)) = self.one("done") else { return false };
        if !text.is_empty() {
            self.say(span, "`done` has no value", "write `done;`");
        }
        true
    }

    fn end(&mut self) -> Option<Ending> {
        let (text, span) = self.one("end")?;
        match text {
            "close" => Some(Ending::Close),
            "reset" => Some(Ending::Reset),
            "hang" => Some(Ending::Hang),
            _ => {
                let message = format!("no connection ends by `{}`", shown(text));
                self.say(span, message, "`close`, `reset` or `hang`");
                None
            }
        }
    }

    /// What the attributes say together.
    fn together(&mut self, fault: &Fault) {
        // One that is wrong was reported.
        let does = ["reply", "octets", "wait", "pace", "end"]
            .iter()
            .any(|name| self.place(name).is_some());
        if let (Some(place), None) = (self.place("cut"), fault.end) {
            let help = "add `end = close;`, `reset` or `hang`: a client would take the next answer for \
                        the rest of this one";
            return self.say(place, "`cut` needs `end`", help);
        }
        if !does {
            let help = "it has `reply`, `octets`, `wait`, `pace` or `end`";
            return self.say(self.begin, "this fault does nothing", help);
        }
        if fault.content.is_none() {
            return;
        }
        if let Some(place) = self.place("when") {
            return self.say(place, "inside content there is no line for `when`", "");
        }
        if let Some(place) = self.place("done") {
            return self.say(place, "inside content there is no row for `done`", "");
        }
        if fault.answer != Answer::Row && fault.end.is_none() {
            let place = self.place("content").unwrap_or(self.begin);
            let help = "add `end = close;`, `reset` or `hang`: a client would take it for the answer to \
                        its message";
            self.say(place, "an answer inside content needs `end`", help);
        }
    }
}

/// Whether a code may be said where a row says another.
pub(super) fn agrees(code: Code, row: u16) -> bool {
    match code {
        Code::Fixed(code) => code >= 400 || code / 100 == row / 100,
        Code::Group(_) => true,
    }
}
