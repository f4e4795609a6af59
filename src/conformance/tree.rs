//! All that a server has said so far, as a tree: the learner's only memory, its cache, and what
//! shows that answers are not the same each time.

use std::collections::BTreeMap;

use super::model::{Answer, Word};
use super::session::Heard;

/// An answer, as far as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A reply's code, and whether the connection is closed after it.
    Code(u16, bool),
    /// Encryption was accepted within an encrypted line, with this code. The session ends there:
    /// what would follow is not known.
    Untried(u16),
    /// It is content.
    Silent,
    /// It was not said: a line of content, or its end, where no content is awaited.
    Unsaid,
    /// The connection is closed, without a reply.
    Closed,
    /// Nothing, or what is no reply, in words.
    Other(String),
}

impl Said {
    /// Without what differs from one session to the next.
    pub(super) fn of(heard: &Heard, closed: bool) -> Self {
        match heard {
            Heard::Reply(code, _) | Heard::Open(code) => Self::Code(*code, closed),
            Heard::Silent => Self::Silent,
            Heard::Closed => Self::Closed,
            // It was accepted, and then nothing can be said.
            Heard::Clear(code, _, Some(_)) => Self::Code(*code, true),
            Heard::Clear(code, _, None) => Self::Untried(*code),
            other => Self::Other(other.word()),
        }
    }

    /// Whether nothing can be said after it.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Closed | Self::Untried(_) | Self::Code(_, true))
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Code(code, false) => code.to_string(),
            Self::Code(code, true) => format!("{code}, and the end"),
            Self::Untried(code) => format!("{code}, and no handshake was tried"),
            Self::Silent => "nothing: it is content".to_owned(),
            Self::Unsaid => "not said".to_owned(),
            Self::Closed => "a closed connection".to_owned(),
            Self::Other(what) => what.clone(),
        }
    }
}

impl Answer for Said {
    /// Whether content is awaited is known from the reply before.
    fn is_heard(&self) -> bool {
        true
    }

    fn differs(&self, other: &Self) -> bool {
        self != other
    }
}

/// The number of a node.
pub(super) type NodeId = usize;

/// A node: what was answered behind a word.
#[derive(Debug, Default)]
struct Node {
    /// By the symbol, the answer and the node after it.
    children: BTreeMap<usize, (Said, NodeId)>,
}

/// The tree; its root is 0.
#[derive(Debug)]
pub(super) struct Tree {
    /// The nodes.
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// What a node answers to a symbol, and the node after it.
    pub(super) fn child(&self, node: NodeId, symbol: usize) -> Option<&(Said, NodeId)> {
        self.nodes.get(node)?.children.get(&symbol)
    }

    /// The node behind a word.
    pub(super) fn at(&self, word: &[usize]) -> Option<NodeId> {
        word.iter().try_fold(0, |node, symbol| Some(self.child(node, *symbol)?.1))
    }

    /// What is known of the answers to a word, up to the first that is not, or that ends it.
    pub(super) fn answers(&self, word: &[usize]) -> Vec<Said> {
        let mut node = 0;
        let mut found = Vec::new();
        for symbol in word {
            let Some((said, next)) = self.child(node, *symbol) else { break };
            found.push(said.clone());
            node = *next;
            if said.ends() {
                break;
            }
        }
        found
    }

    /// Whether all answers to a word are known.
    pub(super) fn knows(&self, word: &[usize]) -> bool {
        let answers = self.answers(word);
        answers.len() == word.len() || answers.last().is_some_and(Said::ends)
    }

    /// Adds answers. Returns the place of the first that is not as it was.
    pub(super) fn add(&mut self, word: &[usize], answers: &[Said]) -> Result<(), usize> {
        let mut node = 0;
        for (place, (symbol, said)) in word.iter().zip(answers).enumerate() {
            let new = self.nodes.len();
            let Some(here) = self.nodes.get_mut(node) else { return Ok(()) };
            let (known, next) = here.children.entry(*symbol).or_insert_with(|| (said.clone(), new));
            if known != said {
                return Err(place);
            }
            node = *next;
            if node == new {
                self.nodes.push(Node::default());
            }
        }
        Ok(())
    }

    /// A word that the two nodes have answered otherwise.
    pub(super) fn apart(&self, one: NodeId, other: NodeId) -> Option<Word> {
        let (here, there) = (self.nodes.get(one)?, self.nodes.get(other)?);
        let common =
            |symbol: &usize| Some((here.children.get(symbol)?, there.children.get(symbol)?));
        // The shortest first: an answer before what is behind it.
        for symbol in here.children.keys() {
            if common(symbol).is_some_and(|((said, _), (also, _))| said != also) {
                return Some(vec![*symbol]);
            }
        }
        here.children.keys().find_map(|symbol| {
            let ((_, next), (_, also)) = common(symbol)?;
            let rest = self.apart(*next, *also)?;
            Some([&[*symbol], rest.as_slice()].concat())
        })
    }
}
