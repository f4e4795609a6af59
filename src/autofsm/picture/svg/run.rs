//! The way of one conversation through a definition, as a picture that moves.
//!
//! The definition is drawn as ever, and pale. Upon it lies a light for each leg of the way: its
//! arrow, its event, the state that follows, and what was said, which stands beside the machine.
//! The lights are shown in turn, over and over, by the style alone. Where nothing should move
//! (`prefers-reduced-motion`), or nothing can, all are shown: that is the whole way.

use std::fmt::Write as _;

use super::super::super::same_name;
use super::super::text::{fixed_width, float, xml};
use super::super::{Definition, Edge, Marks, edges, title};
use super::words::Line;
use super::{Drawing, Look, MARGIN, draw, number};

/// One step of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The state before.
    pub from: String,
    /// The event; none for what comes before the first one.
    pub event: Option<String>,
    /// The state after.
    pub to: String,
    /// Whether the event was refused, whatever the definition says of it.
    pub is_refused: bool,
    /// What was said meanwhile, line by line.
    pub words: Vec<String>,
}

/// A step by the numbers of its states and of its event.
pub(in super::super) struct Lit {
    from: Option<usize>,
    event: Option<usize>,
    to: Option<usize>,
    is_refused: bool,
    words: Vec<String>,
}

/// The most legs that are shown.
const LEGS_MAX: usize = 60;
/// The most lines that are shown of what was said in one leg.
const WORDS_MAX: usize = 6;
/// The most characters of such a line.
const CHARS_MAX: usize = 46;
/// What was said is larger than what stands on an arrow: it is read line by line.
const SAID_SIZE: f64 = 13.0;
const SAID_LINE: f64 = 18.0;
/// How long a leg is lit, in tenths of a second.
const TENTHS: usize = 14;

const STYLE: &str = "\
.fsm-run .arrow{opacity:.4}\
.fsm-said{fill:#818b98;font-size:13px}\
.fsm-frame{fill:none;stroke:#0969da;stroke-width:2.5}\
.fsm-step text{font-weight:700}.fsm-step .fsm-line{stroke-width:3}\
.fsm-step .fsm-stay{fill:#0969da}.fsm-step .fsm-turn{stroke:#0969da;stroke-width:2}\
.fsm-step .fsm-said{fill:#1f2328}\
.fsm-step.fsm-not .fsm-frame,.fsm-step.fsm-not .fsm-turn{stroke:#cf222e}.fsm-step.fsm-not text{fill:#cf222e}\
@media (prefers-color-scheme:dark){\
.fsm-said{fill:#768390}\
.fsm-frame,.fsm-step .fsm-turn{stroke:#4493f8}\
.fsm-step .fsm-stay{fill:#4493f8}.fsm-step .fsm-said{fill:#f0f6fc}\
.fsm-step.fsm-not .fsm-frame,.fsm-step.fsm-not .fsm-turn{stroke:#f85149}.fsm-step.fsm-not text{fill:#f85149}\
}";

/// The way of a conversation through a definition. What stays and is alike is one leg; of a long
/// conversation the first legs are shown. Nothing if the definition cannot be drawn.
#[must_use]
pub fn svg_of_run(definition: &Definition, legs: &[Leg]) -> Option<String> {
    let mut run: Vec<Leg> = Vec::new();
    for leg in legs {
        match run.last_mut() {
            Some(last) if last.from == last.to && is_alike(last, leg) => {
                last.words.extend_from_slice(&leg.words);
            }
            _ => run.push(leg.clone()),
        }
    }
    let more = run.len().saturating_sub(LEGS_MAX);
    run.truncate(LEGS_MAX);
    if let (1.., Some(last)) = (more, run.last_mut()) {
        last.words.truncate(WORDS_MAX - 1);
        last.words.push(format!("and {more} more steps"));
    }
    let lit: Vec<Lit> = run.iter().map(|leg| Lit::of(definition, leg)).collect();
    let style = style(lit.len());
    let title = format!("{}: the way of a conversation", title(definition));
    let look = Look { title, style, states: Vec::new(), notes: Vec::new(), legs: lit };
    draw(definition, &edges(definition, &Marks::default()), look)
}

fn is_alike(one: &Leg, other: &Leg) -> bool {
    (&one.from, &one.event, &one.to, one.is_refused)
        == (&other.from, &other.event, &other.to, other.is_refused)
}

/// The style by which the legs shine in turn, for this number of them. The number is in its names, so
/// that the rules of several pictures in a page do not mix.
fn style(legs: usize) -> String {
    if legs == 0 {
        return STYLE.to_owned();
    }
    // So exact that no moment is dark between two of them.
    let (share, tenths) = (format!("{:.4}", 100.0 / float(legs)), legs * TENTHS);
    let seconds = number(float(tenths) / 10.0);
    format!(
        "{STYLE}@keyframes fsm-run-{legs}{{0%{{opacity:1}}{share}%,100%{{opacity:0}}}}\
         @media (prefers-reduced-motion:no-preference){{\
         .fsm-run-{legs} .fsm-step{{animation:fsm-run-{legs} {seconds}s step-end infinite}}}}"
    )
}

impl Lit {
    fn of(definition: &Definition, leg: &Leg) -> Self {
        let state =
            |name: &str| definition.states.iter().position(|one| same_name(&one.name, name));
        let event =
            |name: &str| definition.events.iter().position(|one| same_name(&one.name, name));
        let (from, to) = (state(&leg.from), state(&leg.to));
        let event = leg.event.as_deref().and_then(event);
        let mut words: Vec<String> = leg.words.iter().map(|line| cut(line)).collect();
        if words.len() > WORDS_MAX {
            words.truncate(WORDS_MAX - 1);
            words.push("...".to_owned());
        }
        let cell = from.zip(event).and_then(|(from, event)| definition.cell(from, event));
        let is_refused = leg.is_refused || cell.is_some_and(super::super::Cell::is_refusal);
        Self { from, event: event.filter(|_| cell.is_some()), to, is_refused, words }
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

impl Drawing<'_> {
    /// The classes that the whole picture has.
    pub(super) fn classes(&self) -> String {
        match self.look.legs.len() {
            0 => "fsm".to_owned(),
            legs => format!("fsm fsm-run fsm-run-{legs}"),
        }
    }

    /// The legs along an edge, each with the number of its event there. A refusal takes only an
    /// arrow of refusals.
    pub(super) fn legs_along(&self, edge: &Edge) -> Vec<(usize, usize)> {
        let numbered = self.look.legs.iter().enumerate();
        let here = numbered.filter(|(_, leg)| {
            leg.from == Some(edge.from)
                && leg.to == Some(edge.to)
                && leg.is_refused == edge.style.is_refused
        });
        let place = |leg: &Lit| edge.events.iter().position(|event| Some(*event) == leg.event);
        here.filter_map(|(number, leg)| Some((number, place(leg)?))).collect()
    }

    /// Lets something shine with these legs.
    pub(super) fn light(&mut self, legs: &[(usize, usize)], shape: &str) {
        for (leg, _) in legs {
            self.lights[*leg] += shape;
        }
    }

    /// Lets an event shine: the line of events again, but for the others.
    pub(super) fn light_event(
        &mut self,
        legs: &[(usize, usize)],
        edge: usize,
        line: &Line,
        begin: &str,
    ) {
        for (leg, event) in legs.iter().filter(|(_, event)| line.events.contains(event)) {
            let names = line.events.clone().map(|number| {
                let name = xml(&self.edges[edge].names[number]);
                if number == *event {
                    return name;
                }
                format!("<tspan visibility=\"hidden\">{name}</tspan>")
            });
            let names = names.collect::<Vec<_>>().join(" ");
            let _ = writeln!(self.lights[*leg], "{begin}{names}</text>");
        }
    }

    /// Lets the frame of a state shine.
    pub(super) fn light_frame(&mut self, node: usize, state: usize) {
        let frame = self.shape(node, "fsm-frame", 0.0);
        for (light, leg) in self.lights.iter_mut().zip(&self.look.legs) {
            if leg.to == Some(state) {
                *light += &frame;
            }
        }
    }

    /// The room that the words take beside the machine: their width with what keeps them apart, and
    /// their lower end.
    pub(super) fn words_extent(&self) -> (f64, f64) {
        let lines = || self.look.legs.iter().flat_map(|leg| &leg.words);
        let width = lines().map(|line| fixed_width(line, SAID_SIZE)).fold(0.0, f64::max);
        let apart = if width > 0.0 { MARGIN } else { 0.0 };
        (width + apart, MARGIN + float(lines().count()) * SAID_LINE)
    }

    /// What was said, from this place on, and the lights.
    pub(super) fn lit(&mut self, left: f64) {
        let (x, mut base) = (number(left), MARGIN);
        let mut lights = std::mem::take(&mut self.lights);
        for (light, leg) in lights.iter_mut().zip(&self.look.legs) {
            for line in &leg.words {
                base += SAID_LINE;
                let (y, line) = (number(base), xml(line));
                let text = format!(
                    "<text class=\"fsm-said fsm-mono\" x=\"{x}\" y=\"{y}\">{line}</text>\n"
                );
                self.text += &text;
                *light += &text;
            }
        }
        let legs = lights.len();
        for (number_of, light) in lights.iter().enumerate() {
            let refused = if self.look.legs[number_of].is_refused { " fsm-not" } else { "" };
            // One that has begun already: so all are in step from the first moment.
            let begun = number(float((legs - number_of) * TENTHS) / 10.0);
            let _ = write!(
                self.text,
                "<g class=\"fsm-step{refused}\" style=\"animation-delay:-{begun}s\">\n{light}</g>\n"
            );
        }
    }
}
