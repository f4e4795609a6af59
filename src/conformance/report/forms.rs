//! A report as text for people, and as JSON, `JUnit`'s XML and TAP for tools.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Finding, Report, Verdict};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One object.
    Json,
    /// `JUnit`'s XML: a suite a state, a case a cell.
    Junit,
    /// The Test Anything Protocol, version 13: a test a cell.
    Tap,
}

/// A cell, for JSON.
#[derive(Serialize)]
struct Cell<'a> {
    state: &'a str,
    event: &'a str,
    verdict: &'static str,
    says: Option<&'a str>,
    deviation: Option<&'a str>,
    dialogue: Option<&'a str>,
    transcripts: Option<&'a [Vec<String>; 2]>,
}

/// A report, for JSON.
#[derive(Serialize)]
struct Whole<'a> {
    about: &'a str,
    sessions: usize,
    commands: usize,
    mails: usize,
    inconclusive: Option<String>,
    stale: Vec<&'a str>,
    cells: Vec<Cell<'a>>,
}

/// A cell with its names.
struct Row<'r> {
    state: &'r str,
    event: &'r str,
    verdict: &'r Verdict,
    finding: Option<&'r Finding>,
}

impl Verdict {
    /// In one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Known(_) => "known",
            Self::Random(_) => "not deterministic",
            Self::Inconclusive(_) => "inconclusive",
            Self::Unreached => "not reached",
            Self::Skipped => "skipped",
        }
    }

    /// In a table.
    fn mark(&self) -> &'static str {
        match self {
            Self::Pass => "ok",
            Self::Fail(_) => "FAIL",
            Self::Known(_) => "known",
            Self::Random(_) => "random",
            Self::Inconclusive(_) | Self::Unreached => "?",
            Self::Skipped => "-",
        }
    }

    fn finding(&self) -> Option<usize> {
        match self {
            Self::Fail(number) | Self::Known(number) | Self::Random(number) => Some(*number),
            _ => None,
        }
    }
}

impl Report {
    /// Writes it; `about` says what was compared, in a line.
    #[must_use]
    pub fn written(&self, form: Form, about: &str) -> String {
        match form {
            Form::Text => self.text(about),
            Form::Json => self.json(about),
            Form::Junit => self.junit(about),
            Form::Tap => self.tap(about),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.cells.iter().map(|((state, event), verdict)| Row {
            state: self
                .states
                .iter()
                .find(|(known, _)| known == state)
                .map_or("", |(_, name)| name),
            event: self.symbols.get(*event).map_or("", String::as_str),
            verdict,
            finding: verdict.finding().and_then(|number| self.findings.get(number)),
        })
    }

    fn table(&self) -> String {
        let names = self.symbols.iter().map(String::len);
        let first = names.max().unwrap_or(0);
        let mut text = " ".repeat(first);
        for (_, state) in &self.states {
            let _ = write!(text, "  {state:<6}");
        }
        text.truncate(text.trim_end().len());
        for (symbol, name) in self.symbols.iter().enumerate() {
            let _ = write!(text, "\n{name:<first$}");
            for (state, shown) in &self.states {
                let mark = self.cells.get(&(*state, symbol)).map_or("", Verdict::mark);
                let _ = write!(text, "  {mark:<width$}", width = shown.len().max(6));
            }
            text.truncate(text.trim_end().len());
        }
        text + "\n"
    }

    fn text(&self, about: &str) -> String {
        let mut text = format!("{about}\n\n{}", self.table());
        for row in self.rows() {
            if let Verdict::Inconclusive(why) = row.verdict
                && self.lost.is_none()
            {
                let _ = write!(text, "\n{} {}: inconclusive: {why}\n", row.state, row.event);
            }
            let Some(finding) = row.finding else { continue };
            let known = if matches!(row.verdict, Verdict::Known(_)) { "known: " } else { "" };
            let _ = write!(text, "\n{} {}: {known}{}\n", row.state, row.event, finding.says);
            match &finding.transcripts {
                Some(both) => {
                    for (number, lines) in both.iter().enumerate() {
                        let _ = writeln!(text, "   session {}", number + 1);
                        for line in lines {
                            let _ = writeln!(text, "      {line}");
                        }
                    }
                }
                None => {
                    for line in finding.dialogue.lines().skip(1) {
                        let _ = writeln!(text, "   {line}");
                    }
                }
            }
        }
        for (line, entry) in &self.stale {
            let _ =
                write!(text, "\nline {line} of the known deviations no longer holds: {entry}\n");
        }
        let _ = write!(text, "\n{}\n", self.sums());
        text
    }

    /// The sums, in a line.
    #[must_use]
    pub fn sums(&self) -> String {
        let of = |word: &str| self.count(|verdict| verdict.word() == word);
        let mut parts = vec![format!("{} pass", of("pass"))];
        for word in ["fail", "known", "not deterministic", "inconclusive", "not reached", "skipped"]
        {
            if of(word) > 0 {
                parts.push(format!("{} {word}", of(word)));
            }
        }
        format!(
            "{} cells: {}; {} sessions, {} commands, {} messages accepted",
            self.cells.len(),
            parts.join(", "),
            self.sessions,
            self.commands,
            self.mails
        )
    }

    fn json(&self, about: &str) -> String {
        let cells = self.rows().map(|row| Cell {
            state: row.state,
            event: row.event,
            verdict: row.verdict.word(),
            says: match (row.verdict, row.finding) {
                (Verdict::Inconclusive(why), _) => Some(why),
                (_, finding) => finding.map(|finding| finding.says.as_str()),
            },
            deviation: row.finding.map(|finding| finding.word.as_str()),
            dialogue: row.finding.map(|finding| finding.dialogue.as_str()),
            transcripts: row.finding.and_then(|finding| finding.transcripts.as_ref()),
        });
        let whole = Whole {
            about,
            sessions: self.sessions,
            commands: self.commands,
            mails: self.mails,
            inconclusive: self.doubt(),
            stale: self.stale.iter().map(|(_, entry)| entry.as_str()).collect(),
            cells: cells.collect(),
        };
        // Text, numbers and lists always have a form in JSON.
        serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
    }

    fn junit(&self, about: &str) -> String {
        let count = |rows: &[Row<'_>], is: fn(&Verdict) -> bool| {
            rows.iter().filter(|row| is(row.verdict)).count()
        };
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        let _ = writeln!(text, "<testsuites name=\"{}\">", escaped(about));
        for (_, state) in &self.states {
            let rows: Vec<_> = self.rows().filter(|row| row.state == state).collect();
            let _ = writeln!(
                text,
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
                escaped(state),
                rows.len(),
                count(&rows, |is| matches!(is, Verdict::Fail(_) | Verdict::Random(_))),
                count(&rows, |is| matches!(is, Verdict::Inconclusive(_))),
                count(&rows, |is| {
                    matches!(is, Verdict::Unreached | Verdict::Skipped | Verdict::Known(_))
                }),
            );
            for row in &rows {
                text += &case(row);
            }
            text += "  </testsuite>\n";
        }
        if !self.stale.is_empty() {
            let all = self.stale.len();
            let _ = writeln!(
                text,
                "  <testsuite name=\"known deviations\" tests=\"{all}\" failures=\"{all}\" errors=\"0\" skipped=\"0\">"
            );
            for (line, entry) in &self.stale {
                let _ = writeln!(
                    text,
                    "    <testcase classname=\"known deviations\" name=\"line {line}\"><failure message=\"{} no longer holds\"/></testcase>",
                    escaped(entry)
                );
            }
            text += "  </testsuite>\n";
        }
        text + "</testsuites>\n"
    }

    fn tap(&self, about: &str) -> String {
        let all = self.cells.len() + self.stale.len();
        let mut text = format!("TAP version 13\n1..{all}\n# {about}\n");
        for (row, number) in self.rows().zip(1..) {
            let name = format!("{number} - {} {}", row.state, row.event);
            let line = match row.verdict {
                Verdict::Pass => format!("ok {name}"),
                Verdict::Unreached | Verdict::Skipped => {
                    format!("ok {name} # SKIP {}", row.verdict.word())
                }
                Verdict::Known(_) => format!("not ok {name} # TODO known deviation"),
                Verdict::Inconclusive(why) => format!("not ok {name}\n# inconclusive: {why}"),
                Verdict::Fail(_) | Verdict::Random(_) => format!("not ok {name}"),
            };
            let _ = writeln!(text, "{line}");
            if let Some(finding) = row.finding {
                for line in finding.dialogue.lines() {
                    let _ = writeln!(text, "#   {line}");
                }
            }
        }
        for ((line, entry), number) in self.stale.iter().zip(self.cells.len() + 1..) {
            let _ = writeln!(text, "not ok {number} - line {line}, {entry}, no longer holds");
        }
        let _ = writeln!(text, "# {}", self.sums());
        text
    }
}

/// A cell as `JUnit` has it.
fn case(row: &Row<'_>) -> String {
    let begin = format!(
        "    <testcase classname=\"{}\" name=\"{}\"",
        escaped(row.state),
        escaped(row.event)
    );
    let says = row.finding.map_or("", |finding| &finding.says);
    let shown = row.finding.map_or("", |finding| &finding.dialogue);
    match row.verdict {
        Verdict::Pass => format!("{begin}/>\n"),
        Verdict::Fail(_) | Verdict::Random(_) => format!(
            "{begin}><failure message=\"{}\">{}</failure></testcase>\n",
            escaped(says),
            escaped(shown)
        ),
        Verdict::Inconclusive(why) => {
            format!("{begin}><error message=\"inconclusive: {}\"/></testcase>\n", escaped(why))
        }
        Verdict::Known(_) => {
            format!("{begin}><skipped message=\"known: {}\"/></testcase>\n", escaped(says))
        }
        other => format!("{begin}><skipped message=\"{}\"/></testcase>\n", other.word()),
    }
}

/// Text for XML; what XML cannot have is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(char),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            char => out.push(char),
        }
    }
    out
}
