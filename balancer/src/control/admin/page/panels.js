// The rest of the page: figures at a glance, what needs attention, listeners, kernel side, certificates, the process.
// Must not know: where figures come from.

import { drawSpark, spark } from "./charts.js";
import { bytes, clock, duration, each, el, figures, number, percent, say, set, span } from "./dom.js";
import { LENGTH } from "./history.js";

const SHOWN = 180;
const DAY = 86400;

const lately = (series) => {
  const told = series.last(3).filter(Number.isFinite);
  return told.length ? told.reduce((sum, value) => sum + value, 0) / told.length : NaN;
};

const TILES = [
  ["Requests a second", (h) => h.count("requests").rate, (s) => number(lately(s)), (h, t) => `${number(t.totals.requests)} since the start`],
  ["Response time, p99", (h) => h.spread("duration").tail, (s) => duration(s.last(1)[0], 0.001),
    (h) => `median ${duration(h.spread("duration").middle.last(1)[0], 0.001)}`],
  ["Failed a second", (h) => h.count("failed").rate, (s) => number(lately(s)), (h) => {
    const share = h.count("failed").recent() / h.count("requests").recent();
    return `${percent(share || 0)} of the last minute`;
  }],
  ["In flight", (h) => h.gauge("outstanding"), (s) => number(s.last(1)[0]), (h, t) => `${number(t.totals.tunnels_active)} tunnels`],
  ["Connections", (h) => h.gauge("connections"), (s) => number(s.last(1)[0]),
    (h, t) => `${bytes(t.totals.bytes_sent)} sent since the start`],
  ["Sessions lost or moved", (h) => h.count("moved").gain, (s) => number(Math.round(s.sum())), () => "in 15 minutes"],
];

export function drawTiles(parent, told, history) {
  each(parent, TILES, ([name]) => name, ([name]) => {
    const [value, note, line] = [el("p", { class: "tile-value" }), el("p", { class: "muted" }), spark(name)];
    return { node: el("article", { class: "tile" }, el("h3", {}, name), value, note, line.node), value, note, line };
  }, (view, [, series, value, note]) => {
    const figures = series(history);
    say(view.value, value(figures));
    say(view.note, note(history, told));
    drawSpark(view.line, figures.last(history.window(SHOWN)), 0.001);
  });
}

/** What somebody should do something about, each with a sign and in words. */
export function attention(told) {
  const found = [];
  const add = (tone, text) => found.push({ tone, text });
  if (told.draining) add("warn", "The process is ending: it takes nothing new.");
  if (told.refused_reload) {
    const { error, age_seconds: age } = told.refused_reload;
    add("bad", `The configuration was refused ${span(age)} ago, the one before is in force: ${error}`);
  }
  for (const group of told.target_groups) {
    if (group.failing_open) add("bad", `${group.name}: too few healthy targets, requests go to all of them.`);
    const { source_error: silent } = group;
    if (silent) {
      add("warn", `${group.name}: where it learns of its targets fails since ${span(silent.age_seconds)}, the last ones stay: ${silent.error}`);
    }
  }
  for (const [name, { error }] of Object.entries(told.unresolved_names)) {
    add("warn", `The name ${name} cannot be resolved: ${error}`);
  }
  const store = told.session_store;
  if (store?.state === "away") {
    add("bad", `The session store ${store.store} is away since ${span(store.since_seconds)}: ${store.last_error?.error ?? "no answer"}`);
  } else if (store?.last_error) add("warn", `The session store ${store.store} does not take all: ${store.last_error.error}`);
  for (const { name, listener, expires_in_seconds: left } of told.certificates) {
    if (left < 14 * DAY) {
      const when = left < 0 ? `expired ${span(-left)} ago` : `expires in ${span(left)}`;
      add(left < 3 * DAY ? "bad" : "warn", `The certificate ${name} of listener ${listener} ${when}.`);
    }
  }
  if (told.shield?.off) add("warn", `The shield is off: ${told.shield.off}`);
  if (told.no_upgrades) add("warn", `This process cannot be upgraded: ${told.no_upgrades.error}`);
  if (told.totals.panics) add("warn", `${number(told.totals.panics)} bugs of the balancer's own ended a connection or a worker; the log names them.`);
  return found;
}

export function drawAttention(parent, told) {
  const found = attention(told);
  parent.hidden = !found.length;
  // By place, not by words: ages go on, and what is not new is not announced again.
  each(parent, found.map((one, place) => ({ ...one, place })), ({ tone, place }) => `${tone} ${place}`, ({ tone }) => {
    const [sign, words] = [tone === "bad" ? "▲" : "◐", el("span")];
    return { node: el("p", { class: `alert ${tone}` }, el("span", { "aria-hidden": "true" }, `${sign} `), words), words };
  }, (view, { text }) => say(view.words, text));
}

export function drawEvents(list, history) {
  const signs = { bad: "▲", good: "●", deployment: "◆" };
  const words = { bad: "trouble", good: "recovery", deployment: "change" };
  const shown = history.events.length ? history.events : [{ id: "none", kind: "none", text: "Nothing has changed since this page was opened." }];
  each(list, shown, ({ id }) => id, ({ at, kind, text }) => ({
    node: el("li", { class: kind },
      at ? el("time", { datetime: new Date(at).toISOString() }, clock(at)) : null,
      signs[kind] ? el("span", { class: "sign", role: "img", "aria-label": words[kind] }, signs[kind]) : null,
      el("span", {}, text)),
  }), () => {});
}

export function drawListeners(parent, told, history) {
  // No listener is named so: names have letters, digits and hyphens.
  const none = { name: " " };
  each(parent, told.listeners.length ? told.listeners : [none], ({ name }) => name, (listener) => {
    if (listener === none) return { node: el("p", { class: "muted" }, "There are no listeners.") };
    const [title, facts, rules] = [el("h3"), el("dl", { class: "facts" }), el("ol", { class: "rules" })];
    return { node: el("section", { class: "listener" }, title, facts, rules), title, facts, rules };
  }, (view, listener) => {
    if (listener === none) return;
    say(view.title, `${listener.name} · ${listener.protocol} ${listener.port}`);
    figures(view.facts, [
      ["requests / s", number(lately(history.count(`listener ${listener.name}`).rate))],
      ["connections", number(listener.connections_active)],
      ["own answers since the start", number(listener.own_responses)],
    ]);
    const rules = [...listener.rules, { name: "", priority: "default", conditions: "everything else", action: listener.action, default: true }];
    each(view.rules, rules, ({ priority, name }) => `${priority} ${name}`, () => {
      const [when, then, priority, rate] = [el("span"), el("strong"), el("span", { class: "muted" }), el("span", { class: "rate muted" })];
      return { node: el("li", {}, priority, when, el("span", { "aria-hidden": "true" }, " → "), then, rate), when, then, priority, rate };
    }, (row, rule) => {
      say(row.priority, `${rule.priority} `);
      say(row.when, rule.conditions);
      say(row.then, rule.action);
      const series = `listener ${listener.name} ${rule.default ? "default" : `rule ${rule.name}`}`;
      say(row.rate, ` ${number(lately(history.count(series).rate))} / s`);
    });
  });
}

export class Kernel {
  constructor(parent, actions) {
    this.detail = el("p", { class: "muted" });
    this.facts = el("dl", { class: "facts" });
    this.workers = el("ol", { class: "workers" });
    this.shield = el("dl", { class: "facts" });
    this.off = el("p", { class: "muted" });
    this.shieldBox = el("section", {}, el("h3", {}, "Shield (XDP)"), this.off, this.shield, actions.forShield());
    parent.append(this.detail, this.facts, el("h3", {}, "Workers"), this.workers, this.shieldBox);
  }

  draw(told, history) {
    say(this.detail, `${told.kernel_assist ? "In use" : "Not in use"}: ${told.kernel_assist_detail}`);
    const targets = told.target_groups.flatMap((group) => group.targets).filter(({ srtt_us: trip }) => trip);
    const trips = targets.map(({ srtt_us: trip }) => trip / 1e6).sort((a, b) => a - b);
    const recent = (name) => number(history.count(name).recent() || 0);
    figures(this.facts, [
      ["round trip, median", duration(trips[Math.floor(trips.length / 2)] ?? NaN)],
      ["round trip, longest", duration(trips.at(-1) ?? NaN)],
      ["sent again, 1 min", recent("retransmits")],
      ["resets, 1 min", recent("reset")],
      ["timeouts, 1 min", recent("timeouts")],
    ]);
    const workers = told.workers.map((worker, index) => ({ ...worker, index }));
    each(this.workers, workers, ({ index }) => index, ({ index }) => {
      const full = el("span", { class: "bar-full" });
      const value = el("span", { class: "bar-value" });
      return { node: el("li", { class: "bar-row" }, el("span", { class: "bar-label" }, `worker ${index + 1}`),
        el("span", { class: "bar-track", "aria-hidden": "true" }, full), value), full, value };
    }, (view, worker) => {
      view.full.style.inlineSize = `${Math.min(100, worker.busy_ratio * 100)}%`;
      say(view.value, `${percent(worker.busy_ratio)} busy, ${number(worker.connections)} connections`);
    });
    const { shield } = told;
    this.shieldBox.hidden = !shield;
    if (!shield) return;
    say(this.off, shield.off ?? `${shield.dry_run ? "only counts" : "drops"} at ${shield.interfaces.map(({ name, mode }) => `${name} (${mode})`).join(", ")}`);
    figures(this.shield, [
      ...Object.entries(shield.packets).map(([action, count]) => [action.replace("_", " "), number(count)]),
      ["denied at run time", number(shield.denied_at_run_time)],
    ]);
  }
}

export function drawCertificates(parent, told) {
  const sorted = [...told.certificates].sort((a, b) => a.expires_in_seconds - b.expires_in_seconds);
  const shown = sorted.length ? sorted : [null];
  each(parent, shown, (of) => (of ? `${of.listener} ${of.name}` : "none"), () => {
    const [name, when] = [el("strong"), el("span")];
    return { node: el("p", { class: "certificate" }, name, when), name, when };
  }, (view, of) => {
    if (!of) return say(view.name, "No listener speaks TLS.");
    const left = of.expires_in_seconds;
    const tone = left < 3 * DAY ? "bad" : left < 14 * DAY ? "warn" : "good";
    const sign = { bad: "▲", warn: "◐", good: "●" }[tone];
    say(view.name, `${of.name} · ${of.listener}`);
    set(view.when, "class", tone);
    say(view.when, ` ${sign} ${left < 0 ? "expired" : `${span(left)} left`}, ${of.not_after.slice(0, 10)}`);
  });
}

export class Process {
  constructor(parent) {
    this.facts = el("dl", { class: "facts" });
    this.list = el("ol", { class: "generations" });
    parent.append(this.facts, el("h3", {}, "Processes of the instance"), this.list);
  }

  draw(told) {
    const table = told.session_table;
    figures(this.facts, [
      ["reloads", number(told.reloads)],
      ["refused reloads", number(told.reload_failures), told.reload_failures ? "warn" : null],
      ["workers replaced", number(told.worker_restarts), told.worker_restarts ? "warn" : null],
      ["requests sent again", number(told.totals.retries)],
      table && ["session table", `${number(table.entries)} of ${number(table.capacity)}`],
    ]);
    each(this.list, told.generations, ({ pid }) => pid, () => ({ node: el("li") }), (view, one) => {
      const ends = one.ends_in_seconds === null ? "" : `, ends in ${span(one.ends_in_seconds)} at the latest`;
      say(view.node, `${one.draining ? "◐ finishes" : "● serves"}: ${one.pid}, version ${one.version}, up ${span(one.uptime_seconds)}, ` +
        `${number(one.requests_in_flight)} in flight, ${number(one.connections_active)} connections${ends}`);
    });
  }
}

export function drawFacts(list, told, history) {
  figures(list, [
    ["version", told.version],
    ["up", span(told.uptime_seconds)],
    ["workers", String(told.workers.length)],
    ["kernel side", told.kernel_assist ? "on" : "off"],
    ["history", span(Math.min(LENGTH, history.seconds))],
  ]);
}
