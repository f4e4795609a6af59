//! Hostile names into path components, in one place.

use std::fmt::Write as _;

use crate::smtp::path::{Domain, LocalPart};

/// The longest component that file systems take, in octets.
const COMPONENT_BYTES_MAX: usize = 255;

/// The folder of a mailbox. Local parts of the own domain compare without case.
pub(super) fn mailbox(local: &LocalPart) -> Option<String> {
    component(&local.folded())
}

/// The folder of a destination domain.
pub(super) fn domain(domain: &Domain) -> Option<String> {
    component(&domain.folded())
}

/// Maps each name to exactly one component, and no two names to the same: never empty, `.`,
/// `..`, hidden, with a slash or a blank; none where it would be longer than a component can be.
fn component(name: &str) -> Option<String> {
    let mut component = String::with_capacity(name.len());
    for (place, octet) in name.bytes().enumerate() {
        let plain = matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'+' | b'=' | b'@' | b'[' | b']' | b':')
            || (matches!(octet, b'.' | b'-') && place > 0);
        if plain {
            component.push(char::from(octet));
        } else {
            let _ = write!(component, "%{octet:02x}");
        }
    }
    (!component.is_empty() && component.len() <= COMPONENT_BYTES_MAX).then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_harmless_components() {
        for (name, expected) in [
            ("user", "user"),
            ("..", "%2e."),
            (".", "%2e"),
            ("../x", "%2e.%2fx"),
            ("a/b", "a%2fb"),
            (".other_servers", "%2eother_servers"),
            ("tmp", "tmp"),
            ("a%2fb", "a%252fb"),
            ("-rf", "%2drf"),
            ("a b", "a%20b"),
            ("a\\b", "a%5cb"),
            ("a.b-c", "a.b-c"),
            ("other.server", "other.server"),
            ("[192.0.2.1]", "[192.0.2.1]"),
        ] {
            assert_eq!(component(name).as_deref(), Some(expected));
        }
        assert_eq!(component(""), None);
        assert_eq!(component(&"/".repeat(300)), None);
        // The longest local part that the grammar takes fits, whatever is in it.
        assert!(component(&"/".repeat(64)).is_some());
    }
}
