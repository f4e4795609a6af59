//! Hostile names into path components, in one place.

use std::fmt::Write as _;

use crate::smtp::path::{Domain, Mailbox};

/// The longest component that file systems take, in octets.
const COMPONENT_BYTES_MAX: usize = 255;

/// How mailboxes are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// By the part before the `@`: all mailboxes are of one domain.
    #[default]
    ByUser,
    /// By the whole address.
    ByAddress,
}

/// The folder of a mailbox. Names compare without case, in local parts too.
pub(super) fn mailbox(mailbox: &Mailbox, naming: Naming) -> Option<String> {
    let local = mailbox.local.folded();
    match naming {
        Naming::ByUser => component(&local),
        // No domain has an `@`, so that the last one of a name tells the two apart.
        Naming::ByAddress => component(&format!("{local}@{}", mailbox.domain.folded())),
    }
}

/// Whether a mailbox can have this name. A file system names it, so it has a bound, which the
/// sender is told before it has sent the message.
#[must_use]
pub fn takes_name(of: &Mailbox, naming: Naming) -> bool {
    mailbox(of, naming).is_some()
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
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::smtp::path::{
        ADDRESS_BYTES_MAX, DOMAIN_BYTES_MAX, ForwardPath, LocalPart, PathError, Syntax,
    };

    fn read(address: &str) -> Result<Mailbox, PathError> {
        match ForwardPath::parse(&format!("<{address}>"), Syntax::Lenient)? {
            ForwardPath::Mailbox(mailbox) => Ok(mailbox),
            ForwardPath::Postmaster => Ok(Mailbox {
                local: LocalPart::postmaster(),
                domain: Domain::parse_own("postman.local")?,
            }),
        }
    }

    fn by_user(address: &Mailbox) -> Option<String> {
        mailbox(address, Naming::ByUser)
    }

    /// What becomes of a mailbox's hostile name: a folder, or no address at all.
    const MAILBOXES: &[(&str, Result<&str, PathError>)] = &[
        ("user", Ok("user")),
        ("USER", Ok("user")),
        ("\"user\"", Ok("user")),
        ("\"u\\s\\e\\r\"", Ok("user")),
        // Not dot-strings: they need quotes.
        ("..", Err(PathError::Syntax)),
        (".", Err(PathError::Syntax)),
        ("../x", Err(PathError::Syntax)),
        (".OTHER_SERVERS", Err(PathError::Syntax)),
        (".hidden", Err(PathError::Syntax)),
        ("trailing.", Err(PathError::Syntax)),
        ("a b", Err(PathError::Syntax)),
        ("a\0b", Err(PathError::Syntax)),
        ("\"a\0b\"", Err(PathError::Syntax)),
        ("\"a\\\0b\"", Err(PathError::Syntax)),
        ("\"a\nb\"", Err(PathError::Syntax)),
        ("\"a\tb\"", Err(PathError::Syntax)),
        ("a:b", Err(PathError::Syntax)),
        ("a\\b", Err(PathError::Syntax)),
        ("üser", Err(PathError::Syntax)),
        ("\"\u{202e}resu\"", Err(PathError::Syntax)),
        ("us\u{435}r", Err(PathError::Syntax)),
        // With quotes they are names like any other.
        ("\"..\"", Ok("%2e.")),
        ("\".\"", Ok("%2e")),
        ("\"../x\"", Ok("%2e.%2fx")),
        ("\"../../etc/passwd\"", Ok("%2e.%2f..%2fetc%2fpasswd")),
        ("\".OTHER_SERVERS\"", Ok("%2eother_servers")),
        ("\".owners\"", Ok("%2eowners")),
        ("\"trailing.\"", Ok("trailing.")),
        ("\"trailing \"", Ok("trailing%20")),
        ("\" \"", Ok("%20")),
        ("\"a:b\"", Ok("a:b")),
        ("\"a:2,S\"", Ok("a:2%2cs")),
        ("\"a\\\\b\"", Ok("a%5cb")),
        ("\"a\\\"b\"", Ok("a%22b")),
        ("\"a@b\"", Ok("a@b")),
        ("\"$(id)\"", Ok("%24%28id%29")),
        ("\"*\"", Ok("%2a")),
        ("a/b", Ok("a%2fb")),
        ("/", Ok("%2f")),
        ("/etc/passwd", Ok("%2fetc%2fpasswd")),
        ("-rf", Ok("%2drf")),
        ("--", Ok("%2d-")),
        ("~root", Ok("%7eroot")),
        ("%2e%2e", Ok("%252e%252e")),
        ("a%2fb", Ok("a%252fb")),
        ("%00", Ok("%2500")),
        ("%c0%ae", Ok("%25c0%25ae")),
        ("&AC8-", Ok("%26ac8-")),
        ("=2e", Ok("=2e")),
        ("tmp", Ok("tmp")),
        ("new", Ok("new")),
        ("cur", Ok("cur")),
        ("con", Ok("con")),
        ("user+tag", Ok("user+tag")),
        ("1608416175_274817136", Ok("1608416175_274817136")),
    ];

    #[test]
    fn each_hostile_mailbox_has_a_harmless_folder_or_is_no_address() {
        for (name, expected) in MAILBOXES {
            let found =
                read(&format!("{name}@postman.local")).map(|found| by_user(&found).unwrap());
            assert_eq!(found.as_deref(), expected.as_deref(), "{name:?}");
        }
        // The grammar has the empty name; no folder has.
        assert_eq!(by_user(&read("\"\"@postman.local").unwrap()), None);
        // The bound is what a file system can name, escapes included.
        for (name, fits) in [
            ("a".repeat(COMPONENT_BYTES_MAX), true),
            ("a".repeat(COMPONENT_BYTES_MAX + 1), false),
            (format!("\"{}\"", "/".repeat(COMPONENT_BYTES_MAX / 3)), true),
            (format!("\"{}a\"", "/".repeat(COMPONENT_BYTES_MAX / 3)), false),
            ("a".repeat(ADDRESS_BYTES_MAX - 2), false),
        ] {
            let found = read(&format!("{name}@x")).unwrap();
            assert_eq!(by_user(&found).is_some(), fits, "{name}");
            assert_eq!(takes_name(&found, Naming::ByUser), fits, "{name}");
        }
        assert_eq!(
            read(&format!("{}@x", "a".repeat(ADDRESS_BYTES_MAX - 1))),
            Err(PathError::AddressTooLong)
        );
    }

    /// What becomes of a domain's in the queue.
    const DOMAINS: &[(&str, Result<&str, PathError>)] = &[
        ("other.server", Ok("other.server")),
        ("OTHER.Server", Ok("other.server")),
        ("tmp", Ok("tmp")),
        ("new", Ok("new")),
        ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
        ("[192.0.2.1]", Ok("[192.0.2.1]")),
        ("[192.000.002.001]", Ok("[192.0.2.1]")),
        ("[IPv6:2001:DB8::1]", Ok("[ipv6:2001:db8::1]")),
        ("[IPv6:2001:db8:0:0:0:0:0:1]", Ok("[ipv6:2001:db8::1]")),
        ("[IPv6:::ffff:192.0.2.1]", Ok("[192.0.2.1]")),
        ("[tag:/../x]", Ok("[tag:%2f..%2fx]")),
        ("..", Err(PathError::Syntax)),
        (".", Err(PathError::Syntax)),
        ("../x", Err(PathError::Syntax)),
        (".hidden", Err(PathError::Syntax)),
        ("other.server.", Err(PathError::Syntax)),
        ("a/b", Err(PathError::Syntax)),
        ("-rf", Err(PathError::Syntax)),
        ("a%2fb", Err(PathError::Syntax)),
        ("a\0b", Err(PathError::Syntax)),
        ("b\u{fc}cher.example", Err(PathError::Syntax)),
        ("\u{43e}ther.server", Err(PathError::Syntax)),
        ("other server", Err(PathError::Syntax)),
        ("My_App_1.my_net", Ok("my_app_1.my_net")),
        ("_", Ok("_")),
        ("_.._", Err(PathError::Syntax)),
        ("[../x]", Err(PathError::Syntax)),
    ];

    #[test]
    fn each_hostile_domain_has_a_harmless_folder_or_is_no_address() {
        for (name, expected) in DOMAINS {
            let found = read(&format!("a@{name}")).map(|found| domain(&found.domain).unwrap());
            assert_eq!(found.as_deref(), expected.as_deref(), "{name:?}");
        }
        // The longest domain that the session takes for another server is a component too.
        for longest in ["d".repeat(DOMAIN_BYTES_MAX), "_".repeat(DOMAIN_BYTES_MAX)] {
            let longest = read(&format!("a@{longest}")).unwrap();
            assert_eq!(domain(&longest.domain).map(|folder| folder.len()), Some(DOMAIN_BYTES_MAX));
        }
    }

    /// All that a component must be.
    fn is_harmless(component: &str) -> bool {
        !component.is_empty()
            && component.len() <= COMPONENT_BYTES_MAX
            && !component.starts_with(['.', '-'])
            && component.bytes().all(|octet| {
                octet.is_ascii_graphic() && !matches!(octet, b'/' | b'\\' | b'A'..=b'Z')
            })
    }

    /// Back again: a name that can be read from its component shares it with no other.
    fn name_of(component: &str) -> String {
        let (mut name, mut rest) = (Vec::new(), component.bytes());
        while let Some(octet) = rest.next() {
            if octet == b'%' {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                name.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                name.push(octet);
            }
        }
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn no_two_names_of_up_to_three_octets_share_a_folder() {
        const SIGNS: &[u8] = b"aA%2eF./-_ :\\@+=~\"";
        let mut folders: HashMap<String, String> = HashMap::new();
        for number in 0..SIGNS.len().pow(3) * 3 {
            let (length, number) = (1 + number % 3, number / 3);
            let signs = (0..length).map(|place| {
                char::from(
                    SIGNS[number / SIGNS.len().pow(u32::try_from(place).unwrap()) % SIGNS.len()],
                )
            });
            let name = signs.collect::<String>().to_ascii_lowercase();
            let folder = component(&name).unwrap();
            assert!(is_harmless(&folder), "{name:?}: {folder:?}");
            let before = folders.entry(folder).or_insert_with(|| name.clone());
            assert_eq!(*before, name, "two names, one folder");
        }
        assert_eq!(
            folders.keys().collect::<HashSet<_>>().len(),
            folders.values().collect::<HashSet<_>>().len()
        );
    }

    #[test]
    fn a_mailbox_that_is_named_by_its_address_is_harmless_and_has_its_bound() {
        for (address, expected) in [
            ("Alice@Example.COM", Some("alice@example.com")),
            ("\"a@b\"@c.org", Some("a@b@c.org")),
            ("\"../x\"@c.org", Some("%2e.%2fx@c.org")),
            ("\"\"@c.org", Some("@c.org")),
            ("b@[IPv6:2001:DB8::1]", Some("b@[ipv6:2001:db8::1]")),
            (&format!("{}@x.org", "a".repeat(249)), Some(&format!("{}@x.org", "a".repeat(249)))),
            (&format!("{}@x.org", "a".repeat(250)), None),
        ] {
            let found = read(address).unwrap();
            let folder = mailbox(&found, Naming::ByAddress);
            assert_eq!(folder.as_deref(), expected, "{address}");
            assert_eq!(takes_name(&found, Naming::ByAddress), expected.is_some(), "{address}");
            assert!(folder.is_none_or(|folder| is_harmless(&folder)), "{address}");
        }
    }

    proptest! {
        /// Two mailboxes never share a folder, since each can be told from its folder's name;
        /// one never has two, however it is written.
        #[test]
        fn a_mailbox_and_its_folder_are_one_to_one(name in "[ -~]{1,62}", quoted in any::<u64>(), cased in any::<u64>()) {
            let mut written = String::from("\"");
            for (place, char) in name.chars().enumerate() {
                if matches!(char, '"' | '\\') || quoted >> (place % 64) & 1 == 1 {
                    written.push('\\');
                }
                let upper = cased >> (place % 64) & 1 == 1;
                written.push(if upper { char.to_ascii_uppercase() } else { char });
            }
            written.push('"');
            prop_assume!(written.len() <= 64);
            let found = read(&format!("{written}@postman.local")).unwrap();
            let folder = by_user(&found).unwrap();
            prop_assert!(is_harmless(&folder));
            prop_assert_eq!(name_of(&folder), name.to_ascii_lowercase());
            prop_assert_eq!(by_user(&found), component(&name.to_ascii_lowercase()));
            let by_address = mailbox(&found, Naming::ByAddress).unwrap();
            prop_assert_eq!(by_address, format!("{folder}@postman.local"));
        }
    }
}
