//! What a table of attributes is made of. Each block's table stands in the file that reads the block; it is the
//! single source of names, ranges and defaults, for reading, for messages and for `docs/configuration.md`.

/// A kind of block: what may stand between its braces.
#[derive(Debug)]
pub(super) struct Table {
    /// The native spelling.
    pub(super) name: &'static str,
    /// Whether it stands at the top of a file, where Terraform's own attributes may be in it.
    pub(super) top: bool,
    pub(super) attributes: &'static [Attribute],
    pub(super) blocks: &'static [Child],
}

/// An attribute of a block.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: AttributeKind,
    /// What it does, in one line of the manual.
    pub(super) meaning: &'static str,
}

/// Which values an attribute takes.
#[derive(Debug)]
pub(super) enum AttributeKind {
    /// A whole number in a closed range.
    Whole { min: u64, max: u64, default: Option<u64> },
    /// A word, which is the default, or a whole number in a closed range.
    WholeOr { word: &'static str, min: u64, max: u64 },
    /// True or false.
    Truth { default: bool },
    /// One of some words; `later` are words ALB knows and this version does not do.
    Choice { allowed: &'static [&'static str], default: &'static str, later: &'static [&'static str] },
    /// One of some words in whichever case, as Terraform takes the names of protocols.
    AnyCase { allowed: &'static [&'static str], default: &'static str },
    /// Text that is looked at more closely by who reads it.
    Text { allowed: &'static str, default: &'static str },
    /// A list of such texts.
    List { allowed: &'static str },
    /// A list of such texts that is not empty by default.
    Listed { allowed: &'static str, default: &'static [&'static str] },
    /// A reference to a block of this kind.
    Reference { to: &'static str, default: &'static str },
    /// A map that is looked at more closely by who reads it.
    Map { allowed: &'static str },
    /// What ALB can do and this version cannot: accepted with the values that ask for nothing else.
    Only { allowed: &'static [&'static str] },
    /// What Terraform's provider took once: who reads the block knows what it was.
    Former { allowed: &'static str },
    /// Means nothing outside AWS: accepted and not looked at.
    Ignored,
}

/// A block within a block. All but `Repeated` and `Ignored` may stand once.
#[derive(Debug)]
pub(super) enum Child {
    /// Read by its table.
    Block(&'static Table),
    /// The same, and it may stand several times.
    Repeated(&'static Table),
    /// Means nothing outside AWS: accepted and not looked at.
    Ignored(&'static str),
    /// What ALB can do and this version cannot.
    Unsupported(&'static str),
}

impl Child {
    /// The block's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Block(table) | Self::Repeated(table) => table.name,
            Self::Ignored(name) | Self::Unsupported(name) => name,
        }
    }
}

/// What Terraform allows in every resource and what says nothing about balancing.
pub(super) const EVERYWHERE_IGNORED: &[&str] = &[
    "tags",
    "tags_all",
    "depends_on",
    "provider",
    "region",
    "lifecycle",
    "timeouts",
    "provisioner",
    "connection",
];

impl Attribute {
    pub(super) const fn new(name: &'static str, kind: AttributeKind, meaning: &'static str) -> Self {
        Self { name, kind, meaning }
    }

    /// What is allowed, in words, with the unit of numbers that have one.
    pub(super) fn allowed(&self) -> String {
        let allowed = self.kind.allowed();
        match self.unit() {
            Some(unit) => format!("{allowed} {unit}"),
            None => allowed,
        }
    }

    /// What a number counts, when its meaning begins with it.
    fn unit(&self) -> Option<&'static str> {
        let is_number = matches!(self.kind, AttributeKind::Whole { .. } | AttributeKind::WholeOr { .. });
        let units = [("Seconds ", "seconds"), ("Percent ", "percent"), ("The same, in percent ", "percent")];
        units
            .into_iter()
            .find(|(begin, _)| is_number && self.meaning.starts_with(begin))
            .map(|(_, unit)| unit)
    }

    pub(super) const fn ignored(name: &'static str) -> Self {
        Self::new(name, AttributeKind::Ignored, "")
    }
}

impl Table {
    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The nested block of that name.
    pub(super) fn child(&self, name: &str) -> Option<&'static Child> {
        self.blocks.iter().find(|child| child.name() == name)
    }
}

impl AttributeKind {
    /// What is allowed, in words, for messages and for the manual.
    pub(super) fn allowed(&self) -> String {
        match self {
            Self::Whole { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::WholeOr { word, min, max } => {
                format!("{}, or a whole number from {min} to {max}", join_words(&[word]))
            }
            Self::Truth { .. } => "true or false".to_owned(),
            Self::Choice { allowed, .. } | Self::AnyCase { allowed, .. } | Self::Only { allowed } => {
                join_words(allowed)
            }
            Self::Text { allowed, .. }
            | Self::List { allowed }
            | Self::Listed { allowed, .. }
            | Self::Map { allowed }
            | Self::Former { allowed } => (*allowed).to_owned(),
            Self::Reference { to, .. } => format!("a {to}: {to}.LABEL.arn or its name"),
            Self::Ignored => "anything".to_owned(),
        }
    }

    /// The default in words; empty when there is none.
    pub(super) fn default_words(&self) -> String {
        match self {
            Self::Whole { default, .. } => default.map_or_else(String::new, |default| default.to_string()),
            Self::WholeOr { word, .. } => join_words(&[word]),
            Self::Truth { default } => default.to_string(),
            Self::Choice { default: "", .. } => String::new(),
            Self::Choice { default, .. } | Self::AnyCase { default, .. } => format!("\"{default}\""),
            Self::Text { default, .. } | Self::Reference { default, .. } => (*default).to_owned(),
            Self::List { .. } | Self::Map { .. } => "none".to_owned(),
            Self::Listed { default, .. } => format!("{default:?}"),
            Self::Only { .. } | Self::Former { .. } | Self::Ignored => String::new(),
        }
    }
}

/// `a`, `b` or `c`, in quotes unless they are numbers or truth values.
fn join_words(words: &[&str]) -> String {
    let quoted = |word: &&str| match *word {
        "true" | "false" => (*word).to_owned(),
        number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => number.to_owned(),
        text => format!("\"{text}\""),
    };
    match words {
        [] => "nothing: leave it out".to_owned(),
        [rest @ .., last] if !rest.is_empty() => {
            format!("{} or {}", rest.iter().map(quoted).collect::<Vec<_>>().join(", "), quoted(last))
        }
        [one, ..] => quoted(one),
    }
}
