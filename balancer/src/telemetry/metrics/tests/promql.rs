//! As much of PromQL as the table of CloudWatch's metrics is written in: selectors with matchers, `+`, `-`, `/`, `>`, `or`,
//! aggregations with `by` and `without`, `increase` of what began at 0. Panics at all else. As in Prometheus, a sum of
//! nothing is nothing, and series of two sides go together by all of their labels.

use std::collections::BTreeMap;

use super::Sample;

type Labels = BTreeMap<String, String>;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
}

/// Evaluates `text` over `samples`.
pub(super) fn evaluate(text: &str, samples: &[Sample]) -> Value {
    let mut reader = Reader { rest: text, samples };
    let value = reader.either();
    assert_eq!(reader.rest.trim(), "", "{text}");
    value
}

struct Reader<'a> {
    rest: &'a str,
    samples: &'a [Sample],
}

impl Reader<'_> {
    /// Whether `token` comes next, which is taken then.
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let is_word = token.ends_with(|c: char| c.is_ascii_alphanumeric());
        let ends =
            |rest: &str| !is_word || !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        match rest.strip_prefix(token).filter(|rest| ends(rest)) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn demand(&mut self, token: &str) {
        assert!(self.take(token), "{token} is wanted at {:?}", self.rest);
    }

    fn word(&mut self, is_in: impl Fn(char) -> bool) -> String {
        let rest = self.rest.trim_start();
        let end = rest.find(|c| !is_in(c)).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn either(&mut self) -> Value {
        let mut value = self.compared();
        while self.take("or") {
            let (Value::Vector(mut first), Value::Vector(second)) = (value, self.compared()) else {
                panic!("sets are of vectors")
            };
            let more =
                second.into_iter().filter(|(labels, _)| first.iter().all(|(known, _)| known != labels));
            let more: Vec<_> = more.collect();
            first.extend(more);
            value = Value::Vector(first);
        }
        value
    }

    fn compared(&mut self) -> Value {
        let value = self.added();
        if !self.take(">") {
            return value;
        }
        let (Value::Vector(mut vector), Value::Scalar(bound)) = (value, self.added()) else {
            panic!("a vector is compared with a number")
        };
        vector.retain(|(_, value)| *value > bound);
        Value::Vector(vector)
    }

    fn added(&mut self) -> Value {
        let mut value = self.divided();
        loop {
            if self.take("+") {
                value = of_two(value, self.divided(), |one, other| one + other);
            } else if self.take("-") {
                value = of_two(value, self.divided(), |one, other| one - other);
            } else {
                return value;
            }
        }
    }

    fn divided(&mut self) -> Value {
        let mut value = self.part();
        while self.take("/") {
            value = of_two(value, self.part(), |one, other| one / other);
        }
        value
    }

    fn part(&mut self) -> Value {
        if self.take("(") {
            let value = self.either();
            self.demand(")");
            return value;
        }
        for (name, fold) in [
            ("sum", (|values| values.iter().sum()) as fn(&[f64]) -> f64),
            ("max", |values| values.iter().copied().fold(f64::MIN, f64::max)),
            ("count", |values| values.len() as f64),
        ] {
            if self.take(name) {
                return self.aggregate(fold);
            }
        }
        if self.take("increase") {
            self.demand("(");
            let value = self.selector();
            self.demand("[1m]");
            self.demand(")");
            return value;
        }
        if self.take("vector") {
            self.demand("(");
            let Value::Scalar(value) = self.part() else { panic!("a vector is made of a number") };
            self.demand(")");
            return Value::Vector(vec![(Labels::new(), value)]);
        }
        if self.rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            return Value::Scalar(self.word(|c| c.is_ascii_digit() || c == '.').parse().unwrap());
        }
        self.selector()
    }

    fn aggregate(&mut self, fold: fn(&[f64]) -> f64) -> Value {
        let (by, without) = (self.take("by"), self.take("without"));
        let mut named = Vec::new();
        if by || without {
            self.demand("(");
            while !self.take(")") {
                named.push(self.word(|c| c.is_ascii_alphanumeric() || c == '_'));
                self.take(",");
            }
        }
        self.demand("(");
        let Value::Vector(vector) = self.either() else { panic!("numbers are not aggregated") };
        self.demand(")");
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for (mut labels, value) in vector {
            labels.retain(|label, _| if without { !named.contains(label) } else { named.contains(label) });
            groups.entry(labels).or_default().push(value);
        }
        Value::Vector(groups.into_iter().map(|(labels, values)| (labels, fold(&values))).collect())
    }

    fn selector(&mut self) -> Value {
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(!name.is_empty(), "a name is wanted at {:?}", self.rest);
        let mut matchers = Vec::new();
        if self.take("{") {
            while !self.take("}") {
                let label = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
                let is_pattern = self.take("=~");
                assert!(is_pattern || self.take("="), "{}", self.rest);
                self.demand("\"");
                let wanted = self.word(|c| c != '"');
                self.demand("\"");
                let wanted = if is_pattern { wanted } else { regex::escape(&wanted) };
                matchers.push((label, regex::Regex::new(&format!("^(?:{wanted})$")).unwrap()));
                self.take(",");
            }
        }
        let is_meant = |sample: &&Sample| {
            let has = |(label, wanted): &(String, regex::Regex)| {
                wanted.is_match(sample.labels.get(label).map_or("", String::as_str))
            };
            sample.name == name && matchers.iter().all(has)
        };
        let found = self.samples.iter().filter(is_meant);
        Value::Vector(found.map(|sample| (sample.labels.clone(), sample.value)).collect())
    }
}

fn of_two(one: Value, other: Value, of: fn(f64, f64) -> f64) -> Value {
    let each = |vector: Vec<(Labels, f64)>, of: &dyn Fn(f64) -> f64| {
        Value::Vector(vector.into_iter().map(|(labels, value)| (labels, of(value))).collect())
    };
    match (one, other) {
        (Value::Scalar(one), Value::Scalar(other)) => Value::Scalar(of(one, other)),
        (Value::Scalar(one), Value::Vector(other)) => each(other, &|value| of(one, value)),
        (Value::Vector(one), Value::Scalar(other)) => each(one, &|value| of(value, other)),
        (Value::Vector(one), Value::Vector(other)) => {
            let pair = |(labels, value): (Labels, f64)| {
                let found = other.iter().find(|(of_other, _)| *of_other == labels)?.1;
                Some((labels, of(value, found)))
            };
            Value::Vector(one.into_iter().filter_map(pair).collect())
        }
    }
}
