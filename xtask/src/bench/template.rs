//! The configurations under `xtask/peers`, filled in for one measurement. A line may begin with `%flag,!flag%` and is then there
//! only where these hold; `each` among them repeats it for each target. `{{name}}` stands for a value. Must not know: proxies.

use std::{borrow::Cow, net::SocketAddr};

use anyhow::{Context, Result, bail};

/// What a template is filled with.
#[derive(Default)]
pub(crate) struct Filling {
    flags: Vec<&'static str>,
    values: Vec<(&'static str, String)>,
    targets: Vec<SocketAddr>,
}

impl Filling {
    pub(crate) fn new(targets: &[SocketAddr]) -> Self {
        let mut new = Self { targets: targets.to_vec(), ..Self::default() };
        if let Some(first) = targets.first() {
            new.set("target_port", &first.port());
        }
        new
    }

    pub(crate) fn flag(&mut self, name: &'static str, holds: bool) {
        if holds {
            self.flags.push(name);
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &impl ToString) {
        self.values.push((name, value.to_string()));
    }

    /// The text of a configuration.
    ///
    /// # Errors
    /// Where the template names what there is not.
    pub(crate) fn fill(&self, template: &str) -> Result<String> {
        let mut text = String::new();
        for line in template.lines() {
            let (conditions, line) = conditions(line)?;
            let is_met = |condition: &&str| match condition.strip_prefix('!') {
                Some(flag) => !self.flags.contains(&flag),
                None => *condition == "each" || self.flags.contains(condition),
            };
            if !conditions.iter().all(is_met) {
                continue;
            }
            if conditions.contains(&"each") {
                for (number, target) in self.targets.iter().enumerate() {
                    self.line(line, Some((number, *target)), &mut text)?;
                }
            } else {
                self.line(line, None, &mut text)?;
            }
        }
        Ok(text)
    }

    fn line(&self, mut line: &str, target: Option<(usize, SocketAddr)>, text: &mut String) -> Result<()> {
        while let Some((before, rest)) = line.split_once("{{") {
            let (name, rest) = rest.split_once("}}").with_context(|| format!("{{{{ without }}}}: {line}"))?;
            text.push_str(before);
            text.push_str(&self.value(name, target)?);
            line = rest;
        }
        text.push_str(line);
        text.push('\n');
        Ok(())
    }

    fn value(&self, name: &str, target: Option<(usize, SocketAddr)>) -> Result<Cow<'_, str>> {
        if let Some((number, target)) = target {
            match name {
                "target" => return Ok(target.to_string().into()),
                "target_host" => return Ok(target.ip().to_string().into()),
                "target_port" => return Ok(target.port().to_string().into()),
                "number" => return Ok(number.to_string().into()),
                _ => {}
            }
        }
        let value = self.values.iter().find(|(known, _)| *known == name);
        value.map(|(_, value)| value.as_str().into()).with_context(|| format!("no value {name:?}"))
    }
}

/// The conditions in front of a line, and the line.
fn conditions(line: &str) -> Result<(Vec<&str>, &str)> {
    let Some(rest) = line.strip_prefix('%') else { return Ok((Vec::new(), line)) };
    let Some((conditions, line)) = rest.split_once('%') else { bail!("% without an end: {line}") };
    Ok((conditions.split(',').collect(), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling() -> Filling {
        let mut filling = Filling::new(&["127.0.0.1:81".parse().unwrap(), "127.0.0.2:82".parse().unwrap()]);
        filling.flag("tls", true);
        filling.flag("log", false);
        filling.set("port", &80);
        filling
    }

    #[test]
    fn lines_stand_where_their_conditions_hold() {
        let template = "a {{port}}\n%tls%  b\n%log%c\n%!log,tls%d\n%!tls%e\n%each,tls%f{{number}} {{target_host}}:{{target_port}}";
        let text = filling().fill(template).unwrap();
        assert_eq!(text, "a 80\n  b\nd\nf0 127.0.0.1:81\nf1 127.0.0.2:82\n");
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for template in ["{{nothing}}", "{{port", "%tls no end", "{{target}}"] {
            assert!(filling().fill(template).is_err(), "{template}");
        }
        assert!(filling().fill("{{target_port}}").is_ok(), "that of the first");
    }
}
