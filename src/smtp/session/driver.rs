//! The session without a socket: one loop that gives it inputs and answers its questions.
//!
//! The server has another loop, since there an answer takes time. All others that play a
//! session (dialogues, rehearsals, tests, benchmarks) use this one.

use super::{Input, Output, Question, Session};

/// The surroundings of a session: the connection, the users and the store.
pub trait World {
    /// Takes an output that is not a question.
    fn take(&mut self, output: Output<'_>);
    /// Answers a question, with the input that is its answer.
    fn answer(&mut self, question: Question) -> Input<'static>;
    /// The time in milliseconds. Who counts it lets it pass where it takes an [`Output::Wait`].
    fn now(&self) -> u64 {
        0
    }
}

/// Gives a session one input, and the answers to what it asks, until it wants the next input.
pub fn drive(session: &mut Session, input: Input<'_>, world: &mut impl World) {
    let mut question = outputs(session, input, world);
    loop {
        let answer = match question {
            Some(asked) => world.answer(asked),
            None if session.is_paused() => Input::Waited,
            None => return,
        };
        question = outputs(session, answer, world);
    }
}

fn outputs(session: &mut Session, input: Input<'_>, world: &mut impl World) -> Option<Question> {
    let mut question = None;
    session.set_time(world.now());
    let mut outputs = session.handle(input);
    while let Some(output) = outputs.next() {
        match output {
            Output::Ask(asked) => {
                debug_assert!(question.is_none(), "two questions at once");
                question = Some(asked);
            }
            other => world.take(other),
        }
    }
    question
}
