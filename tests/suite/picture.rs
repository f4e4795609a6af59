//! Pictures of definitions.

use std::io::Write as _;
use std::process::{Command, Stdio};

use postman::autofsm::{Definition, Marks, compile, dot, mermaid, svg};
use proptest::prelude::*;

fn definition(source: &str) -> Definition {
    compile(source, None).definition.unwrap()
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
                let half = 11.5 * 0.602 * f64::from(u32::try_from(node.text().unwrap().len()).unwrap()) / 2.0;
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
        for name in names {
            prop_assert!(tree.descendants().any(|node| node.text() == Some(name.as_str())));
        }
    }
}
