//! The rules of one listener, ready to match. Must not know: how conditions are met.

use std::{net::IpAddr, sync::Arc};

use super::{
    condition::{Subject, Test},
    forward::{CompiledForward, GroupKeys},
    index::RuleIndex,
    keys::RequestKeys,
    probe::Probe,
    redirect::CompiledRedirect,
    rewrite::CompiledTransforms,
};
use crate::{
    counters::{RuleFigures, RuleRuntime, RuleRuntimes},
    model::{Action, FixedResponse, ListenerRule, RequestHead},
};

/// An action, ready to be carried out.
#[derive(Debug)]
pub enum Act {
    /// To a target of a group.
    Forward(CompiledForward),
    /// Elsewhere.
    Redirect(CompiledRedirect),
    /// The balancer answers.
    FixedResponse(Arc<FixedResponse>),
}

impl Act {
    fn compile(action: &Action, keys: &GroupKeys) -> Self {
        match action {
            Action::Forward(forward) => Self::Forward(CompiledForward::compile(forward, keys)),
            Action::Redirect(redirect) => Self::Redirect(CompiledRedirect::compile(redirect)),
            Action::FixedResponse(response) => Self::FixedResponse(Arc::clone(response)),
        }
    }
}

/// One rule, ready to match.
#[derive(Debug)]
pub struct Rule {
    /// Its configured name.
    pub name: String,
    /// `priority`.
    pub priority: u16,
    /// Its conditions, for people.
    pub conditions: String,
    /// What is done with a request that meets all its conditions.
    pub action: Action,
    act: Act,
    transforms: CompiledTransforms,
    tests: Vec<Test>,
}

impl Rule {
    /// Of the conditions on host and path, of which there is one each at most.
    fn probes(&self) -> (Probe, Probe) {
        let host = self.tests.iter().find(|test| matches!(test, Test::Host(_)));
        let path = self.tests.iter().find(|test| matches!(test, Test::Path(_)));
        (
            host.map(|test| test.probes().0).unwrap_or_default(),
            path.map(|test| test.probes().1).unwrap_or_default(),
        )
    }
}

/// What was chosen for a request.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// What is done with it.
    pub act: &'a Act,
    /// What of it is rewritten where it is forwarded; the default action rewrites nothing.
    pub transforms: Option<&'a CompiledTransforms>,
    /// Index among the actions: see [`RuleTable::act`].
    pub index: usize,
    /// Priority of its rule; none: the default action.
    pub priority: Option<u16>,
    /// How many rules were looked at; the default action is none (ALB: `RuleEvaluations`).
    pub evaluated: usize,
}

/// The rules of a listener and its default action.
#[derive(Debug)]
pub struct RuleTable {
    rules: Vec<Rule>,
    /// Which rules are worth a look.
    index: RuleIndex,
    /// What host and path must be like at least, rule by rule.
    probes: Vec<(Probe, Probe)>,
    default_action: Action,
    default_act: Act,
    /// Figures of the rules and of the default action, which is the last.
    counted: Box<[Arc<RuleRuntime>]>,
}

impl RuleTable {
    /// Makes `rules` ready, whatever their order.
    #[must_use]
    pub fn compile(rules: &[ListenerRule], default_action: &Action, keys: &GroupKeys) -> Self {
        let compile = |rule: &ListenerRule| {
            let mut tests: Vec<Test> = rule.conditions.iter().map(Test::compile).collect();
            tests.sort_by_key(Test::cost);
            Rule {
                name: rule.name.clone(),
                priority: rule.priority,
                conditions: rule.conditions_text(),
                action: rule.action.clone(),
                act: Act::compile(&rule.action, keys),
                transforms: CompiledTransforms::compile(&rule.transforms),
                tests,
            }
        };
        let mut rules: Vec<Rule> = rules.iter().map(compile).collect();
        rules.sort_by_key(|rule| rule.priority);
        let probes: Vec<_> = rules.iter().map(Rule::probes).collect();
        Self {
            index: RuleIndex::of(rules.iter().map(|rule| &*rule.tests)),
            probes,
            rules,
            default_act: Act::compile(default_action, keys),
            default_action: default_action.clone(),
            counted: Box::default(),
        }
    }

    /// The same, counting by `workers` workers what its rules are chosen for.
    #[must_use]
    pub fn counting(self, runtimes: &RuleRuntimes, workers: usize) -> Self {
        let names = self.rules.iter().map(|rule| Some(&*rule.name)).chain([None]);
        Self { counted: runtimes.of(names, workers), ..self }
    }

    /// Worker number `worker` has chosen this action.
    #[inline]
    pub fn count(&self, chosen: &Chosen<'_>, worker: usize) {
        if let Some(shard) = self.counted.get(chosen.index).and_then(|rule| rule.shard(worker)) {
            shard.requests.inc();
        }
    }

    /// What was counted of the action at an index: see [`Self::act`].
    #[must_use]
    pub fn figures(&self, index: usize) -> RuleFigures {
        self.counted.get(index).map(|rule| rule.sum()).unwrap_or_default()
    }

    /// The action for this request, which came from `peer`.
    #[must_use]
    pub fn choose(&self, head: &RequestHead<'_>, peer: IpAddr) -> Chosen<'_> {
        if self.rules.is_empty() {
            return self.default_chosen();
        }
        let subject = Subject::new(head, peer);
        let keys = RequestKeys::of(&subject);
        let candidates = self.index.candidates(&subject, &keys);
        let met = candidates.iter().find_map(|index| {
            let (host_probe, path_probe) = self.probes.get(index)?;
            let rule = self.rules.get(index)?;
            let is_met = host_probe.admits(keys.host)
                && path_probe.admits(keys.path)
                && rule.tests.iter().all(|test| test.is_met(&subject));
            is_met.then_some((index, rule))
        });
        match met {
            Some((index, rule)) => Chosen {
                act: &rule.act,
                transforms: Some(&rule.transforms),
                index,
                priority: Some(rule.priority),
                evaluated: index + 1,
            },
            None => self.default_chosen(),
        }
    }

    fn default_chosen(&self) -> Chosen<'_> {
        let index = self.rules.len();
        Chosen { act: &self.default_act, transforms: None, index, priority: None, evaluated: index }
    }

    /// The action at an index: of the rule that is tried as the so-manieth, from 0; the last is the default action.
    #[must_use]
    pub fn act(&self, index: usize) -> Option<&Act> {
        match self.rules.get(index) {
            Some(rule) => Some(&rule.act),
            None => (index == self.rules.len()).then_some(&self.default_act),
        }
    }

    /// The rules, in the order they are tried.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is done with a request that no rule takes.
    #[must_use]
    pub fn default_action(&self) -> &Action {
        &self.default_action
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::{Condition, HeaderField, TextPattern, Version};

    fn rule(priority: u16, conditions: Vec<Condition>) -> ListenerRule {
        let action = Action::forward_to(usize::from(priority));
        ListenerRule { name: "r".into(), priority, conditions, action, transforms: Default::default() }
    }

    fn compile(rules: &[ListenerRule]) -> RuleTable {
        let ring = crate::stickiness::Keyring::from_bytes(&[1; 32]).unwrap();
        let keys = GroupKeys { ring: std::sync::Arc::new(ring), names: Vec::new(), turn: 0 };
        RuleTable::compile(rules, &Action::forward_to(0), &keys)
    }

    fn path(pattern: &str) -> Condition {
        Condition::PathPattern(vec![TextPattern::Wildcard(pattern.to_owned())])
    }

    fn host(pattern: &str) -> Condition {
        Condition::HostHeader(vec![TextPattern::Wildcard(pattern.to_owned())])
    }

    fn group(table: &RuleTable, host: &str, target: &str) -> (usize, usize) {
        let headers = [HeaderField { name: b"Host", value: host.as_bytes() }];
        let head = RequestHead {
            method: b"GET",
            target: target.as_bytes(),
            version: Version::Http11,
            headers: &headers,
        };
        let chosen = table.choose(&head, [192, 0, 2, 1].into());
        let Act::Forward(forward) = chosen.act else { panic!("all forward") };
        assert!(std::ptr::eq(table.act(chosen.index).unwrap(), chosen.act));
        (forward.group(0).unwrap(), chosen.evaluated)
    }

    #[test]
    fn the_lowest_priority_that_is_met_wins_and_the_default_comes_last() {
        let rules = [
            rule(20, vec![path("/a*")]),
            rule(10, vec![path("/ab*"), host("x.org")]),
            rule(30, vec![path("*")]),
        ];
        let table = compile(&rules);
        assert_eq!(group(&table, "x.org", "/abc"), (10, 1));
        assert_eq!(group(&table, "y.org", "/abc"), (20, 2), "all conditions have to be met");
        assert_eq!(group(&table, "x.org", "/b"), (30, 3));
        let table = compile(&rules[..2]);
        assert_eq!(group(&table, "x.org", "/b"), (0, 2));
    }

    /// Run by hand, in an optimised build:
    /// `cargo test --profile profiling -p balancer --lib rules::table -- --ignored --nocapture`.
    #[test]
    #[ignore = "a timing"]
    fn a_hundred_rules_take_less_than_a_microsecond() {
        const ROUNDS: u32 = 200_000;
        let rules: Vec<_> = (1..=100)
            .map(|n| rule(n, vec![host(&format!("app{n}.*.example.com")), path(&format!("/service-{n}/*"))]))
            .collect();
        let table = compile(&rules);
        for (name, target) in
            [("app100.eu.example.com", "/service-100/x"), ("app1.eu.example.com", "/other"), ("z.org", "/")]
        {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                std::hint::black_box(group(&table, std::hint::black_box(name), std::hint::black_box(target)));
            }
            let each = start.elapsed() / ROUNDS;
            println!("{name}{target}: {each:?}");
            assert!(each < Duration::from_micros(1), "{each:?}");
        }
    }
}
