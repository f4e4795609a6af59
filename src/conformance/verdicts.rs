//! Which cell a deviation is about.
//!
//! A wrong answer is seen at its own cell, a wrong target only behind it: at a cell that answers as
//! it should when another way leads there, or at several that answer as another state's do.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Answer as _, Expected, Sort, Word};
use super::runner::{Outcome, Place, Runner, after, cells};
use super::session::{Heard, Host};
use super::suite::Depth;
use crate::autofsm::StateIndex;

/// What is known of a cell.
#[derive(Clone, Debug)]
pub(super) enum Judgement {
    /// It answers as it should, and the state after it is the right one as far as that was asked.
    Pass,
    /// The last symbol of the word is answered otherwise.
    Says(Word, Heard),
    /// The state after it is another: the last symbol of the word, behind it, shows that. The cell
    /// is met at this place of the word.
    Leads(Word, usize, Heard),
    /// Two sessions were not the same.
    Random(Word, Vec<String>, Vec<String>),
    /// It could not be judged.
    Doubtful(String),
    /// No way leads to its state.
    Unreached,
    /// It was not asked for.
    Skipped,
}

/// All that is known.
pub(super) struct Judged(pub BTreeMap<Place, Judgement>);

impl Judged {
    /// The cells that no way should go along.
    pub(super) fn bad(&self) -> impl Iterator<Item = Place> {
        let is_bad = |judgement: &Judgement| {
            !matches!(judgement, Judgement::Pass | Judgement::Unreached | Judgement::Skipped)
        };
        self.0.iter().filter(move |(_, judgement)| is_bad(judgement)).map(|(place, _)| *place)
    }
}

/// The cells that lead to another state, each with a word that shows it and what was heard.
pub(super) type Moved = BTreeMap<Place, (Word, usize, Heard)>;

/// Judges all cells by what was heard so far.
pub(super) fn judge<H: Host>(
    runner: &Runner<'_, H>,
    ways: &[Option<Word>],
    moved: &mut Moved,
) -> Judged {
    loop {
        let mut judged = each_by_itself(runner, ways, moved);
        behind(runner, &mut judged);
        let found = retargeted(runner, ways, &judged);
        let Some((place, shown)) = found.filter(|(place, _)| !moved.contains_key(place)) else {
            return Judged(judged);
        };
        moved.insert(place, shown);
    }
}

fn each_by_itself<H: Host>(
    runner: &Runner<'_, H>,
    ways: &[Option<Word>],
    moved: &Moved,
) -> BTreeMap<Place, Judgement> {
    let (model, mut judged) = (runner.model, BTreeMap::new());
    for state in 0..model.machine.states() {
        if model.machine.is_closed(StateIndex(state)) {
            continue;
        }
        let way = ways.get(state).cloned().flatten().filter(|way| {
            runner.outcome_within(way).is_none()
                && !cells(model, way).any(|cell| moved.contains_key(&cell))
        });
        for symbol in 0..model.machine.symbols() {
            let is_asked = runner
                .options
                .only
                .is_none_or(|(one, only)| one == state && only.is_none_or(|only| only == symbol));
            let judgement = match &way {
                _ if !is_asked => Judgement::Skipped,
                None => Judgement::Unreached,
                Some(_) if runner.options.depth == Depth::Tour => met(runner, (state, symbol)),
                Some(way) => one(runner, &[way.as_slice(), &[symbol]].concat()),
            };
            judged.insert((state, symbol), judgement);
        }
    }
    for (place, (word, met, heard)) in moved {
        judged.insert(*place, Judgement::Leads(word.clone(), *met, heard.clone()));
    }
    judged
}

/// A cell of a tour, wherever a session met it.
fn met<H: Host>(runner: &Runner<'_, H>, place: Place) -> Judgement {
    let is_last = |word: &Word| cells(runner.model, word).last() == Some(place);
    match runner.outcomes.keys().find(|word| is_last(word)) {
        Some(word) => one(runner, word),
        None if runner.met.contains(&place) => Judgement::Pass,
        None => Judgement::Doubtful("it was not asked before the end".to_owned()),
    }
}

/// The cell at the end of a word.
fn one<H: Host>(runner: &Runner<'_, H>, word: &Word) -> Judgement {
    let unfinished = || Judgement::Doubtful("it was not asked before the end".to_owned());
    match runner.outcomes.get(word) {
        Some(Outcome::Off(heard)) => return Judgement::Says(word.clone(), heard.clone()),
        Some(Outcome::Doubtful(why)) => return Judgement::Doubtful(why.clone()),
        Some(Outcome::Random(one, other)) => {
            return Judgement::Random(word.clone(), one.clone(), other.clone());
        }
        None if !runner.fine.contains(word) => return unfinished(),
        None => {}
    }
    let state = after(runner.model, word).map_or(0, |state| state.0);
    for end in runner.identifiers.get(state).into_iter().flatten() {
        let longer = [word.as_slice(), end].concat();
        match runner.outcome_within(&longer) {
            Some((_, Outcome::Doubtful(why))) => {
                return Judgement::Doubtful(format!("the state after it is not known: {why}"));
            }
            None if !runner.fine.contains(&longer) => return unfinished(),
            _ => {}
        }
    }
    Judgement::Pass
}

/// Deviations that are not about the cell where they are heard.
fn behind<H: Host>(runner: &Runner<'_, H>, judged: &mut BTreeMap<Place, Judgement>) {
    let mut words: Vec<_> = runner.outcomes.iter().collect();
    words.sort_by_key(|(word, _)| word.len());
    for (word, outcome) in words {
        let Some(last) = cells(runner.model, word).last() else { continue };
        match outcome {
            Outcome::Doubtful(_) => {}
            Outcome::Random(one, other) => {
                if let Some(open @ Judgement::Pass) = judged.get_mut(&last) {
                    *open = Judgement::Random(word.clone(), one.clone(), other.clone());
                }
            }
            Outcome::Off(heard) => {
                let is_known = is_known(runner, judged, last, heard);
                let blamed = blamed(runner, word);
                let cell = cells(runner.model, word).nth(blamed);
                if !is_known
                    && let Some(open @ Judgement::Pass) =
                        cell.and_then(|cell| judged.get_mut(&cell))
                {
                    *open = Judgement::Leads(word.clone(), blamed, heard.clone());
                }
            }
        }
    }
}

/// Whether a cell says this wherever it is met: what is heard there tells nothing of the way to it.
fn is_known<H: Host>(
    runner: &Runner<'_, H>,
    judged: &BTreeMap<Place, Judgement>,
    cell: Place,
    heard: &Heard,
) -> bool {
    match judged.get(&cell) {
        Some(Judgement::Says(_, known)) => known.word() == heard.word(),
        Some(Judgement::Unreached) => is_said_after_each(runner, cell, heard),
        _ => false,
    }
}

/// Whether several commands have led to a cell's state, and each time this was heard: then it is its own,
/// though no way there can be relied on. One command in several states is one row of a page, whose
/// target may be what is wrong.
fn is_said_after_each<H: Host>(runner: &Runner<'_, H>, cell: Place, heard: &Heard) -> bool {
    let mut before = BTreeSet::new();
    for (word, outcome) in &runner.outcomes {
        let met: Vec<Place> = cells(runner.model, word).collect();
        let [.., led, last] = met.as_slice() else { continue };
        if *last == cell {
            let is_same = matches!(outcome, Outcome::Off(other) if other.word() == heard.word());
            if !is_same {
                return false;
            }
            if led.0 != cell.0 {
                before.insert(led.1);
            }
        }
    }
    before.len() > 1 && !runner.met.contains(&cell)
}

/// The first place of a word after which the state is not told apart as it should; else the last
/// but one.
fn blamed<H: Host>(runner: &Runner<'_, H>, word: &Word) -> usize {
    let before = word.len().saturating_sub(1);
    let is_wrong = |place: &usize| {
        let begin = word.get(..=*place).unwrap_or_default();
        let state = after(runner.model, begin).map_or(0, |state| state.0);
        let mut ends = runner.identifiers.get(state).into_iter().flatten();
        ends.any(|end| {
            let found = runner.outcome_within(&[begin, end].concat());
            found.is_some_and(|(off, outcome)| {
                let Outcome::Off(heard) = outcome else { return false };
                let last = cells(runner.model, off).last();
                off.len() > begin.len()
                    && !last.is_some_and(|last| is_said_after_each(runner, last, heard))
            })
        })
    };
    (0..before).find(is_wrong).unwrap_or(before.saturating_sub(1))
}

/// A cell behind which several cells answer as another state's, or one that answers as it should
/// after another way.
fn retargeted<H: Host>(
    runner: &Runner<'_, H>,
    ways: &[Option<Word>],
    judged: &BTreeMap<Place, Judgement>,
) -> Option<(Place, (Word, usize, Heard))> {
    let model = runner.model;
    for (state, way) in ways.iter().enumerate() {
        let Some((way, met)) = way.as_ref().and_then(|way| Some((way, way.len().checked_sub(1)?)))
        else {
            continue;
        };
        let wrong: Vec<(usize, &Heard)> = (0..model.machine.symbols())
            .filter_map(|symbol| match judged.get(&(state, symbol)) {
                Some(Judgement::Says(_, heard)) => Some((symbol, heard)),
                _ => None,
            })
            .collect();
        let (Some((symbol, heard)), Some(cell)) = (wrong.first(), cells(model, way).last()) else {
            continue;
        };
        if is_fine_elsewhere(runner, ways, (state, cell), &wrong)
            || wrong.len() > 1 && is_like_another(runner, state, &wrong)
        {
            let word = [way.as_slice(), &[*symbol]].concat();
            return Some((cell, (word, met, (*heard).clone())));
        }
    }
    None
}

/// Whether a cell of a state that fails is as it should be when another cell led to the state.
fn is_fine_elsewhere<H: Host>(
    runner: &Runner<'_, H>,
    ways: &[Option<Word>],
    (state, last): (usize, Place),
    wrong: &[(usize, &Heard)],
) -> bool {
    ways.iter().enumerate().any(|(from, way)| {
        let Some(way) = way else { return false };
        (0..runner.model.machine.symbols()).filter(|symbol| (from, *symbol) != last).any(|symbol| {
            let word = [way.as_slice(), &[symbol]].concat();
            let leads = after(runner.model, &word) == Some(StateIndex(state));
            // A cell that stays adds nothing to the way that is doubted.
            let is_other = from != state;
            leads && is_other && {
                wrong
                    .iter()
                    .any(|(event, _)| runner.fine.contains(&[word.as_slice(), &[*event]].concat()))
            }
        })
    })
}

/// Whether all that a state answers is what another state of the model would.
fn is_like_another<H: Host>(
    runner: &Runner<'_, H>,
    state: usize,
    wrong: &[(usize, &Heard)],
) -> bool {
    let machine = &runner.model.machine;
    let says = |expected: &Expected, heard: &Heard| match heard {
        Heard::Reply(code, _) => Sort::of(*code) == expected.sort,
        _ => false,
    };
    (0..machine.states()).filter(|other| *other != state).any(|other| {
        (0..machine.symbols()).all(|symbol| {
            let cells =
                (machine.cell(StateIndex(state), symbol), machine.cell(StateIndex(other), symbol));
            let (Some((here, _)), Some((there, _))) = cells else { return false };
            match wrong.iter().find(|(event, _)| *event == symbol) {
                Some((_, heard)) => says(there, heard),
                None => here.sort == there.sort && !here.differs(there),
            }
        })
    })
}
