//! What is logged of an exchange of what is served. All lines begin with `- swap`.

use ::log::{error, info, warn};

use crate::logging::escape;

/// A definition is served in another's place. The digests are SHA-256 of the texts.
pub fn definition(file: &str, was: &str, is: &str) {
    info!("- swap definition=\"{}\" was={was} is={is}", escape(file));
}

/// What a client can notice, or what a fault does, a line for each.
pub fn change(what: &str) {
    info!("- swap change=\"{}\"", escape(what));
}

/// So many faults of a file are served, and begin to count.
pub fn faults(file: &str, number: usize) {
    info!("- swap faults=\"{}\" number={number}", escape(file));
}

/// Faults were put while the server ran.
pub(in crate::server) fn faults_put(number: usize, kept: usize) {
    info!("- swap faults=put number={number}");
    done(kept);
}

/// The counts of all faults are at nought.
pub(in crate::server) fn faults_reset(kept: usize) {
    info!("- swap faults=reset");
    done(kept);
}

/// A key of the configuration has another value.
pub fn key(name: &str, was: &str, is: &str) {
    info!("- swap key={name} was=\"{}\" is=\"{}\"", escape(was), escape(is));
}

/// A key has another value in the file, and the server goes on with the old one.
pub fn key_stays(name: &str) {
    warn!("- swap key={name} stays: it is another in the file, and changes with a restart only");
}

/// Something is doubtful with what was read.
pub fn doubt(line: &str) {
    warn!("- swap doubt=\"{}\"", escape(line));
}

/// A line of what is wrong with what was read.
pub fn refused(line: &str) {
    error!("- swap refused=\"{}\"", escape(line));
}

/// Nothing was taken.
pub fn nothing_taken() {
    error!("- swap failed: all is served as before");
}

/// What was read is what is served.
pub fn nothing_new() {
    info!("- swap unchanged");
}

/// New sessions have what is new, and so many go on with the old.
pub fn done(kept: usize) {
    info!("- swap done sessions_with_the_old={kept}");
}
