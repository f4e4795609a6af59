//! What a run tells: a verdict a cell, a finding for each that fails, and the sums.

use std::collections::BTreeMap;

use super::deviations::Deviations;
use super::dialogues::dialogue;
use super::model::{Model, Word};
use super::runner::{Place, Runner, cells};
use super::session::{Heard, Host, Lost};
use super::verdicts::{Judged, Judgement};
use crate::autofsm::StateIndex;

mod forms;

pub use forms::Form;

/// How a cell came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the definition says.
    Pass,
    /// Otherwise, each time; the number of its finding.
    Fail(usize),
    /// Otherwise, as the list of deviations says; the number of its finding.
    Known(usize),
    /// Not the same each time; the number of its finding.
    Random(usize),
    /// It could not be judged, and why. It is no pass.
    Inconclusive(String),
    /// No way that can be relied on leads to its state.
    Unreached,
    /// It was not asked for.
    Skipped,
}

/// What is wrong with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer.
    Answer,
    /// The state after it.
    Target,
    /// It is not the same each time.
    Random,
}

/// A deviation, as short as it could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The cell.
    pub place: (usize, usize),
    /// The state's name.
    pub state: String,
    /// The symbol's name.
    pub event: String,
    /// What is wrong.
    pub kind: Kind,
    /// What is wrong, in one word, as a list of deviations has it.
    pub word: String,
    /// What is wrong, in a sentence.
    pub says: String,
    /// A dialogue that the definition holds and the server does not.
    pub dialogue: String,
    /// What was exchanged in two sessions that are not the same.
    pub transcripts: Option<[Vec<String>; 2]>,
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The states' names, by their numbers; of those that are looked at.
    pub states: Vec<(usize, String)>,
    /// The symbols' names.
    pub symbols: Vec<String>,
    /// The verdicts.
    pub cells: BTreeMap<(usize, usize), Verdict>,
    /// The deviations.
    pub findings: Vec<Finding>,
    /// Lines of the list of deviations that do not hold, each with its number.
    pub stale: Vec<(usize, String)>,
    /// Connections.
    pub sessions: usize,
    /// Lines that were said.
    pub commands: usize,
    /// Messages that the server has accepted.
    pub mails: usize,
    /// Why it ended early.
    pub lost: Option<Lost>,
}

impl<H: Host> Runner<'_, H> {
    /// Makes the findings as short as they can be made, and tells all.
    pub(super) fn report(mut self, judged: Judged) -> Report {
        let (model, mut findings, mut verdicts) = (self.model, Vec::new(), BTreeMap::new());
        for (place, judgement) in judged.0 {
            let number = findings.len();
            let verdict = match judgement {
                Judgement::Pass => Verdict::Pass,
                Judgement::Doubtful(why) => Verdict::Inconclusive(why),
                Judgement::Unreached => Verdict::Unreached,
                Judgement::Skipped => Verdict::Skipped,
                Judgement::Says(word, heard) => {
                    let keep = word.len().saturating_sub(1);
                    let word = self.shortened(&word, keep, &heard);
                    findings.push(answer(model, place, &word, &heard));
                    Verdict::Fail(number)
                }
                Judgement::Leads(word, met, heard) => {
                    let word = self.shortened(&word, met, &heard);
                    findings.push(target(model, place, &word, &heard));
                    Verdict::Fail(number)
                }
                Judgement::Random(word, one, other) => {
                    findings.push(random(model, place, &word, [one, other]));
                    Verdict::Random(number)
                }
            };
            verdicts.insert(place, verdict);
        }
        let states = (0..model.machine.states())
            .filter(|state| !model.machine.is_closed(StateIndex(*state)))
            .map(|state| (state, model.state(StateIndex(state)).to_owned()));
        Report {
            states: states.collect(),
            symbols: model.symbols.iter().map(|symbol| symbol.name.clone()).collect(),
            cells: verdicts,
            findings,
            stale: Vec::new(),
            sessions: self.sessions,
            commands: self.commands,
            mails: self.mails,
            lost: self.lost,
        }
    }
}

fn finding(model: &Model, place: Place, word: &Word, kind: Kind, says: String) -> Finding {
    let (state, event) = (model.state(StateIndex(place.0)), model.name(place.1));
    let comment = [format!("{state} {event}: {says}")];
    Finding {
        place,
        state: state.to_owned(),
        event: event.to_owned(),
        kind,
        word: String::new(),
        dialogue: dialogue(model, word, &comment),
        says,
        transcripts: None,
    }
}

/// What is expected at the end of a word, in words.
fn wanted(model: &Model, word: &Word) -> String {
    let Some((_, expected)) = model.machine.follow(word).last() else { return String::new() };
    let code = expected.code.map_or(String::new(), |code| format!("{code}: "));
    let closes = if expected.closes { ", and then the end" } else { "" };
    format!("{code}{}{closes}", expected.sort.words())
}

fn answer(model: &Model, place: Place, word: &Word, heard: &Heard) -> Finding {
    let says = format!("expected {}, got {}", wanted(model, word), heard.words());
    Finding { word: heard.word(), ..finding(model, place, word, Kind::Answer, says) }
}

fn target(model: &Model, place: Place, word: &Word, heard: &Heard) -> Finding {
    let met = cells(model, word).position(|cell| cell == place);
    let next = met.and_then(|met| model.machine.after(word.get(..=met)?));
    let next = next.map_or("", |state| model.state(state));
    let last = word.last().map_or("", |symbol| model.name(*symbol));
    let says = format!(
        "the state after it is not `{next}`: expected {last} {}, got {}",
        wanted(model, word),
        heard.words()
    );
    Finding { word: "moved".to_owned(), ..finding(model, place, word, Kind::Target, says) }
}

fn random(model: &Model, place: Place, word: &Word, both: [Vec<String>; 2]) -> Finding {
    let says = "two sessions with the same lines were not answered alike".to_owned();
    let found = finding(model, place, word, Kind::Random, says);
    Finding { word: "random".to_owned(), transcripts: Some(both), ..found }
}

impl Report {
    /// Takes known deviations out of what fails, and notes those that do not hold.
    pub fn expect(&mut self, known: &Deviations) {
        for entry in &known.entries {
            let name = format!("{} {} {}", entry.state, entry.event, entry.word);
            let Some(verdict) = self.cells.get_mut(&entry.place) else { continue };
            match verdict {
                Verdict::Fail(number) | Verdict::Random(number) => {
                    let number = *number;
                    if self.findings.get(number).is_some_and(|found| found.word == entry.word) {
                        *verdict = Verdict::Known(number);
                    } else {
                        self.stale.push((entry.line, name));
                    }
                }
                Verdict::Pass => self.stale.push((entry.line, name)),
                _ => {}
            }
        }
    }

    /// How many cells came out so.
    #[must_use]
    pub fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.cells.values().filter(|verdict| is(verdict)).count()
    }

    /// Whether something is wrong: a deviation that is not known, or one that is and does not hold.
    #[must_use]
    pub fn fails(&self) -> bool {
        !self.stale.is_empty()
            || self.count(|verdict| matches!(verdict, Verdict::Fail(_) | Verdict::Random(_))) > 0
    }

    /// Why the rest is not known, if anything is not.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let open = self.count(|verdict| matches!(verdict, Verdict::Inconclusive(_)));
        let cells = if open == 1 { "1 cell is".to_owned() } else { format!("{open} cells are") };
        match &self.lost {
            Some(Lost::Server(why)) => Some(format!("{cells} not judged: {why}")),
            Some(Lost::Stopped) => Some(format!("{cells} not judged: interrupted")),
            None if open > 0 => Some(format!("{cells} not judged")),
            None => None,
        }
    }
}
