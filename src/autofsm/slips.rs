//! The names of attributes that are not known.
//!
//! A name that is one slip of the pen away from a known one is an error, and is read as that one
//! from here on: so nothing is reported that only follows from it, and what else is wrong in there
//! is. Any other unknown name is an error in a definition to be served. Elsewhere it is ignored, as
//! AutoFSM does: another template may want it.

use std::borrow::Cow;

use super::diagnostic::{keep, shown};
use super::parser::{Attribute, Content, Parsed};
use super::resolve::suggest;
use super::{Diagnostic, normal, same_name};

/// The attributes of a row.
const ROW: &[&str] = &["tst", "tev", "next", "ttype", "reply"];
/// AutoFSM's attributes of a file, and ours.
const TOP: &[&str] = &[
    "prefix",
    "type",
    "method",
    "state",
    "event",
    "transition",
    "cookie",
    "debug_flag",
    "exit_proc",
    "extra_header",
    "handler_file",
    "keyword",
    "never",
    "always",
    "fault",
];
/// The attributes of a fault.
const FAULT: &[&str] = &[
    "says", "path", "when", "first", "each", "over", "reply", "octets", "done", "wait", "pace",
    "cut", "end", "content",
];
/// The attributes of a file whose values are blocks.
const BLOCKS: &[&str] = &["transition", "never", "always", "fault"];

/// Whether an event of this name can have no display name: its attribute is something else.
pub(super) fn is_taken(event: &str) -> bool {
    let event = normal(event);
    TOP.contains(&&*event) || ROW.contains(&&*event)
}

/// How many slips a name may have and be taken for the known one: a letter too many, one too few,
/// another one, or two that changed places.
fn slips_max(name: &str, known: &str) -> usize {
    match name.len().max(known.len()) {
        0..=2 => 0,
        3..=6 => 1,
        _ => 2,
    }
}

/// The known name that a name has most likely been meant to be, if it is a slip away from one.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const NAME_BYTES_MAX: usize = 100;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = normal(name);
    let near = known.filter(|known| known.len().abs_diff(name.len()) <= 2).map(|known| {
        let plain = normal(known);
        (strsim::damerau_levenshtein(&name, &plain), slips_max(&name, &plain), known)
    });
    let near = near.filter(|(distance, most, _)| distance <= most);
    near.min_by_key(|(distance, ..)| *distance).map(|(.., known)| known)
}

/// The most suggestions: a file of nothing but wrong names has no use for more.
const SUGGESTIONS_MAX: usize = 1_000;

struct Slips<'f> {
    served: bool,
    suggestions_left: usize,
    found: &'f mut Vec<Diagnostic>,
}

/// Reports the unknown names of a file's attributes, and reads those that are a slip away from a
/// known one as that one.
pub(super) fn mend(parsed: &mut Parsed<'_>, served: bool, found: &mut Vec<Diagnostic>) {
    let attributes = &mut parsed.attributes;
    let mut slips = Slips { served, suggestions_left: SUGGESTIONS_MAX, found };
    slips.top(attributes, parsed.broken);
    for attribute in attributes {
        let kind = normal(attribute.name);
        let blocks = attribute.values.iter_mut().filter_map(|value| match &mut value.content {
            Content::Block(block) => Some(block),
            _ => None,
        });
        for block in blocks {
            match &*kind {
                "transition" => slips.block(block, ROW, "a row", served),
                "never" => slips.block(block, &["says", "path"], "a `never`", served),
                "always" => {
                    slips.block(block, &["says", "after", "accepts"], "an `always`", served);
                }
                "fault" if served => slips.block(block, FAULT, "a `fault`", true),
                _ => {}
            }
        }
    }
}

/// The same for faults that stand alone.
pub(super) fn mend_faults(parsed: &mut Parsed<'_>, found: &mut Vec<Diagnostic>) {
    let mut slips = Slips { served: true, suggestions_left: SUGGESTIONS_MAX, found };
    for attribute in &mut parsed.attributes {
        if normal(attribute.name) != "fault" {
            let near = nearest(attribute.name, ["fault"].into_iter()).is_some();
            let is_meant = near || by_content(attribute) == Some("fault");
            slips.report_in_faults(attribute, is_meant);
            if !is_meant {
                continue;
            }
            attribute.name = "fault";
        }
        for value in &mut attribute.values {
            if let Content::Block(block) = &mut value.content {
                slips.block(block, FAULT, "a `fault`", true);
            }
        }
    }
}

/// The events that a file declares, by their attributes.
fn events<'a>(attributes: &[Attribute<'a>]) -> Vec<Cow<'a, str>> {
    let declared = attributes.iter().filter(|attribute| normal(attribute.name) == "event");
    let texts =
        declared.flat_map(|attribute| &attribute.values).filter_map(|value| match &value.content {
            Content::Text(text) => Some(text.clone()),
            _ => None,
        });
    texts.collect()
}

/// What a block must be from the names in it, if its own name is not known.
fn by_content(attribute: &Attribute<'_>) -> Option<&'static str> {
    let Some(Content::Block(block)) = attribute.values.first().map(|value| &value.content) else {
        return None;
    };
    let has = |name: &str| block.iter().any(|inner| normal(inner.name) == name);
    let does = FAULT.iter().skip(2).any(|name| has(name));
    match (has("tst") && has("tev"), has("says"), has("path"), has("after")) {
        (false, true, true, false) if does => Some("fault"),
        (true, false, ..) => Some("transition"),
        (false, true, true, false) => Some("never"),
        (false, true, false, true) => Some("always"),
        _ => None,
    }
}

/// The first word of an attribute's text.
fn verb<'t>(attribute: &'t Attribute<'_>) -> &'t str {
    match attribute.values.first().map(|value| &value.content) {
        Some(Content::Text(text)) => text.split(' ').next().unwrap_or_default(),
        _ => "",
    }
}

fn is_block(attribute: &Attribute<'_>) -> bool {
    attribute.values.iter().any(|value| matches!(value.content, Content::Block(_)))
}

impl Slips<'_> {
    fn top(&mut self, attributes: &mut [Attribute<'_>], in_doubt: bool) {
        // The events first: each of them is the name of an attribute too.
        let declared = events(attributes);
        let is_known = |name: &str, events: &[Cow<'_, str>]| {
            let name = normal(name);
            TOP.contains(&&*name)
                || ROW.contains(&&*name)
                || events.iter().any(|event| normal(event) == name)
        };
        let mut unknown: Vec<usize> = Vec::new();
        for (index, attribute) in attributes.iter_mut().enumerate() {
            if is_known(attribute.name, &declared) {
                continue;
            }
            if self.near(attribute.name, &["event"]) == Some("event") && !is_block(attribute) {
                self.report(attribute, "", Some("event"));
                attribute.name = "event";
            } else {
                unknown.push(index);
            }
        }
        let is_event = |attribute: &Attribute<'_>| normal(attribute.name) == "event";
        let in_doubt =
            in_doubt || attributes.iter().any(|attribute| is_event(attribute) && attribute.broken);
        let declared = events(attributes);
        unknown.retain(|index| !is_known(attributes[*index].name, &declared));
        for index in unknown {
            self.top_one(attributes, index, &declared, in_doubt);
        }
    }

    fn top_one<'a>(
        &mut self,
        attributes: &mut [Attribute<'a>],
        index: usize,
        events: &[Cow<'a, str>],
        in_doubt: bool,
    ) {
        let attribute = &attributes[index];
        let fits: Vec<_> = TOP
            .iter()
            .copied()
            .filter(|name| BLOCKS.contains(name) == is_block(attribute))
            .collect();
        let near = self
            .near(attribute.name, &fits)
            .or_else(|| by_content(attribute).filter(|_| self.served));
        if let Some(known) = near {
            self.report(attribute, "", Some(known));
            attributes[index].name = known;
            return;
        }
        let near = if self.suggestions_left > 0 && !is_block(attribute) {
            self.suggestions_left -= 1;
            let verb = verb(attribute);
            // Of two that are as near, the one that the syntax begins with.
            let named = events.iter().filter(|event| same_name(event, verb)).map(|event| &**event);
            let near = nearest(attribute.name, named);
            near.or_else(|| nearest(attribute.name, events.iter().map(|event| &**event)))
        } else {
            None
        };
        let Some(near) = near else {
            let is_syntax = attribute.name.len() > 2 && same_name(verb(attribute), attribute.name);
            if is_syntax && self.served && !in_doubt {
                // The syntax of a command that is not declared: see `causes`.
                let message = format!("unknown attribute `{}`", shown(attribute.name));
                let said = Diagnostic::error(attribute.span, message);
                keep(self.found, said.unknown("event", attribute.name));
            } else if self.served && !in_doubt {
                self.report_other(attribute, "", TOP, ", and the name of each event");
            }
            return;
        };
        // A declaration with the slip, and this name without one, look just so: see `causes`.
        let message = format!("unknown attribute `{}`", shown(attribute.name));
        let help = Some(format!("did you mean `{near}`?"));
        let diagnostic =
            Diagnostic::error(attribute.span, message).help(help).unknown("event", attribute.name);
        keep(self.found, diagnostic);
        let exists = attributes.iter().any(|other| normal(other.name) == normal(near));
        let same = events.iter().find(|event| **event == near);
        if let (false, Some(Cow::Borrowed(event))) = (exists, same) {
            attributes[index].name = event;
        }
    }

    /// The attributes of a block that has these and no other.
    fn block(
        &mut self,
        block: &mut [Attribute<'_>],
        known: &'static [&'static str],
        place: &str,
        strict: bool,
    ) {
        for index in 0..block.len() {
            let name = normal(block[index].name);
            if known.contains(&&*name) {
                continue;
            }
            let lacks: Vec<_> = known
                .iter()
                .copied()
                .filter(|known| !block.iter().any(|other| normal(other.name) == *known))
                .collect();
            let twin = match &*name {
                "path" => "after",
                "after" => "path",
                _ => "",
            };
            let twin = lacks.iter().copied().find(|known| *known == twin);
            if let Some(near) = twin.or_else(|| self.near(&name, &lacks)) {
                self.report(&block[index], place, Some(near));
                block[index].name = near;
            } else if let Some(near) = self.near(&name, known) {
                self.report(&block[index], place, Some(near));
            } else if strict || known == ROW && TOP.iter().take(6).any(|top| *top == name) {
                // AutoFSM would take `method` and its like for the file's own.
                self.report_other(&block[index], place, known, "");
            }
        }
    }

    fn near(&mut self, name: &str, known: &[&'static str]) -> Option<&'static str> {
        if self.suggestions_left == 0 {
            return None;
        }
        self.suggestions_left -= 1;
        nearest(name, known.iter().copied())
    }

    fn report(&mut self, attribute: &Attribute<'_>, place: &str, near: Option<&str>) {
        // A colon in the place of the `=` was reported.
        if attribute.broken
            && attribute.name.strip_suffix(':').is_some_and(|name| near == Some(&*normal(name)))
        {
            return;
        }
        let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
        let message = format!("unknown attribute `{}`{place}", shown(attribute.name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        keep(self.found, Diagnostic::error(attribute.span, message).help(help).cause());
    }

    /// An attribute that a file of faults does not have.
    fn report_in_faults(&mut self, attribute: &Attribute<'_>, is_meant: bool) {
        let (message, help) = if is_meant {
            (format!("unknown attribute `{}`", shown(attribute.name)), "did you mean `fault`?")
        } else {
            (
                format!("a file of faults has no `{}`", shown(attribute.name)),
                "it has `fault` alone; what the server does stands in its definition",
            )
        };
        let said = Diagnostic::error(attribute.span, message).help(Some(help.to_owned()));
        keep(self.found, said);
    }

    fn report_other(&mut self, attribute: &Attribute<'_>, place: &str, known: &[&str], more: &str) {
        let near = if self.suggestions_left > 0 {
            suggest(attribute.name, known.iter().copied())
        } else {
            None
        };
        self.suggestions_left = self.suggestions_left.saturating_sub(1);
        let what = if place.is_empty() { "the file" } else { place };
        let help = near.unwrap_or_else(|| format!("{what} may have {}{more}", known.join(", ")));
        let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
        let message = format!("unknown attribute `{}`{place}", shown(attribute.name));
        keep(self.found, Diagnostic::error(attribute.span, message).help(Some(help)));
    }
}
