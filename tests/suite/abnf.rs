//! RFC 5321's grammar, in its own words, and a reader that knows ABNF and nothing of addresses.
//!
//! The rules are parsed from the RFC's text. From them [`Grammar::generate`] makes texts that
//! belong to a rule, and [`Grammar::accepts`] says of any text whether it does, by trying every
//! way to read it. Neither shares a line with the server's regular expressions.

use std::collections::{BTreeSet, HashMap};

use crate::rig::Random;

/// RFC 5321 4.1.1, 4.1.2, 4.1.3, with `atext` of RFC 5322 3.2.3 and the core rules of RFC 5234 B.1.
const RULES: &str = r##"
ehlo           = "EHLO" SP ( Domain / address-literal ) CRLF
helo           = "HELO" SP Domain CRLF
mail           = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
rcpt           = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF
data           = "DATA" CRLF
rset           = "RSET" CRLF
vrfy           = "VRFY" SP String CRLF
expn           = "EXPN" SP String CRLF
help           = "HELP" [ SP String ] CRLF
noop           = "NOOP" [ SP String ] CRLF
quit           = "QUIT" CRLF

Reverse-path   = Path / "<>"
Forward-path   = Path
Path           = "<" [ A-d-l ":" ] Mailbox ">"
A-d-l          = At-domain *( "," At-domain )
At-domain      = "@" Domain
Mail-parameters = esmtp-param *(SP esmtp-param)
Rcpt-parameters = esmtp-param *(SP esmtp-param)
esmtp-param    = esmtp-keyword ["=" esmtp-value]
esmtp-keyword  = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
esmtp-value    = 1*(%d33-60 / %d62-126)
Domain         = sub-domain *("." sub-domain)
sub-domain     = Let-dig [Ldh-str]
Let-dig        = ALPHA / DIGIT
Ldh-str        = *( ALPHA / DIGIT / "-" ) Let-dig
address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
Mailbox        = Local-part "@" ( Domain / address-literal )
Local-part     = Dot-string / Quoted-string
Dot-string     = Atom *("."  Atom)
Atom           = 1*atext
Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
QcontentSMTP   = qtextSMTP / quoted-pairSMTP
quoted-pairSMTP = %d92 %d32-126
qtextSMTP      = %d32-33 / %d35-91 / %d93-126
String         = Atom / Quoted-string

IPv4-address-literal = Snum 3("."  Snum)
IPv6-address-literal = "IPv6:" IPv6-addr
General-address-literal = Standardized-tag ":" 1*dcontent
Standardized-tag = Ldh-str
dcontent       = %d33-90 / %d94-126
Snum           = 1*3DIGIT
IPv6-addr      = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp
IPv6-hex       = 1*4HEXDIG
IPv6-full      = IPv6-hex 7(":" IPv6-hex)
IPv6-comp      = [IPv6-hex *5(":" IPv6-hex)] "::" [IPv6-hex *5(":" IPv6-hex)]
IPv6v4-full    = IPv6-hex 5(":" IPv6-hex) ":" IPv4-address-literal
IPv6v4-comp    = [IPv6-hex *3(":" IPv6-hex)] "::" [IPv6-hex *3(":" IPv6-hex) ":"] IPv4-address-literal

atext          = ALPHA / DIGIT / "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "/" / "=" / "?" / "^" / "_" / "`" / "{" / "|" / "}" / "~"
ALPHA          = %d65-90 / %d97-122
DIGIT          = %d48-57
HEXDIG         = DIGIT / "A" / "B" / "C" / "D" / "E" / "F"
DQUOTE         = %d34
SP             = %d32
CRLF           = %d13 %d10
"##;

/// What the RFC says of a rule in a comment behind it.
fn comment(rule: &str, text: &str) -> bool {
    let groups = |text: &str| {
        text.split(':').filter(|group| !group.is_empty() && !group.contains('.')).count()
    };
    match rule {
        // "representing a decimal integer value in the range 0 through 255"
        "Snum" => text.parse::<u16>().is_ok_and(|value| value <= 255),
        // "No more than 6 groups in addition to the '::' may be present."
        "IPv6-comp" => groups(text) <= 6,
        // "No more than 4 groups in addition to the '::' and IPv4-address-literal may be present."
        "IPv6v4-comp" => groups(text) <= 4,
        // The tag "IPv6" is registered for IPv6-address-literal, so what bears it is one or none.
        "General-address-literal" => !text.to_ascii_lowercase().starts_with("ipv6:"),
        _ => true,
    }
}

#[derive(Debug)]
enum Node {
    Either(Vec<Node>),
    Row(Vec<Node>),
    Times(usize, usize, Box<Node>),
    Range(u8, u8),
    /// In any case. RFC 5234 2.3.
    Text(String),
    Rule(String),
}

pub(crate) struct Grammar(HashMap<String, Node>);

/// Reads ABNF. The RFC's text is a constant: what it does not use is not read.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn eat(&mut self, sign: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> Option<usize> {
        let end = self.0.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        number.parse().ok()
    }

    fn either(&mut self) -> Node {
        let mut ways = vec![self.row()];
        while self.eat('/') {
            ways.push(self.row());
        }
        if ways.len() == 1 { ways.remove(0) } else { Node::Either(ways) }
    }

    fn row(&mut self) -> Node {
        let mut parts = Vec::new();
        while !matches!(self.0.trim_start().chars().next(), None | Some('/' | ')' | ']')) {
            parts.push(self.times());
        }
        if parts.len() == 1 { parts.remove(0) } else { Node::Row(parts) }
    }

    fn times(&mut self) -> Node {
        self.0 = self.0.trim_start();
        let least = self.number();
        let (least, most) = if self.eat('*') {
            (least.unwrap_or(0), self.number().unwrap_or(usize::MAX))
        } else {
            (least.unwrap_or(1), least.unwrap_or(1))
        };
        let one = self.one();
        if (least, most) == (1, 1) { one } else { Node::Times(least, most, Box::new(one)) }
    }

    fn one(&mut self) -> Node {
        if self.eat('(') {
            let inside = self.either();
            assert!(self.eat(')'));
            inside
        } else if self.eat('[') {
            let inside = self.either();
            assert!(self.eat(']'));
            Node::Times(0, 1, Box::new(inside))
        } else if self.eat('"') {
            let (text, rest) = self.0.split_once('"').unwrap();
            self.0 = rest;
            Node::Text(text.to_owned())
        } else if self.eat('%') {
            assert!(self.eat('d'));
            let from = self.number().unwrap();
            let to = if self.eat('-') { self.number().unwrap() } else { from };
            Node::Range(u8::try_from(from).unwrap(), u8::try_from(to).unwrap())
        } else {
            let end = self
                .0
                .find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '-'))
                .unwrap_or(self.0.len());
            let (name, rest) = self.0.split_at(end);
            assert!(!name.is_empty(), "no ABNF: {rest}");
            self.0 = rest;
            Node::Rule(name.to_owned())
        }
    }
}

type Known<'a> = HashMap<(&'a str, usize), BTreeSet<usize>>;

impl Grammar {
    pub(crate) fn new() -> Self {
        let rules = RULES.lines().filter_map(|line| line.split_once(" = "));
        let grammar = Self(
            rules.map(|(name, rule)| (name.trim().to_owned(), Reader(rule).either())).collect(),
        );
        assert_eq!(grammar.0.len(), RULES.lines().filter(|line| !line.is_empty()).count());
        grammar
    }

    /// A text of this rule.
    pub(crate) fn generate(&self, rule: &str, random: &mut Random) -> String {
        loop {
            let mut text = String::new();
            if self.write(&Node::Rule(rule.to_owned()), random, &mut text) {
                return text;
            }
        }
    }

    fn write(&self, node: &Node, random: &mut Random, text: &mut String) -> bool {
        match node {
            Node::Either(ways) => self.write(&ways[random.below(ways.len())], random, text),
            Node::Row(parts) => parts.iter().all(|part| self.write(part, random, text)),
            Node::Times(least, most, part) => {
                let more = most.saturating_sub(*least).min(5);
                (0..least + random.below(more + 1)).all(|_| self.write(part, random, text))
            }
            Node::Range(from, to) => {
                text.push(char::from(
                    from + u8::try_from(random.below(usize::from(to - from) + 1)).unwrap(),
                ));
                true
            }
            Node::Text(known) => {
                let upper = random.below(2) == 0;
                text.push_str(&if upper { known.clone() } else { known.to_ascii_lowercase() });
                true
            }
            Node::Rule(name) => {
                let begin = text.len();
                self.write(&self.0[name], random, text) && comment(name, &text[begin..])
            }
        }
    }

    /// Whether the whole text is of this rule.
    pub(crate) fn accepts(&self, rule: &str, text: &str) -> bool {
        self.rule_ends(rule, text, 0, &mut HashMap::new()).contains(&text.len())
    }

    fn rule_ends<'a>(
        &'a self,
        name: &'a str,
        text: &str,
        begin: usize,
        known: &mut Known<'a>,
    ) -> BTreeSet<usize> {
        if let Some(ends) = known.get(&(name, begin)) {
            return ends.clone();
        }
        let mut ends = self.ends(&self.0[name], text, begin, known);
        ends.retain(|end| comment(name, text.get(begin..*end).unwrap_or_default()));
        known.insert((name, begin), ends.clone());
        ends
    }

    /// All places where a text that begins here and is of this node can end.
    fn ends<'a>(
        &'a self,
        node: &'a Node,
        text: &str,
        begin: usize,
        known: &mut Known<'a>,
    ) -> BTreeSet<usize> {
        let rest = &text.as_bytes()[begin..];
        match node {
            Node::Either(ways) => {
                ways.iter().flat_map(|way| self.ends(way, text, begin, known)).collect()
            }
            Node::Row(parts) => parts.iter().fold(BTreeSet::from([begin]), |begins, part| {
                begins.into_iter().flat_map(|begin| self.ends(part, text, begin, known)).collect()
            }),
            Node::Times(least, most, part) => {
                let (mut all, mut begins) = (BTreeSet::new(), BTreeSet::from([begin]));
                for round in 0..=*most {
                    if round >= *least {
                        all.extend(&begins);
                    }
                    let next: BTreeSet<_> = begins
                        .into_iter()
                        .flat_map(|begin| self.ends(part, text, begin, known))
                        .collect();
                    begins = next
                        .into_iter()
                        .filter(|end| round < *least || !all.contains(end))
                        .collect();
                    if begins.is_empty() {
                        break;
                    }
                }
                all
            }
            Node::Range(from, to) => rest
                .first()
                .filter(|octet| (from..=to).contains(octet))
                .map(|_| begin + 1)
                .into_iter()
                .collect(),
            Node::Text(known) => {
                let same = rest
                    .get(..known.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(known.as_bytes()));
                same.then_some(begin + known.len()).into_iter().collect()
            }
            Node::Rule(name) => self.rule_ends(name, text, begin, known),
        }
    }
}

#[test]
fn the_reader_of_abnf_reads_as_the_rfc_means_it() {
    let grammar = Grammar::new();
    for (rule, text, expected) in [
        ("Snum", "255", true),
        ("Snum", "256", false),
        ("Snum", "1234", false),
        ("IPv6-addr", "::", true),
        ("IPv6-addr", "1:2:3:4:5:6:7:8", true),
        ("IPv6-addr", "1:2:3:4:5:6:7", false),
        ("IPv6-addr", "1:2:3:4::5:6:7", false),
        ("Reverse-path", "<>", true),
        ("Forward-path", "<>", false),
        ("Path", "<@a,@b:\"c d\"@e.f>", true),
        ("Path", "<a@b-.c>", false),
        ("mail", "mail from:<a@b> SIZE=1\r\n", true),
        ("rcpt", "RCPT TO:<postMASTER>\r\n", true),
    ] {
        assert_eq!(grammar.accepts(rule, text), expected, "{rule} {text}");
    }
}
