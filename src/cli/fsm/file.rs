//! A definition's text, from a file that may be anything.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::autofsm::{SOURCE_BYTES_MAX, place};

/// Reads a definition's text.
///
/// Otherwise one line that names the file: why it cannot be read, that it is not text (UTF-8), or
/// that it is larger than [`SOURCE_BYTES_MAX`] octets. No more is read of a file without an end.
pub(in crate::cli) fn read(path: &Path) -> Result<String, String> {
    read_up_to(SOURCE_BYTES_MAX, path)
}

/// The same of another text, of at most so many octets.
pub(super) fn read_up_to(bytes_max: usize, path: &Path) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut octets = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut octets).map_err(|error| failed(&error))?;
    if octets.len() > bytes_max {
        return Err(failed(&format!("larger than {} MiB", bytes_max >> 20)));
    }
    String::from_utf8(octets).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text =
            String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        let (line, column) = place(&text, text.len());
        failed(&format!("not valid UTF-8 at {line}:{column}"))
    })
}
