// Target groups: each a picture of its targets, what stickiness does to their shares, and what became of sessions.
// Must not know: where figures come from.

import { bars, drawBars, drawSpark, spark } from "./charts.js";
import { duration, each, el, figures, number, percent, say, set, span } from "./dom.js";
import { LENGTH, REASONS } from "./history.js";

const SHOWN = 120;
const SIGNS = { healthy: "●", unhealthy: "▲", draining: "◐", initial: "○", unused: "–", unavailable: "◌" };
const TONES = { healthy: "good", unhealthy: "bad", draining: "warn", initial: "warn" };
const ALGORITHMS = {
  round_robin: "round robin",
  least_outstanding_requests: "least outstanding requests",
  weighted_random: "weighted random",
};

const COLUMNS = ["Target", "State", "Sessions", "In flight", "Share, 1 min", "Requests / s", "Response time, mean", "Failed, last error"];

export class Groups {
  constructor(parent, actions) {
    this.parent = parent;
    this.actions = actions;
    this.closed = new Set();
    this.baselines = new Map();
  }

  draw(told, history) {
    // No group is named so: names have letters, digits and hyphens.
    const none = { name: " " };
    const make = (group) => (group === none ? { node: el("p", { class: "muted" }, "There are no target groups: listeners answer by themselves.") }
      : new GroupView(group, this.actions));
    const groups = told.target_groups.length ? told.target_groups : [none];
    each(this.parent, groups, (group) => group.name, make, (view, group) => {
      if (group !== none) view.draw(group, history, this.baseline(group, history));
    });
  }

  /** What balancing alone would give: made anew every five seconds. */
  baseline(group, history) {
    const known = this.baselines.get(group.name);
    if (known && Number.isFinite(known.skew) && history.seconds - known.at < 5) return known.skew;
    const requests = history.count(`${group.name} requests`);
    const open = group.targets.filter((target) => target.weight > 0);
    const skew = balancedSkew(group.algorithm, open.map((target) => target.weight),
      requests.recent(), history.spread(`${group.name} time`).mean());
    this.baselines.set(group.name, { at: history.seconds, skew });
    return skew;
  }
}

/** The busiest target's requests over the mean, when so many are balanced freely among targets of these weights. */
export function balancedSkew(algorithm, weights, requests, time) {
  const count = weights.length;
  const picks = Math.min(Math.round(requests), count > 40 ? 2000 : 10000);
  if (!count || !picks) return NaN;
  let seed = 42;
  const random = () => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const taken = new Array(count).fill(0);
  if (algorithm === "round_robin") return Math.ceil(picks / count) / (picks / count);
  if (algorithm === "weighted_random") {
    for (let i = 0; i < picks; i++) {
      let at = random() * all;
      let index = 0;
      while (index < count - 1 && (at -= weights[index]) >= 0) index++;
      taken[index]++;
    }
  } else {
    // Requests come and last at random, as many at a time as the minute had.
    const gap = 60 / Math.max(requests, 1);
    const ends = weights.map(() => []);
    const drawn = (mean) => -Math.log(1 - random()) * mean;
    let at = 0;
    for (let i = 0; i < picks; i++) {
      at += drawn(gap);
      const first = Math.floor(random() * count);
      let best = first;
      for (let n = 0; n < count; n++) {
        const index = (first + n) % count;
        ends[index] = ends[index].filter((end) => end > at);
        if (ends[index].length < ends[best].length) best = index;
      }
      ends[best].push(at + drawn(time || 0.001));
      taken[best]++;
    }
  }
  return (Math.max(...taken) * count) / picks;
}

/** How a group stands, and in words: what leaves it is not missing, and what nobody checks is not called healthy. */
export function stands(group) {
  const count = (...states) => group.targets.filter(({ state }) => states.includes(state)).length;
  const [healthy, unchecked, draining] = [count("healthy"), count("unavailable"), count("draining")];
  const all = group.targets.length - draining;
  const words = [
    !group.targets.length ? "no targets" : all && unchecked === all ? `${all} not checked` : `${healthy} of ${all} healthy`,
    unchecked && unchecked < all ? `${unchecked} not checked` : null,
    draining ? `${draining} draining` : null,
    group.failing_open ? "failing open" : null,
  ];
  const use = healthy + unchecked;
  const tone = group.failing_open || !use ? "bad" : use < all ? "warn" : "good";
  return [tone, words.filter(Boolean).join(", ")];
}

/** Shares of the last minute's requests, and the busiest open target's over the mean of the open ones. */
function shares(group, history) {
  const taken = group.targets.map((target) => history.count(`${group.name} target ${target.name}`).recent() || 0);
  const all = taken.reduce((sum, count) => sum + count, 0);
  const open = taken.filter((_, i) => group.targets[i].weight > 0);
  const sum = open.reduce((sum, count) => sum + count, 0);
  return {
    of: taken.map((count) => (all ? count / all : NaN)),
    skew: sum ? (Math.max(...open) * open.length) / sum : NaN,
  };
}

class GroupView {
  constructor(group, actions) {
    this.actions = actions;
    this.about = el("p", { class: "about" });
    this.list = el("dl", { class: "facts" });
    this.state = el("span", { class: "pill" });
    this.skew = new SkewView();
    this.sessions = new SessionsView();
    this.rows = el("div", { role: "rowgroup" });
    const label = group.name;
    const head = el("div", { role: "row", class: "row head" },
      ...COLUMNS.map((name) => el("span", { role: "columnheader" }, name)));
    this.table = el("div", { role: "table", class: "targets", "aria-label": `Targets of ${label}` },
      el("div", { role: "rowgroup" }, head), this.rows);
    this.insight = el("div", { class: "insight" }, this.skew.node, this.sessions.node);
    this.body = el("div", { class: "group-body" }, this.insight, this.table);
    this.node = el("details", { class: "panel group", open: "" },
      el("summary", {}, el("span", { class: "group-name" }, el("h3", {}, label), this.state), this.about, this.list),
      this.body);
  }

  end() {
    each(this.rows, [], () => "");
  }

  draw(group, history, baseline) {
    const of = (name) => `${group.name} ${name}`;
    const sticky = group.stickiness;
    const [tone, standing] = stands(group);
    set(this.state, "class", `pill ${tone}`);
    const sign = { good: "●", warn: "◐", bad: "▲" }[tone];
    say(this.state, `${sign} ${standing}`);
    const kept = sticky ? `${sticky.type} ${sticky.name}, ${span(sticky.duration_seconds)}` : "not sticky";
    say(this.about, `${ALGORITHMS[group.algorithm] ?? group.algorithm} · ${kept}`);
    const time = history.spread(of("time"));
    const failed = history.count(of("failed"));
    const sessions = group.targets.reduce((sum, target) => sum + (target.sessions ?? 0), 0);
    figures(this.list, [
      ["requests / s", number(lately(history.count(of("requests")).rate))],
      ["p50", duration(time.middle.last(1)[0], 0.001)],
      ["p99", duration(time.tail.last(1)[0], 0.001)],
      ["failed, 1 min", number(failed.recent() || 0), failed.recent() ? "bad" : null],
      sticky && ["sessions", number(sessions)],
    ]);
    if (!this.node.open) return;
    const share = shares(group, history);
    this.insight.hidden = !sticky;
    if (sticky) {
      this.skew.draw(share.skew, baseline);
      this.sessions.draw(group, history);
    }
    const most = Math.max(...share.of.filter(Number.isFinite), 0.0001);
    const rows = group.targets.map((target, i) => ({ target, share: share.of[i], most }));
    each(this.rows, rows, ({ target }) => target.name, ({ target }) => new TargetRow(group, target, this.actions),
      (view, row) => view.draw(group, row, history));
  }
}

const lately = (series) => {
  const told = series.last(3).filter(Number.isFinite);
  return told.length ? told.reduce((sum, value) => sum + value, 0) / told.length : NaN;
};

/** How much more than the mean the busiest target has, beside what it would have without sessions. */
class SkewView {
  constructor() {
    this.said = el("p", { class: "verdict" });
    this.real = bar("with stickiness");
    this.alone = bar("balancing alone");
    this.node = el("section", { class: "skew" }, el("h4", {}, "Busiest target, 1 min"), this.real.node, this.alone.node, this.said);
  }

  draw(skew, baseline) {
    const top = Math.max(2, skew || 0, baseline || 0);
    drawBar(this.real, skew, top, Number.isFinite(skew) ? `${skew.toFixed(2)} × mean` : "no requests");
    drawBar(this.alone, baseline, top, Number.isFinite(baseline) ? `${baseline.toFixed(2)} × mean` : "–");
    const more = skew / baseline - 1;
    say(this.said, !Number.isFinite(more) ? "Nothing to compare yet."
      : more < 0.05 ? "Stickiness costs no balance now."
      : `Stickiness gives the busiest target ${percent(more)} more.`);
  }
}

function bar(label) {
  const value = el("span", { class: "bar-value" });
  const full = el("span", { class: "bar-full" });
  return { node: el("div", { class: "bar-row" }, el("span", { class: "bar-label" }, label),
    el("span", { class: "bar-track", "aria-hidden": "true" }, full), value), value, full };
}

function drawBar(view, value, top, text) {
  view.full.style.inlineSize = `${Number.isFinite(value) ? Math.min(100, (value / top) * 100) : 0}%`;
  say(view.value, text);
}

/** Sessions that did not go on where they were, by reason. */
class SessionsView {
  constructor() {
    this.bars = bars("sessions lost and moved");
    this.list = el("dl", { class: "reasons" });
    this.said = el("p", { class: "verdict" });
    this.node = el("section", { class: "moved" }, el("h4", {}, "Sessions lost and moved, 15 min"), this.bars.node, this.list, this.said);
  }

  draw(group, history) {
    const of = (name) => `${group.name} ${name}`;
    drawBars(this.bars, history.count(of("moved")).gain.last(LENGTH));
    const found = Object.keys(REASONS).map((reason) => {
      const shown = Math.round(history.count(of(`outcome ${reason}`)).gain.sum());
      return [reason, shown, group.stickiness.decisions[reason] ?? 0];
    }).filter(([, , ever]) => ever);
    figures(this.list, found.map(([reason, shown, ever]) =>
      [REASONS[reason], `${number(shown)} (${number(ever)} since the start)`]));
    const pinned = group.stickiness.decisions.pinned ?? 0;
    const rest = found.length ? "" : "None since the start. ";
    say(this.said, `${rest}${number(pinned)} requests went to their own target` +
      (group.stickiness.refused_requests ? `, ${number(group.stickiness.refused_requests)} were refused` : "") + ".");
  }
}

class TargetRow {
  constructor(group, target, actions) {
    const cell = (index, ...children) => el("div", { role: "cell", "data-label": COLUMNS[index] }, ...children);
    this.name = el("span", { class: "name" });
    this.tools = actions.forTarget(group, target.name);
    this.state = el("span", { class: "state" });
    this.sessions = el("span");
    this.outstanding = el("span");
    this.share = bar("");
    this.rate = spark("requests");
    this.rateSaid = el("span", { class: "figure" });
    this.trip = spark("response time");
    this.tripSaid = el("span", { class: "figure" });
    this.error = el("span", { class: "error" });
    this.node = el("div", { role: "row", class: "row", "data-target": target.name },
      cell(0, this.name, this.tools.node), cell(1, this.state), cell(2, this.sessions), cell(3, this.outstanding),
      cell(4, this.share.node), cell(5, this.rateSaid, this.rate.node), cell(6, this.tripSaid, this.trip.node),
      cell(7, this.error));
  }

  end() {
    this.tools.end();
  }

  draw(group, { target, share, most }, history) {
    const of = (name) => `${group.name} ${name} ${target.name}`;
    say(this.name, target.name);
    const words = [`${SIGNS[target.state] ?? "?"} ${target.state}`];
    if (target.drained) words.push("drained");
    if (target.anomalous) words.push("fails more than others");
    if (target.weight > 0 && target.weight < 1) words.push(`weight ${target.weight.toFixed(2)}`);
    say(this.state, words.join(" · "));
    set(this.state, "class", `state ${target.drained || target.anomalous ? "warn" : TONES[target.state] ?? ""}`);
    set(this.state, "title", target.description);
    const all = target.sessions_everywhere;
    say(this.sessions, target.sessions === null ? "–"
      : all ? `${number(target.sessions)} of ${number(all.sessions)}` : number(target.sessions));
    set(this.sessions, "title", all ? `here, and on ${all.balancers} balancers, by figures of up to ${span(all.age_seconds)} ago` : "");
    say(this.outstanding, number(target.outstanding_requests));
    drawBar(this.share, share, most, percent(share));
    const rate = history.count(of("target")).rate;
    say(this.rateSaid, number(lately(rate)));
    drawSpark(this.rate, rate.last(history.window(SHOWN)), 1);
    const latency = history.gauge(of("latency"));
    say(this.tripSaid, duration(latency.last(1)[0]));
    drawSpark(this.trip, latency.last(history.window(SHOWN)), 0.001);
    const error = target.check_error ?? target.last_error;
    const failed = history.count(of("failed")).recent() || 0;
    const last = error ? `${error.error} (${span(error.age_seconds)} ago)` : failed ? null : "none";
    say(this.error, [failed ? `${number(failed)} failed, 1 min` : null, last].filter(Boolean).join("; "));
    set(this.error, "class", `error ${target.check_error || failed ? "bad" : error ? "" : "muted"}`);
    this.tools.draw(target);
  }
}
