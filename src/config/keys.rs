//! Every key of the configuration, once: its words, type, default, and what is allowed.
//!
//! The struct, its default, the reading and its messages, the sample that `postman config` prints
//! and the table in docs/configuration.md all come from here; see `key.rs`. A first sentence says what the key
//! is, and the rest what follows from it.

use std::net::IpAddr;
use std::path::PathBuf;

use super::groups::{Group, List, Members, Pair};
use super::key::keys;
use super::kind::{Account, Flag, UNBOUNDED, Words};
use super::kind::{address, domain, number, octets, parsed, path, seconds};
use super::listeners::{Certificate, Listener};
use super::network::Network;
use super::values::{
    BareNewline, Level, MailboxFormat, NETWORKS, Uncapped, UncappedFrom, UserList, Users, Verify,
};
use super::web::Web;
use crate::maildir::Naming;
use crate::smtp::path::{Domain, Syntax};
use crate::smtp::session::Limits;

/// The longest time that a key may set, in seconds: a day.
const DAY: i128 = 86_400;

keys! {
    /// The logs.
    pub struct Log {
        /// The least severe lines that standard error gets.
        console_level: Level = Level(log::LevelFilter::Info),
            parsed("\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"");
        /// Log files, each with its level: `[("/var/log/postman/log", "info")]`. They are opened
        /// again on SIGHUP, so each needs a folder that the server may write to.
        files: Vec<(PathBuf, Level)> = Vec::new(), List {
            of: Pair(path(), parsed("\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"")),
            allowed: "a list of paths and levels, such as [(\"/var/log/postman/log\", \"info\")]",
        };
    }
}

keys! {
    /// The whole configuration.
    pub struct Config {
        /// The address to listen on. `"::"` is every address of the machine.
        host: IpAddr = IpAddr::from([127, 0, 0, 1]), address();
        /// The port to listen on. 0 lets the system choose a free one.
        port: u16 = 2525, number(0..=65_535);
        /// The places to listen, if one is not enough: [each with its kind of line and its
        /// definition](docs/running.md#several-listeners). `host` and `port` are the short form of a
        /// list of one.
        listeners: Vec<Listener> = Vec::new(), List {
            of: Members(&["address"]),
            allowed: "a list of listeners, such as [(address: \"[::]:25\"), (address: \"[::]:465\", tls: FirstOctet)]",
        };
        /// The certificates for TLS, each in two files, PEM; [they are read again when they
        /// change](docs/running.md#encryption). A client that asks for no name, or for an unknown
        /// one, gets the first.
        certificates: Vec<Certificate> = Vec::new(), List {
            of: Members(&["chain", "key"]),
            allowed: "a list of certificates, such as [(chain: \"/etc/postman/chain.pem\", key: \"/etc/postman/key.pem\")]",
        };
        /// The most TLS handshakes at once; STARTTLS gets 454 above, and a listener that is
        /// encrypted from the first octet closes.
        handshakes_max: usize = 500, number(1..=UNBOUNDED);
        /// The local domain. Its mail goes to mailboxes, other mail to the queue.
        domain: Domain = Domain::Name("postman.local".to_owned()), domain();
        /// The folder of the mailboxes and of the queue.
        maildir_path: PathBuf = PathBuf::from("./maildir"), path();
        /// The most threads that serve clients. Never more than half of the processors are used.
        worker_threads: usize = 4, number(1..=1024);
        /// How long a client may stay silent, in seconds; then 421 and close.
        timer: u64 = 300, seconds(1..=DAY);
        /// How long one command line may take, in seconds, however slowly it is sent; then 421 and
        /// close.
        command_seconds_max: u64 = 300, seconds(1..=DAY);
        /// How long a message's content may pause, in seconds; then 421 and close.
        data_block_seconds_max: u64 = 180, seconds(1..=DAY);
        /// How long a whole message may take, in seconds; then 421 and close.
        message_seconds_max: u64 = 3600, seconds(1..=DAY);
        /// How long each wait may take, in seconds, above three quarters of `connections_max`. A
        /// message may take ten times as long.
        pressure_seconds_max: u64 = 30, seconds(1..=DAY);
        /// The process's scheduling priority, from -20 (first) to 19 (last). Below 0 needs root.
        nice: i32 = 0, number(-20..=19);
        /// The user that a server started as root becomes, for good, after it has bound its port.
        /// Root without a user serves on loopback only.
        user: Option<String> = None, Account;
        /// The group that it becomes. `None` is the user's own.
        group: Option<String> = None, Account;
        /// Whether the server locks itself in (Landlock), if the system can.
        sandbox: bool = true, Flag;
        /// The logs.
        log: Log = Log::default(), Group;
        /// [The page and the metrics](docs/watching.md).
        web: Web = Web::default(), Group;
        /// The users who receive mail. `Any`: a mailbox is made on first use. `Listed(["alice",
        /// "bob"])`: other names get 550. Letters of either case are the same, and postmaster is
        /// always one.
        users: Users = Users::Any, UserList;
        /// The mailboxes. `ByUser`: one for each user of `domain`, such as `alice`; mail for other
        /// domains goes to the queue. `ByAddress`, for a test server: one for each address of any
        /// domain, such as `alice@example.com`. Then nothing goes to the queue, and `relay_from`
        /// does not count.
        mailboxes: Naming = Naming::ByUser,
            Words(&[("ByUser", Naming::ByUser), ("ByAddress", Naming::ByAddress)]);
        /// The clients that may send mail for other domains, by network. An empty list is nobody.
        relay_from: Vec<Network> = vec![
            Network::new(IpAddr::from([127, 0, 0, 0]), 8),
            Network::new(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]), 128),
        ], NETWORKS;
        /// The clients that are not served, by network: 554 instead of a greeting.
        refuse_from: Vec<Network> = Vec::new(), NETWORKS;
        /// The form of files in mailboxes. `Message`: what mail readers show. `Envelope`: the
        /// queue's form. `Content`, for a test: the message as it is received, octet by octet, and
        /// no field of ours.
        mailbox_format: MailboxFormat = MailboxFormat::Message, Words(&[
            ("Message", MailboxFormat::Message),
            ("Envelope", MailboxFormat::Envelope),
            ("Content", MailboxFormat::Content),
        ]);
        /// The syntax of commands. `Lenient`: also [what clumsy clients
        /// send](docs/running.md#clumsy-clients), such as any word in HELO, blanks around the colon
        /// of MAIL and RCPT, paths without brackets and underscores in domains. `Strict`, for a
        /// test server: RFC 5321 to the letter.
        syntax: Syntax = Syntax::Lenient, Words(&[("Lenient", Syntax::Lenient), ("Strict", Syntax::Strict)]);
        /// A bare CR or LF in a message. `Refuse`: 550. `Keep`: [each octet stays as it is
        /// received](docs/running.md#a-bare-cr-or-lf), lines in mailboxes end in CR LF, and a dot
        /// after a bare LF stays, doubled or not.
        bare_newline: BareNewline = BareNewline::Refuse,
            Words(&[("Refuse", BareNewline::Refuse), ("Keep", BareNewline::Keep)]);
        /// The answer to VRFY. `Vague`: 252. `Honest`: 250 or 550.
        vrfy: Verify = Verify::Vague, Words(&[("Vague", Verify::Vague), ("Honest", Verify::Honest)]);
        limits: Limits {
            /// The longest command line with its CR LF, in octets; 500 above.
            line_bytes_max: usize = 2048, octets(512..=1 << 20).by("RFC 5321 4.5.3.1.4");
            /// The longest header block of a message, in octets; 552 above.
            header_bytes_max: u64 = 256 << 10, octets(4096..=UNBOUNDED);
            /// The longest message, in octets; 552 above.
            message_bytes_max: u64 = 50 << 20, octets(65_536..=UNBOUNDED).by("RFC 5321 4.5.3.1.7");
            /// The most recipients of one message; 452 above.
            recipients_max: usize = 1000, number(100..=UNBOUNDED).by("RFC 5321 4.5.3.1.8");
            /// The most recipients of one session; 452 above. It is not less than `recipients_max`.
            recipients_per_session_max: usize = 10_000, number(100..=UNBOUNDED);
            /// The most command lines of one session; 421 above.
            commands_max: usize = 100_000, number(100..=UNBOUNDED);
            /// The most refused commands in a row; 421 after them.
            errors_max: usize = 20, number(1..=UNBOUNDED);
            /// The most Received: fields of a message. One with more is taken for a loop: 554.
            received_max: usize = 100, number(100..=UNBOUNDED).by("RFC 5321 6.3");
        }
        /// The most clients at once; 421 above.
        connections_max: usize = 1000, number(1..=UNBOUNDED);
        /// The most clients at once from one address; 421 above.
        connections_per_address_max: usize = 50, number(1..=UNBOUNDED);
        /// The most clients at once from one IPv6 network of 64 bits; 421 above.
        connections_per_network_max: usize = 100, number(1..=UNBOUNDED);
        /// The most new clients a second from one IPv4 address or one IPv6 network of 64 bits; 421
        /// above.
        connects_per_second_max: usize = 20, number(1..=UNBOUNDED);
        /// The clients that are exempt from the limits per address, network and second.
        /// `RelayFrom`: those that may relay. `Networks(["192.0.2.0/24"])`: those of these
        /// networks.
        uncapped_from: UncappedFrom = UncappedFrom::RelayFrom, Uncapped;
        /// The most clients that wait in the system until they are accepted. The system's own limit
        /// may be lower.
        backlog: i32 = 4096, number(1..=65_535);
        /// How much of an incoming message is kept in memory, in octets; the rest goes to disk.
        memory_bytes_max: usize = 64 << 10, octets(0..=UNBOUNDED);
        /// The most threads for file work.
        store_threads: usize = 64, number(1..=1024);
        /// The most messages that wait for the disk; MAIL gets 452 above.
        commits_waiting_max: usize = 4096, number(1..=UNBOUNDED);
        /// The least free space on disk, in octets; MAIL gets 452 below.
        free_bytes_min: u64 = 16 << 20, octets(0..=UNBOUNDED);
        /// How long stopping may take, in seconds.
        stop_seconds_max: u64 = 10, seconds(1..=3600);
    }
}
