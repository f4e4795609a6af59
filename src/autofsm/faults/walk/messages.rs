//! What is said of faults that never fire.

use super::super::super::{CountKey, Definition, Diagnostic, Run, Span, Vocabulary};
use super::super::Fault;
use super::{Findings, is_of, stops};

/// What is said of a fault that no conversation makes fire.
pub(super) fn never(
    definition: &Definition,
    rules: &Vocabulary,
    fault: &Fault,
    findings: &Findings,
) -> Diagnostic {
    let mut notes = Vec::new();
    let names = |events: Vec<usize>| {
        let names = events.into_iter().filter_map(|event| definition.events.get(event));
        let names: Vec<_> = names.map(|event| event.name.as_str()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    if let Some((_, wanted, run)) = &findings.nearest {
        notes = run.dialogue(definition);
        let state = run.end(definition);
        let wanted: Vec<usize> = (0..wanted.len()).filter(|event| wanted[*event]).collect();
        let accepted: Vec<usize> = (0..definition.events.len())
            .filter(|event| definition.accepted(state.0, *event).is_some())
            .collect();
        // Where it is accepted all the same, it is content that came once.
        let state = definition.states.get(state.0).map_or("", |state| state.name.as_str());
        notes.push(format!(
            "next it wants {}, and {state} accepts {}",
            names(wanted),
            names(accepted)
        ));
    }
    let is_content = fault.content.is_some();
    let message = if is_content {
        format!("no conversation is in {} as `path` says, so this never fires", rules.content)
    } else {
        "no conversation is as `path` says, so this never fires".to_owned()
    };
    let help = if is_content {
        format!("with `content` the path ends in {}", rules.content)
    } else {
        format!(
            "is the expression what you mean? `.*` at its start stands for all that came before; {} is \
             met once in a message, and only with `content`",
            rules.content
        )
    };
    Diagnostic::error(fault.path_span, message).notes(notes).help(Some(help))
}

/// What is said of a fault that counts for each of something that is not there yet.
pub(super) fn unknown(
    definition: &Definition,
    fault: &Fault,
    key: CountKey,
    run: &Run,
) -> Diagnostic {
    let (name, needs) = (key.name, key.needs.unwrap_or_default());
    let message = format!("it is counted for each `{name}`, and here is not yet {needs}");
    let help = format!("leave `{name}` out of `each`, or let `path` begin later");
    Diagnostic::error(fault.path_span, message).notes(run.dialogue(definition)).help(Some(help))
}

/// What is said of a fault that others hide: the first that fires on the way to it.
pub(super) fn hidden(
    definition: &Definition,
    rules: &Vocabulary,
    faults: &[Fault],
    number: usize,
    alone: &Findings,
) -> Diagnostic {
    let run = alone.run.clone().unwrap_or_default();
    let others = || faults.iter().enumerate().filter(|(_, fault)| fault.is_unconditional());
    let mut hiding = others()
        .find(|(other, fault)| *other != number && fault.greets())
        .filter(|(_, fault)| fault.refuses() || fault.end.is_some() || run.moves.is_empty());
    let mut progress: Vec<_> = faults.iter().map(|fault| fault.automaton.start()).collect();
    for (place, step) in run.moves.iter().enumerate() {
        for (fault, progress) in faults.iter().zip(&mut progress) {
            *progress = fault.automaton.follow(progress, step.event.0);
        }
        let is_last = place + 1 == run.moves.len();
        let mut on_the_way = others().filter(|(other, fault)| {
            let fires = fault.automaton.matches(&progress[*other])
                && is_of(rules, definition, fault, step.event);
            let hides = is_last && *other < number || stops(rules, definition, fault, step.event);
            *other != number && fires && hides && !(is_last && *other > number)
        });
        hiding = hiding.or_else(|| on_the_way.next());
    }
    let says = hiding.map_or("others", |(_, fault)| fault.says.as_str()).escape_debug();
    let message = format!("this never fires: another comes first, \"{says}\"");
    let span = hiding.map_or(Span::default(), |(_, fault)| fault.span);
    let help = "put it before that one, or give that one `when` or `first`".to_owned();
    let said = Diagnostic::warning(faults[number].path_span, message).help(Some(help));
    let begin = Span { start: span.start, end: span.start + 1 };
    let said = said.notes(run.dialogue(definition));
    if hiding.is_some() { said.also("the other fault", begin) } else { said }
}
