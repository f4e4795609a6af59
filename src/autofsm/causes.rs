//! The order of the findings, and those that have one cause told as one.
//!
//! A name that is not declared is reported where it is used. If it is used in several places, and
//! a declared name that nothing uses is a slip away from it, the declaration is the mistake: one
//! finding takes the place of all. Else the first place is shown, and the others are listed.

use std::collections::BTreeMap;

use super::diagnostic::{Lines, Unknown, shown};
use super::lexer::Comment;
use super::resolve::Resolved;
use super::slips::nearest;
use super::{Definition, Diagnostic, Severity, Span, normal, same_name};

/// Which of the declared states and events the rows name, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub states: Vec<bool>,
    pub events: Vec<bool>,
}

/// The most places that one finding lists.
const PLACES_MAX: usize = 8;

/// Joins the findings that have one cause, and sorts them: errors before warnings, causes before
/// what may follow from them, each by place.
pub(super) fn order(
    source: &str,
    resolved: Option<&Resolved>,
    comments: &[Comment],
    found: &mut Vec<Diagnostic>,
) {
    let mut groups: BTreeMap<(&'static str, String), Vec<usize>> = BTreeMap::new();
    for (index, diagnostic) in found.iter().enumerate() {
        if let Some(unknown) = &diagnostic.unknown {
            groups.entry((unknown.kind, normal(&unknown.name))).or_default().push(index);
        }
    }
    if let Some(Resolved { definition, used, .. }) = resolved {
        let lines = Lines::new(source);
        let mut dropped = vec![false; found.len()];
        for mut group in groups.into_values() {
            group.sort_by_key(|index| found[*index].span);
            let Some(unknown) = group.first().and_then(|first| found[*first].unknown.clone())
            else {
                continue;
            };
            if let Some(comment) = swallowed(source, comments, &unknown.name) {
                for index in group {
                    dropped[index] = true;
                }
                // It takes the place of the warning; once is enough.
                let is_same = |said: &&Diagnostic| said.span == comment.span;
                let is_refused =
                    found.iter().filter(is_same).any(|said| said.severity == Severity::Error);
                for (said, dropped) in
                    found.iter().zip(&mut dropped).filter(|(said, _)| is_same(said))
                {
                    *dropped |= said.severity == Severity::Warning;
                }
                if !is_refused {
                    found.push(comment);
                }
            } else {
                let is_several = group.len() > 1;
                join(
                    &lines,
                    &unknown,
                    &group,
                    unused(definition, used, &unknown, is_several),
                    found,
                    &mut dropped,
                );
            }
        }
        let mut index = 0;
        found.retain(|_| {
            index += 1;
            !dropped.get(index - 1).copied().unwrap_or(false)
        });
    }
    found.sort_by_key(|diagnostic| (diagnostic.severity, !diagnostic.is_cause, diagnostic.span));
}

/// The most comments that are reported.
const OVERRUNS_MAX: usize = 20;

/// The comments that go on over the start of another one, since they lack their end.
pub(super) fn overruns(source: &str, comments: &[Comment], is_error: bool) -> Vec<Diagnostic> {
    let lines = Lines::new(source);
    let over = comments.iter().filter_map(|comment| {
        let text = source.get(comment.span.start..comment.span.end)?;
        let other = text.strip_prefix("/*")?.find("/*")? + comment.span.start + 2;
        let (line, column) = lines.place(other);
        let span = Span { start: comment.span.start, end: comment.span.start + 2 };
        let message = format!(
            "this comment goes on over another `/*` at {line}:{column}; its `*/` is missing"
        );
        let severity = if is_error { Severity::Error } else { Severity::Warning };
        let said = Diagnostic { severity, ..Diagnostic::error(span, message) };
        Some(said.help(Some("close it with `*/`".to_owned())).cause())
    });
    over.take(OVERRUNS_MAX).collect()
}

/// A comment without an end goes on to that of the next one, and takes what is declared in between.
fn swallowed(source: &str, comments: &[Comment], name: &str) -> Option<Diagnostic> {
    let comment = comments.iter().find(|comment| {
        let text = source.get(comment.span.start + 2..comment.span.end).unwrap_or_default();
        let Some((before, _)) = text.rsplit_once("/*") else { return false };
        // What was declared is on the lines after the first.
        let lines = before.split_once('\n').map_or("", |(_, lines)| lines);
        lines.split(|character| !is_of_name(character)).any(|word| same_name(word, name))
    })?;
    let span = Span { start: comment.span.start, end: comment.span.start + 2 };
    let message =
        format!("this comment goes on over another `/*`, and so `{name}` is not declared");
    Some(Diagnostic::error(span, message).help(Some("close it with `*/`".to_owned())).cause())
}

/// A declared name that nothing uses and that is a slip away from an unknown one, with its place.
fn unused<'d>(
    definition: &'d Definition,
    used: &Used,
    unknown: &Unknown,
    is_several: bool,
) -> Option<(&'d str, Span)> {
    let is_event = unknown.kind == "event";
    let declared: Vec<(&str, Span)> = if is_event {
        definition.events.iter().map(|event| (event.name.as_str(), event.span)).collect()
    } else {
        definition.states.iter().map(|state| (state.name.as_str(), state.span)).collect()
    };
    let used = if is_event { &used.events } else { &used.states };
    let in_paths = |name: &str| {
        let mut words = definition.properties.iter().flat_map(|property| {
            property
                .path
                .split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_')))
        });
        is_event && words.any(|word| normal(word) == normal(name))
    };
    let free = declared.iter().enumerate().filter(|(index, (_, span))| {
        // `init` and `done` have no declaration.
        *span != Span::default() && !used.get(*index).copied().unwrap_or(false)
    });
    let free: Vec<_> = free.map(|(_, declared)| *declared).collect();
    let names = || free.iter().map(|(name, _)| *name);
    let wanted = normal(&unknown.name);
    let far = |name: &&str| {
        name.len() > 3
            && name.len().abs_diff(wanted.len()) <= 2
            && strsim::damerau_levenshtein(&normal(name), &wanted) <= 2
    };
    // A name that is used several times is surely meant, and one of these that is little like it
    // may be the old one.
    let name =
        nearest(&wanted, names()).or_else(|| is_several.then(|| names().find(far)).flatten())?;
    free.into_iter().find(|(free, _)| *free == name).filter(|(name, _)| !in_paths(name))
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '^')
}

/// Whether a name can be shown as one to declare.
fn is_plain_name(name: &str) -> bool {
    const BYTES_MAX: usize = 40;
    name.len() <= BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(is_of_name)
}

fn join(
    lines: &Lines<'_>,
    unknown: &Unknown,
    group: &[usize],
    declared: Option<(&str, Span)>,
    found: &mut Vec<Diagnostic>,
    dropped: &mut [bool],
) {
    let Some((&first, others)) = group.split_first() else { return };
    if found[first].help.is_none() && declared.is_none() && is_plain_name(&unknown.name) {
        found[first].help =
            Some(format!("if it is new, declare it: `{} = {};`", unknown.kind, unknown.name));
    }
    if others.is_empty() {
        if let (Some((_, span)), None) = (declared, found[first].also) {
            found[first].also = Some(("its declaration", span));
        }
        return;
    }
    if let Some((name, span)) = declared {
        let (kind, wanted) = (unknown.kind, shown(&unknown.name));
        let message = format!(
            "nothing uses the {kind} `{name}`, and `{wanted}`, which is used {} times, is not declared",
            group.len()
        );
        let help = Some(format!("did you mean `{wanted}`?"));
        for index in group {
            dropped[*index] = true;
        }
        found.push(Diagnostic::error(span, message).help(help).cause());
        return;
    }
    let listed = others.iter().take(PLACES_MAX).map(|index| {
        let (line, column) = lines.place(found[*index].span.start);
        format!("{line}:{column}")
    });
    let mut places = listed.collect::<Vec<_>>().join(", ");
    if others.len() > PLACES_MAX {
        places += &format!(" and {} more", others.len() - PLACES_MAX);
    }
    for index in others {
        dropped[*index] = true;
    }
    found[first].notes.push(format!("also at {places}"));
}
