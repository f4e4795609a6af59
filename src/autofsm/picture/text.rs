//! Text in pictures: how wide it is, where it breaks, and how each format escapes it.

use std::fmt::Write as _;
use std::ops::Range;

/// How wide a character of a fixed-width font is, as a part of its size: Menlo, `DejaVu` Sans Mono,
/// SF Mono and Liberation Mono differ by less than one in a hundred.
const FIXED: f64 = 0.602;
/// The same for a proportional font, on average and a little more.
const PROPORTIONAL: f64 = 0.54;

/// How many columns a text takes: East Asian characters take two.
pub(super) fn columns(text: &str) -> usize {
    text.chars()
        .map(|char| {
            if matches!(u32::from(char), 0x1100..=0x115f | 0x2e80..=0xffdc | 0x1f300..) {
                2
            } else {
                1
            }
        })
        .sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts in a picture are far below 2^52")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

pub(super) fn fixed_width(text: &str, size: f64) -> f64 {
    float(columns(text)) * FIXED * size
}

pub(super) fn proportional_width(text: &str, size: f64) -> f64 {
    float(columns(text)) * PROPORTIONAL * size
}

/// Words into lines of at most this many columns; a longer word has a line of its own. Each line is
/// told by the numbers of its words.
pub(super) fn broken(words: &[impl AsRef<str>], columns_max: usize) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let mut used = 0;
    for (number, word) in words.iter().enumerate() {
        let width = columns(word.as_ref());
        match lines.last_mut() {
            Some(line) if used + 1 + width <= columns_max => {
                line.end = number + 1;
                used += 1 + width;
            }
            _ => {
                lines.push(number..number + 1);
                used = width;
            }
        }
    }
    lines
}

/// The same, each line as text.
pub(super) fn wrap<'t>(text: &'t str, columns_max: usize) -> Vec<String> {
    let words: Vec<&'t str> = text.split_whitespace().collect();
    let line = |line: Range<usize>| words.get(line).unwrap_or_default().join(" ");
    broken(&words, columns_max).into_iter().map(line).collect()
}

/// The width at which a list of words becomes a block that is about four times as wide as high
/// in characters, which looks like a label and neither like a column nor like a ribbon.
pub(super) fn label_columns(words: &[String]) -> usize {
    let total: usize = words.iter().map(|word| columns(word) + 1).sum();
    let mut width = 14;
    while width * (width / 7) < total {
        width += 1;
    }
    width
}

/// Text for XML: escaped, and without the characters that XML cannot have.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(char),
        }
    }
    out
}

/// A string as JSON and Graphviz read it.
pub(in crate::autofsm) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out + "\""
}
