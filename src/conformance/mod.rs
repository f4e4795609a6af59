//! The definition put to any server: the suite that a definition implies, its run, and what it
//! tells.
//!
//! ```text
//! Definition, Values --words--> symbols --model--> what is expected
//!   --suite--> words to say --session--> what was heard --runner--> verdicts, a cell each
//!   --report--> text, JSON, JUnit, TAP; dialogues that `fsm play --against` confirms
//! ```
//!
//! The other way round: answers --tree--> what tells states apart --learn--> a machine --learned-->
//! a definition.
//!
//! A [`Host`] opens connections: over sockets, or to a session in memory. This room has no socket,
//! no file and no clock.

mod deviations;
mod dialogues;
mod learn;
mod learned;
mod model;
mod report;
mod runner;
mod session;
mod suite;
mod tree;
mod verdicts;
mod words;

pub use deviations::{Deviation, Deviations};
pub use dialogues::dialogue;
pub use learn::{Effort, Learned, Learner, Stuck};
pub use learned::{Written, definition};
pub use model::{Answer, Expected, Mealy, Model, Sort, Word};
pub use report::{Finding, Form, Kind, Report, Verdict};
pub use runner::{Options, plan, run};
pub use session::{Heard, Host, InMemory, Lost};
pub use suite::{Depth, cover, identifiers, separating, suite};
pub use tree::Said;
pub use words::{Kind as SymbolKind, Symbol, Values, symbols};
