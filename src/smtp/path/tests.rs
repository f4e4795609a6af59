use super::*;

#[test]
fn every_form_of_a_path_is_read() {
    for (path, shown) in [
        ("<a@x.org>", "a@x.org"),
        ("<@hop.one,@hop.two:joe@example.com>", "joe@example.com"),
        ("<\"a b\"@x.org>", "\"a b\"@x.org"),
        ("<\"joe\"@x.org>", "joe@x.org"),
        ("<\"a\\\"b\"@x.org>", "\"a\\\"b\"@x.org"),
        ("<\"a>b\"@x.org>", "\"a>b\"@x.org"),
        ("<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ("<a@[IPv6:2001:DB8:0:0:0:0:0:1]>", "a@[IPv6:2001:db8::1]"),
        ("<a@[IPv6:::ffff:192.0.2.1]>", "a@[IPv6:::ffff:192.0.2.1]"),
        ("<a@[x400:here]>", "a@[x400:here]"),
        // The grammar has the empty quoted string, and so have we; no user has this name.
        ("<\"\"@x.org>", "\"\"@x.org"),
        // Snum = 1*3DIGIT
        ("<a@[001.02.3.255]>", "a@[1.2.3.255]"),
        ("<a@[ipv6:::]>", "a@[IPv6:::]"),
        ("<a@[IPv6:1:2:3:4:5:6::]>", "a@[IPv6:1:2:3:4:5:6::]"),
        ("<a@[IPv6:1::2:3:4:5:6]>", "a@[IPv6:1::2:3:4:5:6]"),
        ("<a@[IPv6:1:2:3:4:5:6:192.0.2.1]>", "a@[IPv6:1:2:3:4:5:6:c000:201]"),
        ("<a@[IPv6:1:2::3:4:192.0.2.001]>", "a@[IPv6:1:2::3:4:c000:201]"),
    ] {
        for syntax in [Syntax::Lenient, Syntax::Strict] {
            let read = ReversePath::parse(path, syntax).map(|path| path.to_string());
            assert_eq!(read.as_deref(), Ok(shown), "{path}");
        }
    }
}

#[test]
fn a_lenient_reader_takes_what_clumsy_clients_send_and_a_strict_one_does_not() {
    for (path, shown) in [
        ("raid@example.org", "raid@example.org"),
        ("@hop.one:a@x.org", "a@x.org"),
        ("\"a b\"@x.org", "\"a b\"@x.org"),
        ("< a@x.org\t>", "a@x.org"),
        ("<app@my_app_1.my_net>", "app@my_app_1.my_net"),
        ("<a@_>", "a@_"),
        ("<a@_x.y_>", "a@_x.y_"),
        ("<@my_hop:a@x.org>", "a@x.org"),
    ] {
        let read = ReversePath::parse(path, Syntax::Lenient).map(|path| path.to_string());
        assert_eq!(read.as_deref(), Ok(shown), "{path}");
        assert_eq!(ReversePath::parse(path, Syntax::Strict), Err(PathError::Syntax), "{path}");
    }
    assert_eq!(ForwardPath::parse("postmaster", Syntax::Lenient), Ok(ForwardPath::Postmaster));
    assert_eq!(ForwardPath::parse("postmaster", Syntax::Strict), Err(PathError::Syntax));
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "",
        " ",
        "< >",
        "a@x.org>",
        "a b@x.org",
        "a@x.org b@x.org",
        "<a@x.org",
        "<a>",
        "<@x.org>",
        "<a@>",
        "<a..b@x.org>",
        "<.a@x.org>",
        "<a.@x.org>",
        "<a@-x.org>",
        "<a@x-.org>",
        "<a@x..org>",
        "<a@_x-.org>",
        "<a@-_x.org>",
        "<a@x.org.>",
        "<a b@x.org>",
        "<a@[300.1.1.1]>",
        "<a@[IPv6:1::2::3]>",
        "<a@b@c>",
        "<@-:a@x.org>",
        "<a@[0001.2.3.4]>",
        "<a@[1.2.3]>",
        "<a@[256.2.3.4]>",
        "<a@[IPv6:1:2:3:4:5:6:7::]>",
        "<a@[IPv6:::1:2:3:4:5:6:7]>",
        "<a@[IPv6:1:2:3:4:5:6:7]>",
        "<a@[IPv6:1:2:3:4:5:6:7:8:9]>",
        "<a@[IPv6:1:2:3::4:5:1.2.3.4]>",
        "<a@[IPv6:1:2:3:4:5::6:7:8]>",
        "<a@[IPv6:1:2:3:4:5:6::1.2.3.4]>",
        "<a@[IPv6:12345::]>",
        "<a@[IPv6:fe80::1%eth0]>",
        "<a@[IPv6]>",
        "<a@[x-:y]>",
        "<a@[x:y]z]>",
        "<a@[x:\\]>",
        "<a@[]>",
    ] {
        for syntax in [Syntax::Lenient, Syntax::Strict] {
            assert_eq!(ForwardPath::parse(path, syntax), Err(PathError::Syntax), "{path}");
            assert_eq!(ReversePath::parse(path, syntax), Err(PathError::Syntax), "{path}");
        }
    }
}

#[test]
fn the_sizes_of_the_rfc_are_minimums_and_the_limit_of_an_address_holds_exactly() {
    let path = |local: usize, domain: usize| {
        let (local, label) = ("a".repeat(local), "d".repeat(domain));
        // A source route is not part of the address.
        let long = format!("<@{}:{local}@{label}>", "r".repeat(1000));
        let read = ForwardPath::parse(&format!("<{local}@{label}>"), Syntax::Strict);
        assert_eq!(ForwardPath::parse(&long, Syntax::Strict), read);
        read.map(|_| ())
    };
    for (local, domain) in
        [(65, 10), (10, 256), (ADDRESS_BYTES_MAX - 2, 1), (1, ADDRESS_BYTES_MAX - 2)]
    {
        assert_eq!(path(local, domain), Ok(()));
    }
    for (local, domain) in [(ADDRESS_BYTES_MAX - 1, 1), (1, ADDRESS_BYTES_MAX - 1)] {
        assert_eq!(path(local, domain), Err(PathError::AddressTooLong));
    }
    assert!(Domain::parse_own(&"d".repeat(DOMAIN_BYTES_MAX)).is_ok());
    assert_eq!(
        Domain::parse_own(&"d".repeat(DOMAIN_BYTES_MAX + 1)),
        Err(PathError::AddressTooLong)
    );
}

#[test]
fn postmaster_needs_no_domain() {
    assert_eq!(ForwardPath::parse("<PostMaster>", Syntax::Strict), Ok(ForwardPath::Postmaster));
}
