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
}

/// Gives a session one input, and the answers to what it asks, until it wants the next input.
pub fn drive(session: &mut Session, input: Input<'_>, world: &mut impl World) {
    let mut question = outputs(session, input, world);
    while let Some(asked) = question {
        let answer = world.answer(asked);
        question = outputs(session, answer, world);
    }
}

fn outputs(session: &mut Session, input: Input<'_>, world: &mut impl World) -> Option<Question> {
    let mut question = None;
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
