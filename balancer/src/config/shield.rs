//! The `shield` block: who may speak to listeners at all. Must not know: how packets are looked at.

use std::{collections::BTreeSet, path::Path};

use super::{
    fields::{BlockContext, BlockFields},
    raw::{RawBlock, RawExpression},
    schema::{Attribute, AttributeKind, Table},
    source::{Position, other_encoding},
    value::{Value, shown},
};
use crate::{
    model::{IpPrefix, ShieldMode, ShieldSettings, WrittenAt},
    regular_file,
};

const MAX_INTERFACES: usize = 64;
/// Prefixes of both lists; those of run time have room besides.
const MAX_PREFIXES: usize = 200_000;
/// `IFNAMSIZ` of linux/if.h, without the end.
const LONGEST_NAME: usize = 15;
/// Of a file of prefixes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Most faults of a file that are told one by one.
const MAX_FILE_FAULTS: usize = 20;
/// The loopback's interface.
const LOOPBACK: &str = "lo";

pub(super) static SHIELD: Table = Table {
    name: "shield",
    top: false,
    attributes: &[
        Attribute::new(
            "interfaces",
            AttributeKind::List { allowed: "1 to 64 names of interfaces, not \"lo\"" },
            "Where packets are looked at. Needed. One that is not there is waited for.",
        ),
        Attribute::new(
            "mode",
            AttributeKind::Choice { allowed: &["auto", "native", "generic"], default: "auto", later: &[] },
            "Whether in the interface's driver, or behind it; \"auto\" is in the driver where that can be.",
        ),
        Attribute::new(
            "dry_run",
            AttributeKind::Truth { default: false },
            "Whether packets are counted as what would become of them, and all pass.",
        ),
        Attribute::new(
            "deny",
            AttributeKind::List { allowed: IpPrefix::ALLOWED },
            "Sources whose packets to listeners are dropped. With `allow` 200,000 at most.",
        ),
        Attribute::new(
            "deny_file",
            AttributeKind::Text { allowed: "the path of a file with a prefix a line", default: "none" },
            "More of them; what follows a `#` is not read. Read again on a reload.",
        ),
        Attribute::new(
            "allow",
            AttributeKind::List { allowed: IpPrefix::ALLOWED },
            "Sources that are neither denied nor limited, whatever else is said.",
        ),
        Attribute::new(
            "allow_file",
            AttributeKind::Text { allowed: "the path of a file with a prefix a line", default: "none" },
            "More of them, as with `deny_file`.",
        ),
        Attribute::new(
            "new_connections_per_second",
            AttributeKind::Whole { min: 1, max: 1_000_000, default: None },
            "How many connections a source may begin in a second: an address of IPv4, a /64 of IPv6. By default any number.",
        ),
        Attribute::new(
            "burst",
            AttributeKind::Whole { min: 1, max: 1_000_000, default: None },
            "How many of them may come at once. By default as many as in a second.",
        ),
    ],
    blocks: &[],
};

/// Reads the block, which must not be there twice; nothing where there is none.
pub(super) fn build(context: &BlockContext<'_>, blocks: &[&RawBlock]) -> Option<ShieldSettings> {
    let first = blocks.first()?;
    for more in blocks.iter().skip(1) {
        let first = context.faults.show(first.position);
        context
            .faults
            .add(more.position, format!("a second `shield` block; the first is at {first}; allowed: one"));
        read(&BlockFields::open(context, &SHIELD, Some(more)));
    }
    Some(read(&BlockFields::open(context, &SHIELD, Some(first))))
}

fn read(fields: &BlockFields<'_>) -> ShieldSettings {
    let rate = fields.whole_if_given("new_connections_per_second").and_then(|rate| u32::try_from(rate).ok());
    let burst = fields.whole_if_given("burst").and_then(|burst| u32::try_from(burst).ok());
    if fields.is_given("burst") && fields.is_unset("new_connections_per_second") {
        fields.fault_at(
            "burst",
            "`burst` stands without `new_connections_per_second`; allowed: both, or neither of them",
        );
    }
    let (deny, allow) = (prefixes(fields, "deny", "deny_file"), prefixes(fields, "allow", "allow_file"));
    let files = ["deny_file", "allow_file"].into_iter().filter_map(|name| {
        let path = fields.known(name)?.as_text()?;
        Some(fields.named_file(name, &path).into())
    });
    let count = deny.len() + allow.len();
    if count > MAX_PREFIXES {
        let name = ["deny", "deny_file", "allow"].into_iter().find(|name| fields.is_written(name));
        fields.fault_at(
            name.unwrap_or("allow_file"),
            format!("{count} prefixes are denied or allowed; allowed: {MAX_PREFIXES}"),
        );
    }
    let (interfaces, interfaces_at) = interfaces(fields);
    ShieldSettings {
        interfaces,
        interfaces_at,
        mode: match fields.choice("mode") {
            "native" => ShieldMode::Native,
            "generic" => ShieldMode::Generic,
            _ => ShieldMode::Auto,
        },
        dry_run: fields.truth("dry_run"),
        deny,
        allow,
        files: files.collect(),
        new_connections_per_second: rate,
        burst: burst.or(rate).unwrap_or(1),
    }
}

/// Names of interfaces, and where each stands.
fn interfaces(fields: &BlockFields<'_>) -> (Vec<String>, Vec<WrittenAt>) {
    const NAME: &str = "interfaces";
    fields.require(NAME);
    let items = fields.list(NAME);
    let allowed = fields.allowed(NAME);
    let is_list = matches!(fields.value(NAME), Some((Value::List(_), _)));
    if is_list && !(1..=MAX_INTERFACES).contains(&items.len()) {
        fields.fault_at(NAME, format!("`{NAME}` has {} names; allowed: {allowed}", items.len()));
    }
    let (mut names, mut places) = (Vec::new(), Vec::new());
    for (value, position) in items {
        let name = value.as_text().filter(|name| is_name(name));
        match name {
            None => fields.fault_in(position, format!("`{NAME}` has {value}; allowed: {allowed}")),
            Some(name) if name == LOOPBACK => fields.fault_in(
                position,
                format!("`{NAME}` has \"{LOOPBACK}\": the loopback is never blocked; allowed: {allowed}"),
            ),
            Some(name) if names.contains(&name) => {
                fields.fault_in(position, format!("`{NAME}` has {value} twice; allowed: each once"));
            }
            Some(name) => {
                names.push(name);
                places.push(WrittenAt(fields.show(position)));
            }
        }
    }
    (names, places)
}

/// What the kernel takes for one (`dev_valid_name` of net/core/dev.c).
fn is_name(name: &str) -> bool {
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '/' | ':');
    (1..=LONGEST_NAME).contains(&name.len()) && name != "." && name != ".." && !name.contains(odd)
}

/// Those of the list and those of the file, sorted, each once.
fn prefixes(fields: &BlockFields<'_>, list: &'static str, file: &'static str) -> Vec<IpPrefix> {
    let mut found = BTreeSet::new();
    let mut add = |text: Option<&str>, shown: &str, position: Position| {
        let parsed = text
            .ok_or_else(|| "is no prefix".to_owned())
            .and_then(|text| IpPrefix::parse(text).map_err(|error| error.to_string()));
        match parsed {
            Ok(prefix) => {
                found.insert(prefix);
            }
            Err(error) => {
                let allowed = fields.allowed(list);
                fields.fault_in(position, format!("`{list}` has {shown}, which {error}; allowed: {allowed}"));
            }
        }
    };
    // Longer ones than a value may be otherwise.
    match fields.raw(list) {
        Some(RawExpression::List(items))
            if items.iter().all(|item| matches!(item.expression, RawExpression::Text(_))) =>
        {
            for item in items {
                if let RawExpression::Text(text) = &item.expression {
                    add(Some(text), &shown(text), item.position);
                }
            }
        }
        _ => {
            for (value, position) in fields.list(list) {
                add(value.as_text().as_deref(), &value.to_string(), position);
            }
        }
    }
    if let Some(path) = fields.text(file) {
        let fits = !path.is_empty() && !path.contains('\0');
        if fits {
            read_file(fields, file, &fields.named_file(file, &path), &mut found);
        } else {
            fields.fault_at(file, format!("`{file}` = {}; allowed: {}", shown(&path), fields.allowed(file)));
        }
    }
    found.into_iter().collect()
}

/// The text of a file; comments may be in any encoding that has ASCII in it.
fn text_of(path: &str) -> Result<String, String> {
    let (bytes, _) =
        regular_file::read(Path::new(path), MAX_FILE_BYTES).map_err(|fault| fault.to_string())?;
    if let Some(encoding) = other_encoding(&bytes) {
        return Err(format!("is text in {encoding}, not in UTF-8"));
    }
    if bytes.contains(&0) {
        return Err("is no text".to_owned());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_file(fields: &BlockFields<'_>, name: &str, path: &str, found: &mut BTreeSet<IpPrefix>) {
    let text = match text_of(path) {
        Ok(text) => text,
        Err(fault) => {
            let allowed = fields.allowed(name);
            return fields.fault_at(name, format!("`{name}`: {path} {fault}; allowed: {allowed}"));
        }
    };
    // Some editors begin with a mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut faults = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match IpPrefix::parse(line) {
            Ok(prefix) => {
                found.insert(prefix);
            }
            Err(error) => {
                faults += 1;
                if faults <= MAX_FILE_FAULTS {
                    let (line_number, line, allowed) = (index + 1, shown(line), IpPrefix::ALLOWED);
                    fields.fault_at(
                        name,
                        format!("`{name}`: {path}:{line_number}: {line} {error}; allowed: {allowed}"),
                    );
                }
            }
        }
    }
    if faults > MAX_FILE_FAULTS {
        let more = faults - MAX_FILE_FAULTS;
        fields.fault_at(name, format!("`{name}`: {path} has {more} more lines that are wrong"));
    }
}
