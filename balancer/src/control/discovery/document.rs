//! A list of targets as a document, in the form of Prometheus' file_sd and http_sd: groups of `targets`, each of them with
//! `labels`, of which `weight` and `priority` (with or without `__` around them) mean something here. One fault anywhere and
//! nothing of the document is used, as with a configuration: what is meant cannot be known.
//! Must not know: where the document is from.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, error::Category};

use super::lister::{Listing, SourceFault};
use crate::{
    config::parse_target,
    model::{FoundTarget, TargetAddress, TargetShare, TargetSpec},
};

/// Most bytes of a document: some 50,000 targets.
pub(super) const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;
/// Most characters of what is shown of a text that is wrong.
const MOST_SHOWN: usize = 80;

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentForm {
    Json,
    Yaml,
}

#[derive(Debug, Deserialize)]
struct TargetList {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

/// Reads a document. `port`: that of targets without one.
pub(super) fn read(bytes: &[u8], form: DocumentForm, port: Option<u16>) -> Result<Listing, SourceFault> {
    // Some editors begin with a mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lists: Vec<TargetList> = match form {
        DocumentForm::Json => {
            serde_json::from_slice(bytes).map_err(|error| malformed("JSON", &where_wrong(&error)))?
        }
        DocumentForm::Yaml => yaml(bytes)?,
    };
    let mut targets = Vec::new();
    for (number, list) in (1..).zip(&lists) {
        let wrong = |what: String| SourceFault::garbage(format!("list {number}: {what}"));
        let share = share(&list.labels).map_err(wrong)?;
        for text in &list.targets {
            targets.push(FoundTarget { spec: spec(text, port).map_err(wrong)?, share });
        }
    }
    Ok(Listing { targets, left_out: Vec::new() })
}

fn yaml(bytes: &[u8]) -> Result<Vec<TargetList>, SourceFault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        SourceFault::garbage(format!("it is no text in UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    serde_saphyr::from_str(text).map_err(|error| malformed("YAML", &error.to_string()))
}

/// What is wrong with JSON, and where; nothing of what stands there, which a server may have meant for others.
pub(super) fn where_wrong(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io | Category::Syntax => "it is none",
        Category::Data => "it has another form",
        Category::Eof => "it breaks off",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}

fn malformed(language: &str, error: &str) -> SourceFault {
    let line = error.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    SourceFault::garbage(format!(
        "it is no list of targets in {language} ([{{\"targets\": [\"HOST:PORT\", …], \"labels\": {{…}}}}, …]): {}",
        shortened(line)
    ))
}

/// A target by its text.
pub(super) fn spec(text: &str, port: Option<u16>) -> Result<TargetSpec, String> {
    let (address, own_port) = parse_target(text)?;
    if matches!(address, TargetAddress::Unix(_)) {
        return Ok(TargetSpec { address, port: 0 });
    }
    let none = || format!("target {:?} has no port, and neither has the target group", shortened(text));
    Ok(TargetSpec { address, port: own_port.or(port).ok_or_else(none)? })
}

fn share(labels: &BTreeMap<String, Value>) -> Result<TargetShare, String> {
    let number = |name: &str, most: u32| {
        let names = [format!("__{name}__"), name.to_owned()];
        let Some((name, value)) = names.iter().find_map(|name| Some((name, labels.get(name)?))) else {
            return Ok(None);
        };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let number = text.parse().ok().filter(|number| *number <= most);
        let wrong =
            || format!("label {name} = {:?} is no such number; allowed: 0 to {most}", shortened(&text));
        number.map(Some).ok_or_else(wrong)
    };
    let default = TargetShare::default();
    Ok(TargetShare {
        weight: number("weight", 65_535)?.unwrap_or(default.weight),
        priority: number("priority", 65_535)?.unwrap_or(default.priority),
        leaving: false,
    })
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Result<Vec<(String, u32, u32)>, String> {
        told(read(text.as_bytes(), DocumentForm::Json, Some(8080)))
    }

    fn told(read: Result<Listing, SourceFault>) -> Result<Vec<(String, u32, u32)>, String> {
        let each = |target: FoundTarget| {
            let address = match target.spec.address {
                TargetAddress::Ip(ip) => ip.to_string(),
                TargetAddress::Host(name) => name,
                TargetAddress::Unix(path) => path.display().to_string(),
            };
            (format!("{address} {}", target.spec.port), target.share.weight, target.share.priority)
        };
        Ok(read.map_err(|fault| fault.why)?.targets.into_iter().map(each).collect())
    }

    #[test]
    fn a_mark_that_editors_begin_with_is_none_of_it() {
        let text = "\u{feff}[{\"targets\": [\"10.0.0.1\"]}]";
        assert_eq!(json(text), Ok(vec![("10.0.0.1 8080".to_owned(), 1, 0)]));
        let yaml = "\u{feff}- targets: [\"10.0.0.1\"]\n";
        assert_eq!(told(read(yaml.as_bytes(), DocumentForm::Yaml, Some(8080))), json(text));
    }

    #[test]
    fn the_form_of_prometheus_is_read() {
        let text = r#"[
            {"targets": ["10.0.0.1:80", "app.test", "[fd00::1]:81"], "labels": {"job": "shop", "weight": "3"}},
            {"targets": ["unix:/run/app.sock"], "labels": {"__weight__": 0, "__priority__": "2"}},
            {"targets": []}
        ]"#;
        let expected = [
            ("10.0.0.1 80".to_owned(), 3, 0),
            ("app.test 8080".to_owned(), 3, 0),
            ("fd00::1 81".to_owned(), 3, 0),
            ("/run/app.sock 0".to_owned(), 0, 2),
        ];
        assert_eq!(json(text).unwrap(), expected);
        let yaml = "# shop\n- targets: ['10.0.0.1:80', app.test, '[fd00::1]:81']\n  labels: {job: shop, weight: 3}\n\
                    - targets:\n    - unix:/run/app.sock\n  labels:\n    __weight__: '0'\n    __priority__: 2\n\
                    - targets: []\n";
        assert_eq!(told(read(yaml.as_bytes(), DocumentForm::Yaml, Some(8080))).unwrap(), expected);
        assert_eq!(json("[]").unwrap(), []);
    }

    #[test]
    fn one_fault_and_nothing_is_used() {
        for (text, wrong) in [
            ("", "no list of targets in JSON"),
            ("{\"targets\": []}", "no list of targets in JSON"),
            ("[{\"target\": [\"a:1\"]}]", "no list of targets in JSON"),
            ("[{\"targets\": [1]}]", "no list of targets in JSON"),
            ("<html>502</html>", "no list of targets in JSON"),
            ("[{\"targets\": [\"10.0.0.1:80\"]}, {\"targets\": [\"10.0.0.1:0\"]}]", "list 2: target"),
            ("[{\"targets\": [\"10.0.0.300:80\"]}]", "neither an address nor a host name"),
            ("[{\"targets\": [\"http://a\"]}]", "list 1: target"),
            ("[{\"targets\": [], \"labels\": {\"weight\": \"-1\"}}]", "label weight"),
            ("[{\"targets\": [], \"labels\": {\"priority\": 70000}}]", "allowed: 0 to 65535"),
        ] {
            let told = json(text).unwrap_err();
            assert!(told.contains(wrong), "{text}: {told}");
        }
        let without_port = read(b"[{\"targets\": [\"10.0.0.1\"]}]", DocumentForm::Json, None).unwrap_err();
        assert!(without_port.why.contains("has no port"), "{}", without_port.why);
        let long = format!("[{{\"targets\": [\"{}\"]}}]", "x".repeat(100_000));
        assert!(json(&long).unwrap_err().len() < 500);
    }

    #[test]
    fn yaml_that_grows_without_bound_is_refused() {
        let mut bomb = "- targets: &a0 ['10.0.0.1:80']\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb.push_str(&format!("- x: &a{level} [{}]\n", vec![before; 20].join(", ")));
        }
        let fault = read(bomb.as_bytes(), DocumentForm::Yaml, None).unwrap_err();
        assert!(fault.why.contains("YAML"), "{}", fault.why);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes, DocumentForm::Json, Some(1));
            let _ = read(&bytes, DocumentForm::Yaml, None);
        }
    }
}
