//! Pictures of definitions.

use std::io::Write as _;
use std::process::{Command, Stdio};

use postman::autofsm::{Definition, Leg, Marks, compile, dot, mermaid, svg, svg_of_run};
use postman::dialogue::{Dialogue, Peer};
use proptest::prelude::*;

fn definition(source: &str) -> Definition {
    compile(source, None).definition.unwrap()
}

/// All text of an element, whatever parts of it are elements, too.
pub(crate) fn text_of(node: roxmltree::Node<'_, '_>) -> String {
    node.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text()).collect()
}

fn classes<'a>(node: &roxmltree::Node<'a, '_>) -> Vec<&'a str> {
    node.attribute("class").unwrap_or_default().split(' ').collect()
}

/// The cells that have a row, as the picture names them.
fn with_rows(definition: &Definition) -> Vec<String> {
    let mut names = Vec::new();
    for (number, state) in definition.states.iter().enumerate() {
        for (event, about) in definition.events.iter().enumerate() {
            if definition.cell(number, event).is_some() {
                names.push(format!("{} {}", state.name, about.name));
            }
        }
    }
    names.sort_unstable();
    names
}

/// The cells that a picture names, each as often as it does.
fn named(tree: &roxmltree::Document<'_>) -> Vec<String> {
    let mut names: Vec<_> = tree
        .descendants()
        .filter_map(|node| node.attribute("data-cell").map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn each_cell_with_a_row_is_in_the_picture_once_and_on_an_arrow() {
    let page = definition(crate::peer::PAGE);
    let picture = svg(&page, &Marks::default()).unwrap();
    let tree = roxmltree::Document::parse(&picture).unwrap();
    assert_eq!(named(&tree), with_rows(&page));
    for node in tree.descendants().filter(|node| node.has_attribute("data-cell")) {
        let name = node.attribute("data-cell").unwrap();
        let (state, event) = name.split_once(' ').unwrap();
        assert_eq!(text_of(node).split(' ').next(), Some(event));
        let arrow = node.ancestors().find(|node| classes(node).contains(&"arrow")).unwrap();
        let has = |class: &str| arrow.descendants().any(|node| classes(&node).contains(&class));
        // One that leaves its state has the whole way to the next one, and its head.
        let card = node.ancestors().find_map(|node| node.attribute("data-state"));
        let stays = has("fsm-turn");
        assert_eq!(card, stays.then_some(state), "{name}");
        let heads = arrow.children().filter(|node| classes(node).contains(&"fsm-fill"));
        let heads = heads.filter(|node| node.has_tag_name("path")).count();
        assert_eq!((has("fsm-line"), heads), (!stays, usize::from(!stays)), "{name}");
    }
    let states: Vec<_> =
        tree.descendants().filter_map(|node| node.attribute("data-state")).collect();
    assert_eq!(states.len(), page.states.len());
    assert!(page.states.iter().all(|state| states.contains(&state.name.as_str())));
}

#[test]
fn what_several_arrows_share_is_seen_once_and_is_part_of_each() {
    let page = definition(crate::peer::PAGE);
    let picture = svg(&page, &Marks::default()).unwrap();
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let heads_to_the_end: Vec<_> = tree
        .descendants()
        .filter(|node| {
            node.has_tag_name("path") && classes(node).starts_with(&["fsm-fill", "fsm-end"])
        })
        .collect();
    let seen = heads_to_the_end.iter().filter(|node| !classes(node).contains(&"fsm-same"));
    assert_eq!((heads_to_the_end.len(), seen.count()), (6, 1), "six states have QUIT");
    assert!(
        heads_to_the_end
            .iter()
            .all(|node| node.attribute("d") == heads_to_the_end[0].attribute("d"))
    );
    assert!(picture.contains(".fsm-same{display:none}"));
}

#[test]
fn no_name_breaks_out_of_the_picture() {
    let hostile = "a\"/><script>alert(1)</script>&'";
    let mut page = definition(crate::peer::PAGE);
    hostile.clone_into(&mut page.states[1].name);
    hostile.clone_into(&mut page.events[3].name);
    let picture = svg(&page, &Marks::default()).unwrap();
    let tree = roxmltree::Document::parse(&picture).unwrap();
    assert!(!tree.descendants().any(|node| node.has_tag_name("script")));
    assert_eq!(named(&tree), with_rows(&page));
    assert!(tree.descendants().any(|node| node.attribute("data-state") == Some(hostile)));
}

/// The way of a dialogue through the tests' own page.
fn way(dialogue: &str) -> String {
    let dialogue = Dialogue::parse(dialogue).unwrap();
    let mut peer = Peer::new(&dialogue.config().unwrap(), crate::peer::page());
    dialogue.play(&mut peer, |most| most).unwrap();
    svg_of_run(&definition(crate::peer::PAGE), &peer.legs()).unwrap()
}

#[test]
fn the_way_of_a_dialogue_has_a_light_for_each_step() {
    let picture = way(include_str!("../../docs/message.smtp"));
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let lights: Vec<_> =
        tree.descendants().filter(|node| classes(node).contains(&"fsm-step")).collect();
    let told = |node: &roxmltree::Node<'_, '_>| {
        let shown = |node: &roxmltree::Node<'_, '_>| {
            node.is_text() && node.parent().unwrap().attribute("visibility").is_none()
        };
        let parts = node.descendants().filter(shown).filter_map(|node| node.text());
        parts.map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("|")
    };
    let told: Vec<_> = lights.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "S: 220 postman.local ESMTP Postman",
            "EHLO|C: EHLO client.example|S: 250-postman.local",
            "C: RCPT TO:<user@postman.local>|S: 503 5.5.1 RCPT not now; expected HELO, EHLO...",
            "MAIL|C: MAIL FROM:<ann@client.example>|S: 250 2.1.0 Sender OK",
            "RCPT|C: RCPT TO:<user@postman.local>|S: 250 2.1.5 Recipient OK",
            "DATA|C: DATA|S: 354 Send the message, end it with a dot on ...",
            "READ|C: Subject: Lunch?|C:|C: At noon?",
            "END|C: .|S: 250 2.0.0 Safe as 1-1",
            "QUIT|C: QUIT|S: 221 2.0.0 Bye",
        ]
    );
    for (number, light) in lights.iter().enumerate() {
        let count =
            |class: &str| light.descendants().filter(|node| classes(node).contains(&class)).count();
        // The greeting and what is refused take no arrow, content stays where it is.
        let has_way = ![0, 2, 6].contains(&number);
        assert_eq!((count("fsm-frame"), count("fsm-line") > 0), (1, has_way), "{number}");
        assert_eq!(classes(light).contains(&"fsm-not"), number == 2);
        let begun = 1.4 * f64::from(u32::try_from(lights.len() - number).unwrap());
        assert_eq!(
            light.attribute("style"),
            Some(&*format!("animation-delay:-{}s", (begun * 10.0).round() / 10.0))
        );
    }
    // The cells are named once, as in any picture of the machine.
    assert_eq!(named(&tree), with_rows(&definition(crate::peer::PAGE)));
}

#[test]
fn a_picture_that_moves_stands_still_for_those_who_ask_for_it() {
    let picture = way("S: 220\nC: NOOP\nS: 250\n");
    let style = picture.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let (still, moving) =
        style.split_once("@media (prefers-reduced-motion:no-preference){").unwrap();
    assert!(!still.contains("animation:") && moving.contains("{animation:fsm-run-2 2.8s"));
    assert!(!picture.contains("id=") && !picture.contains("<script") && !picture.contains("\n\n"));
}

#[test]
fn a_long_conversation_is_shown_by_its_first_steps_and_no_word_breaks_out() {
    let page = definition(crate::peer::PAGE);
    let leg = |number: usize| Leg {
        from: "init".to_owned(),
        event: Some("</text><script>".to_owned()),
        to: "init".to_owned(),
        is_refused: number.is_multiple_of(2),
        words: vec![format!("C: </text><script>{}", "x".repeat(number * 100)); 9],
    };
    let legs: Vec<_> = (0..500).map(leg).collect();
    let picture = svg_of_run(&page, &legs).unwrap();
    let tree = roxmltree::Document::parse(&picture).unwrap();
    assert!(!tree.descendants().any(|node| node.has_tag_name("script")));
    let lights = tree.descendants().filter(|node| classes(node).contains(&"fsm-step"));
    assert_eq!(lights.count(), 60);
    assert!(tree.descendants().any(|node| node.text() == Some("and 440 more steps")));
    assert!(picture.len() < 200_000, "{}", picture.len());
}

#[test]
fn the_picture_can_stand_in_markdown_and_in_the_crate_s_docs() {
    let picture = svg(&definition(crate::peer::PAGE), &Marks::default()).unwrap();
    // An HTML block of Markdown begins with a tag alone on its line and ends with an empty line.
    assert!(
        picture.lines().next().unwrap().starts_with("<svg ")
            && picture.lines().next().unwrap().ends_with('>')
    );
    assert!(!picture.contains("\n\n") && !picture.contains("id=") && !picture.contains("<script"));
    let built = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/smtp/machine.rs"));
    assert!(
        built.contains("#[doc = include_str!(concat!(env!(\"OUT_DIR\"), \"/smtp_states.svg\"))]\n")
    );
}

const HOSTILE: &str = "AutoGen Definitions fsm;\nstate = a, /* <b>&\"bold\"</b> \u{1} \u{fffe} */\n  b-c; event = go, stay;\n\
    transition = { tst = init; tev = go; next = a; }, { tst = a; tev = go; next = b-c; }, { tst = a; tev = stay; },\n\
    { tst = b-c; tev = go; next = done; };";

#[test]
fn a_hostile_comment_is_shown_as_it_is_and_breaks_no_picture() {
    let picture = svg(&definition(HOSTILE), &Marks::default()).unwrap();
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<_> = tree.descendants().filter_map(|node| node.text()).collect();
    assert!(texts.iter().any(|text| text.contains("<b>&\"bold\"</b>")), "{texts:?}");
    assert!(mermaid(&definition(HOSTILE), &Marks::default()).contains("    state \"b-c\" as s2\n"));
    assert!(mermaid(&definition(HOSTILE), &Marks::default()).contains("    s1 --> s1 : stay\n"));
}

#[test]
fn graphviz_reads_the_graph() {
    let required = std::env::var_os("POSTMAN_REQUIRE_TOOLS").is_some();
    if Command::new("dot").arg("-V").output().is_err() {
        assert!(!required, "dot is missing");
        eprintln!("SKIPPED: Graphviz is not installed, so nothing read the graph");
        return;
    }
    for source in [crate::peer::PAGE, HOSTILE] {
        let mut child = Command::new("dot")
            .arg("-Tplain")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let graph = dot(&definition(source), &Marks::default());
        child.stdin.take().unwrap().write_all(graph.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{graph}");
        let edges = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("edge"))
            .count();
        assert_eq!(edges, graph.matches(" -> ").count());
    }
}

/// A rectangle: left, top, right, bottom.
type Box4 = [f64; 4];

fn apart(one: &Box4, other: &Box4) -> bool {
    one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the machine: the picture is XML, the same twice, each state is a card with its
    /// name, no card and no label lies on another, and nothing leaves the page.
    #[test]
    fn nothing_lies_on_anything_in_any_picture(
        states in 0..14_usize,
        rows in prop::collection::vec((0..15_usize, 0..5_usize, 0..16_usize), 0..60),
    ) {
        let mut names = vec!["init".to_owned()];
        names.extend((0..states).map(|state| format!("state_{state}")));
        let mut source = String::from("AutoGen Definitions fsm;\nevent = alpha, b, gamma_ray, d, e;\n");
        if states > 0 {
            source += &format!("state = {};\n", names[1..].join(", "));
        }
        let (mut known, mut ends) = (std::collections::BTreeSet::new(), false);
        for (state, event, next) in rows {
            let (state, next) = (state % names.len(), next % (names.len() + 1));
            if known.insert((state, event)) {
                ends |= next == names.len();
                let next = names.get(next).map_or("done", String::as_str);
                let event = ["alpha", "b", "gamma_ray", "d", "e"][event];
                source += &format!("transition = {{ tst = {}; tev = {event}; next = {next}; }};\n", names[state]);
            }
        }
        // A rule that any conversation breaks, if there is one: its run is drawn apart.
        source += "never = { says = 'anything'; path = '.+'; };\nalways = { says = 'all'; after = '. .'; accepts = d; };\n";
        let compiled = compile(&source, None);
        let definition = compiled.definition.as_ref().or(compiled.refused.as_ref()).unwrap();
        let marks = Marks::of(definition, &compiled.diagnostics);
        let picture = svg(definition, &marks).unwrap();
        prop_assert!(svg(definition, &marks).is_some_and(|again| again == picture));
        prop_assert_eq!(picture.contains("fsm-mark"), compiled.refused.is_some());
        let tree = roxmltree::Document::parse(&picture).unwrap();
        let number = |node: &roxmltree::Node<'_, '_>, key: &str| node.attribute(key).unwrap().parse::<f64>().unwrap();
        let page = [0.0, 0.0, number(&tree.root_element(), "width"), number(&tree.root_element(), "height")];
        let mut boxes: Vec<Box4> = Vec::new();
        for node in tree.descendants() {
            let class = node.attribute("class").unwrap_or_default();
            if class == "fsm-card" {
                let (x, y) = (number(&node, "x"), number(&node, "y"));
                boxes.push([x, y, x + number(&node, "width"), y + number(&node, "height")]);
            } else if class.contains("fsm-event") {
                let (x, y) = (number(&node, "x"), number(&node, "y"));
                let half = 11.5 * 0.602 * f64::from(u32::try_from(text_of(node).len()).unwrap()) / 2.0;
                boxes.push([x - half, y - 11.0, x + half, y + 3.0]);
            }
        }
        prop_assert_eq!(tree.descendants().filter(|node| node.attribute("class") == Some("fsm-card")).count(), names.len() + usize::from(ends));
        for (index, one) in boxes.iter().enumerate() {
            prop_assert!(one[0] >= page[0] && one[1] >= page[1] && one[2] <= page[2] && one[3] <= page[3]);
            for other in &boxes[index + 1..] {
                prop_assert!(apart(one, other), "{one:?} {other:?}\n{picture}");
            }
        }
        // A missing row that a rule wants is named, too.
        let drawn = named(&tree);
        let missing = |name: &String| definition.events.iter().any(|event| name.ends_with(&format!(" {}", event.name)));
        let extra: Vec<_> = drawn.iter().filter(|name| !with_rows(definition).contains(name)).collect();
        prop_assert!(extra.iter().all(|name| missing(name) && compiled.refused.is_some()));
        prop_assert_eq!(drawn.len() - extra.len(), with_rows(definition).len());
        for name in names {
            prop_assert!(tree.descendants().any(|node| node.text() == Some(name.as_str())));
        }
    }
}
