//! Each dialogue, played in every way that octets can arrive.

use std::collections::BTreeMap;
use std::ops::Deref as _;
use std::time::Duration;

use postman::dialogue::{Encryption, Patience, Socket};
use postman::smtp::session::Input;

use postman::smtp::vocabulary::VOCABULARY;

use crate::dialogue::{Act, Dialogue};
use crate::peer::{Peer, page};
use crate::rig::{Random, Server};

#[test]
fn each_dialogue_goes_as_it_is_written_however_it_is_cut() {
    let all = Dialogue::all();
    assert!(all.len() >= 30);
    for dialogue in all {
        for piece in [usize::MAX, 1, 2, 3, 7] {
            dialogue.play(|_| piece);
        }
    }
}

#[test]
fn each_dialogue_goes_as_it_is_written_cut_at_random() {
    for _ in 0..8 {
        let seed = Random::seed();
        for dialogue in Dialogue::all() {
            println!("{} cut with POSTMAN_SEED={seed}", dialogue.name);
            let mut random = Random(seed);
            dialogue.play(|most| 1 + random.below(most));
        }
    }
}

#[test]
fn pipelined_whole_each_dialogue_gets_the_same_replies_in_order() {
    for dialogue in Dialogue::all() {
        // What is in one piece with STARTTLS is refused before the 220: `session` shows it.
        if ["starttls-clear.smtp", "starttls-not-now.smtp"].contains(&dialogue.name.as_str()) {
            continue;
        }
        let verdicts = dialogue.play(|most| most);
        let mut peer = dialogue.peer();
        peer.verdicts = verdicts;
        for act in dialogue.pipelined() {
            match &act {
                Act::Octets(octets) => peer.give(Input::Octets(octets)),
                Act::Encrypted => peer.give(Input::Encrypted),
                Act::Silence => peer.give(Input::Silence),
                _ => peer.give(Input::Stop),
            }
        }
        for (number, act) in &dialogue.acts {
            if let Act::Reply(begin) = act {
                let reply = peer.take_reply().unwrap_or_default();
                assert!(reply.starts_with(begin.as_str()), "{}:{number}: {reply:?}", dialogue.name);
            }
        }
        assert_eq!(peer.take_reply(), None, "{}", dialogue.name);
    }
}

/// A server without a certificate leaves out STARTTLS, and nothing else changes.
#[test]
fn without_the_row_of_starttls_all_other_dialogues_go_the_same() {
    let without = page().without(VOCABULARY.conditional);
    assert_eq!(without.left_out, ["STARTTLS"]);
    let mut played = 0;
    for dialogue in Dialogue::all() {
        if dialogue.definition.is_none() && !dialogue.needs_all_rows() {
            let mut peer = Peer::with_machine(&dialogue.config(), without);
            let went = Dialogue::deref(&dialogue).play(&mut peer, |most| most);
            went.unwrap_or_else(|failure| panic!("{}:{failure}", dialogue.name));
            played += 1;
        }
    }
    assert!(played >= 35, "{played}");
}

/// The rig holds the session to its contract: no message stays open, nothing is asked.
#[test]
fn a_client_may_hang_up_at_any_octet_of_any_dialogue() {
    for dialogue in Dialogue::all() {
        let verdicts = dialogue.play(|most| most);
        let octets: Vec<u8> = dialogue
            .pipelined()
            .into_iter()
            .flat_map(|act| if let Act::Octets(octets) = act { octets } else { Vec::new() })
            .collect();
        // Long ones are content or over-long lines, where each place is like the next.
        let step = 1 + octets.len() / 500;
        for end in (0..octets.len()).step_by(step) {
            let mut peer = dialogue.peer();
            peer.verdicts.clone_from(&verdicts);
            peer.give(Input::Octets(&octets[..end]));
            let stored = peer.stored.len();
            if peer.open {
                peer.said.clear();
                peer.give(Input::HangUp);
                assert!(peer.said.is_empty(), "{}: words for nobody", dialogue.name);
            }
            assert_eq!((peer.draft, peer.stored.len()), (false, stored), "{}", dialogue.name);
        }
    }
}

/// Servers are few: dialogues of one configuration share one.
#[test]
fn each_dialogue_goes_over_a_socket_as_it_does_without() {
    let mut servers: BTreeMap<String, Server> = BTreeMap::new();
    let mut played = 0;
    for dialogue in Dialogue::all() {
        if !dialogue.goes_over_a_socket() {
            continue;
        }
        let server = servers.entry(dialogue.config_text()).or_insert_with_key(|config| {
            // Dialogues are played faster than the clients of one address may come.
            Server::start(&config.replacen('(', "(connects_per_second_max: 1000, ", 1))
        });
        let patience = Patience { timeout: Duration::from_mins(1), stop: None };
        let encryption = Encryption::new().unwrap();
        let mut socket = Socket::connect(server.address, "", &encryption, patience).unwrap();
        let went = Dialogue::deref(&dialogue).play(&mut socket, |most| most);
        went.unwrap_or_else(|failure| panic!("{}:{failure}", dialogue.name));
        played += 1;
    }
    assert!(played >= 20);
}
