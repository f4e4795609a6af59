//! An expression as it is followed event by event: by the proofs of faults together with the
//! machine, and by a session alone.

use super::expression::Step;

/// An expression, ready to be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// The instructions; the first is the start.
    steps: Vec<Step>,
}

/// How far events have come in an expression: a bit for each instruction that may be next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress(Box<[u64]>);

impl Progress {
    fn has(&self, step: usize) -> bool {
        self.0.get(step / 64).is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    /// Notes an instruction, and says whether it is new.
    fn add(&mut self, step: usize) -> bool {
        let is_new = !self.has(step);
        if let Some(word) = self.0.get_mut(step / 64) {
            *word |= 1 << (step % 64);
        }
        is_new
    }
}

impl Automaton {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// How many instructions it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.steps.len()
    }

    /// Before the first event.
    #[must_use]
    pub fn start(&self) -> Progress {
        let mut progress = self.nothing();
        self.enter(&mut progress, 0);
        progress
    }

    /// After one more event.
    #[must_use]
    pub fn follow(&self, progress: &Progress, event: usize) -> Progress {
        let mut next = self.nothing();
        for (number, step) in self.steps.iter().enumerate() {
            if let Step::Event(events) = step
                && events.get(event) == Some(&true)
                && progress.has(number)
            {
                self.enter(&mut next, number + 1);
            }
        }
        next
    }

    /// Whether the events so far are what the expression says.
    #[must_use]
    pub fn matches(&self, progress: &Progress) -> bool {
        // There is one such instruction, the last.
        self.steps.len().checked_sub(1).is_some_and(|last| progress.has(last))
    }

    /// The same expression over other events: those that `kept` lists, in its order.
    pub(super) fn over(&self, kept: &[usize]) -> Self {
        let flags = |events: &[bool]| {
            kept.iter().map(|event| events.get(*event) == Some(&true)).collect::<Vec<_>>()
        };
        let steps = self.steps.iter().map(|step| match step {
            Step::Event(events) => Step::Event(flags(events)),
            other => other.clone(),
        });
        Self { steps: steps.collect() }
    }

    /// The fewest events after which it could match, and the events that would come nearer; none
    /// if it never will.
    pub(super) fn wanted(&self, progress: &Progress) -> Option<(usize, Vec<bool>)> {
        let far = self.distances();
        let nearest = self.steps.iter().enumerate().filter(|(number, _)| progress.has(*number));
        let nearest = nearest.filter_map(|(number, step)| match step {
            Step::Event(events) if events.contains(&true) => Some((far[number]?, events)),
            _ => None,
        });
        let mut nearest: Vec<_> = nearest.collect();
        let least = nearest.iter().map(|(distance, _)| *distance).min()?;
        nearest.retain(|(distance, _)| *distance == least);
        let mut wanted = vec![false; nearest.first().map_or(0, |(_, events)| events.len())];
        for (_, events) in nearest {
            for (wanted, event) in wanted.iter_mut().zip(events) {
                *wanted |= *event;
            }
        }
        Some((least, wanted))
    }

    /// For each instruction the fewest events to the match.
    fn distances(&self) -> Vec<Option<usize>> {
        let mut far: Vec<Option<usize>> = vec![None; self.steps.len()];
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (number, step) in self.steps.iter().enumerate().rev() {
                let of = |step: usize| far.get(step).copied().flatten();
                let now = match step {
                    Step::Match => Some(0),
                    Step::Fork(one, other) => of(*one).into_iter().chain(of(*other)).min(),
                    Step::Jump(there) => of(*there),
                    Step::Event(events) if !events.contains(&true) => None,
                    Step::Event(_) => of(number + 1).map(|distance| distance + 1),
                };
                if now.is_some() && (far[number].is_none() || now < far[number]) {
                    far[number] = now;
                    changed = true;
                }
            }
        }
        far
    }

    fn nothing(&self) -> Progress {
        Progress(vec![0; self.steps.len().div_ceil(64)].into_boxed_slice())
    }

    /// Enters an instruction, and all that follow it without an event.
    fn enter(&self, progress: &mut Progress, step: usize) {
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            if !progress.add(step) {
                continue;
            }
            match self.steps.get(step) {
                Some(Step::Fork(one, other)) => open.extend([*other, *one]),
                Some(Step::Jump(there)) => open.push(*there),
                Some(Step::Event(_) | Step::Match) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Span, compile, expression};
    use super::*;

    /// How many times an event may come, up to 8, for an expression to match.
    fn times(path: &str) -> Vec<usize> {
        let source = "AutoGen Definitions fsm; state = a; event = go, stop; transition =
            { tst = init; tev = go; next = a; }, { tst = a; tev = stop; next = done; };";
        let definition = compile(source, None).definition.unwrap();
        let mut found = Vec::new();
        let steps = expression::read(path, &definition, path, Span::default(), &mut found);
        let automaton = Automaton::new(steps.unwrap_or_else(|| panic!("{path}: {found:?}")));
        let mut progress = automaton.start();
        let mut matching = Vec::new();
        for number in 0..=8 {
            if automaton.matches(&progress) {
                matching.push(number);
            }
            progress = automaton.follow(&progress, 0);
        }
        matching
    }

    #[test]
    fn a_counted_part_comes_as_often_as_it_says() {
        for (path, expected) in [
            ("go{2}", vec![2]),
            ("go{2,4}", vec![2, 3, 4]),
            ("go { 2 , 4 }", vec![2, 3, 4]),
            ("go{0,2}", vec![0, 1, 2]),
            ("go{6,}", vec![6, 7, 8]),
            ("(go go){2,3}", vec![4, 6]),
            ("(go{2}){2} go?", vec![4, 5]),
            ("(go|stop){3}", vec![3]),
            ("stop{0,1} go", vec![1]),
            ("go{2}|go{5}", vec![2, 5]),
        ] {
            assert_eq!(times(path), expected, "{path}");
        }
    }

    #[test]
    fn an_expression_that_a_bound_of_steps_forbids_is_not_written_out() {
        let source = "AutoGen Definitions fsm; state = a; event = go; transition =
            { tst = init; tev = go; next = a; };";
        let definition = compile(source, None).definition.unwrap();
        let mut found = Vec::new();
        let path = "((go{1000}){1000}){1000}";
        assert_eq!(expression::read(path, &definition, path, Span::default(), &mut found), None);
        assert_eq!(found.len(), 1);
    }
}
