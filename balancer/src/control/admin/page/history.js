// What was told over time: rates of counters, what became of sessions, events. Kept by the page; bounded.
// Must not know: how it is drawn.

export const LENGTH = 900;
const RECENT = 60;
const EVENTS = 200;
const NAMES = 5000;

/** The last figures, one a second; NaN where nothing was told. */
export class Series {
  constructor() {
    this.values = new Float32Array(LENGTH).fill(NaN);
    this.end = 0;
  }

  push(value) {
    this.values[this.end] = value;
    this.end = (this.end + 1) % LENGTH;
  }

  /** The last `count`, oldest first. */
  last(count) {
    const told = new Array(count);
    for (let i = 0; i < count; i++) told[i] = this.values[(this.end - count + i + LENGTH) % LENGTH];
    return told;
  }

  sum(count = LENGTH) {
    return this.last(count).reduce((sum, value) => sum + (Number.isFinite(value) ? value : 0), 0);
  }
}

/** A counter: its last readings, and its increase over time, a second and from one reading to the next. */
class Count {
  constructor() {
    this.rate = new Series();
    this.gain = new Series();
    this.readings = [];
  }

  push(value, seconds) {
    const before = this.readings.at(-1);
    // A counter that goes back has begun anew.
    const more = before === undefined || value < before ? NaN : value - before;
    if (value < before) this.readings = [];
    this.rate.push(more / seconds);
    this.gain.push(more);
    this.readings.push(value);
    if (this.readings.length > RECENT + 1) this.readings.shift();
  }

  recent(seconds = RECENT) {
    const { readings } = this;
    if (readings.length < 2) return NaN;
    return readings.at(-1) - readings.at(Math.max(0, readings.length - 1 - seconds));
  }
}

/** A histogram's last readings. */
class Spread {
  constructor() {
    this.readings = [];
    this.middle = new Series();
    this.tail = new Series();
  }

  push(told, bounds) {
    const before = this.readings.at(-1);
    if (before && told.counts.some((count, i) => count < (before.counts[i] ?? 0))) this.readings = [];
    this.readings.push(told);
    if (this.readings.length > 11) this.readings.shift();
    this.middle.push(this.quantile(0.5, bounds));
    this.tail.push(this.quantile(0.99, bounds));
  }

  increase() {
    const [first, last] = [this.readings[0], this.readings.at(-1)];
    if (!last || first === last) return [];
    return last.counts.map((count, i) => count - (first.counts[i] ?? 0));
  }

  /** Of the last ten seconds. */
  quantile(part, bounds) {
    const counts = this.increase();
    const all = counts.reduce((sum, count) => sum + count, 0);
    if (!all) return NaN;
    let left = all * part;
    for (const [i, count] of counts.entries()) {
      if (count >= left && count > 0) {
        const low = i ? bounds[i - 1] : 0;
        return low + ((bounds[i] ?? low * 2) - low) * (left / count);
      }
      left -= count;
    }
    return NaN;
  }

  mean() {
    const [first, last] = [this.readings[0], this.readings.at(-1)];
    const all = this.increase().reduce((sum, count) => sum + count, 0);
    return all ? (last.sum_seconds - first.sum_seconds) / all : NaN;
  }
}

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** What several counters have gone up by, all together: one that comes or goes with its figure changes no sum. */
class Sum {
  constructor() {
    this.before = new Map();
    this.total = 0;
  }

  add(readings) {
    for (const [name, value] of readings) {
      const before = this.before.get(name);
      if (before !== undefined) this.total += value < before ? value : value - before;
      this.before.set(name, value);
    }
    // Names may come without end.
    if (this.before.size > NAMES) this.before = new Map(readings);
    return this.total;
  }
}

export class History {
  constructor() {
    this.tracks = new Map();
    this.sums = { failed: new Sum(), moved: new Sum() };
    this.events = [];
    this.before = null;
    this.at = 0;
    this.seconds = 0;
  }

  /** How many of the last seconds are worth showing, `most` at most: a page that was just opened shows what it has. */
  window(most) {
    return Math.min(most, Math.max(30, this.seconds));
  }

  count(name) { return this.track(name, Count); }
  gauge(name) { return this.track(name, Series); }
  spread(name) { return this.track(name, Spread); }

  track(name, kind) {
    let track = this.tracks.get(name);
    if (!track) this.tracks.set(name, (track = new kind()));
    track.seen = this.seconds;
    return track;
  }

  take(told, at) {
    const seconds = this.at ? Math.max(0.5, (at - this.at) / 1000) : 1;
    // What was missed stays empty.
    for (let i = 1; this.at && i < Math.min(LENGTH, Math.round(seconds)); i++) this.skip();
    this.seconds++;
    this.note(told, at);
    this.totals(told, seconds);
    for (const group of told.target_groups) this.group(group, told.bounds, seconds);
    for (const [index, worker] of told.workers.entries()) {
      this.gauge(`worker ${index}`).push(worker.busy_ratio);
    }
    this.before = told;
    this.at = at;
    // What is gone for as long as is shown is forgotten.
    for (const [name, track] of this.tracks) if (this.seconds - track.seen > LENGTH) this.tracks.delete(name);
  }

  skip() {
    for (const track of this.tracks.values()) {
      for (const series of [track, track.rate, track.gain, track.middle, track.tail]) {
        if (series instanceof Series) series.push(NaN);
      }
    }
  }

  totals(told, seconds) {
    const { totals, listeners, target_groups: groups } = told;
    this.count("requests").push(totals.requests, seconds);
    this.count("own").push(total(totals.own_responses), seconds);
    const own = ["502", "503", "504"].map((status) => [` ${status}`, totals.own_responses[status] ?? 0]);
    const failed = groups.map((group) => [group.name, group.responses["5xx"] ?? 0]);
    this.count("failed").push(this.sums.failed.add([...own, ...failed]), seconds);
    this.gauge("connections").push(totals.connections_active);
    const targets = new Map(groups.flatMap((group) => group.targets).map((target) => [target.name, target]));
    const sum = (figure) => [...targets.values()].reduce((sum, target) => sum + target[figure], 0);
    this.gauge("outstanding").push(sum("outstanding_requests"));
    for (const figure of ["retransmits", "reset", "timeouts"]) this.count(figure).push(sum(figure), seconds);
    this.count("moved").push(this.sums.moved.add(groups.map((group) => [group.name, moved(group)])), seconds);
    const counts = [];
    let sumOf = 0;
    for (const { name, request_duration: told, requests, rules, default_action_requests: others } of listeners) {
      told.counts.forEach((count, i) => (counts[i] = (counts[i] ?? 0) + count));
      sumOf += told.sum_seconds;
      this.count(`listener ${name}`).push(requests, seconds);
      for (const rule of rules) this.count(`listener ${name} rule ${rule.name}`).push(rule.requests, seconds);
      this.count(`listener ${name} default`).push(others, seconds);
    }
    this.spread("duration").push({ counts, sum_seconds: sumOf }, told.bounds);
  }

  group(group, bounds, seconds) {
    const of = (name) => `${group.name} ${name}`;
    this.count(of("requests")).push(group.requests, seconds);
    this.count(of("failed")).push((group.responses["5xx"] ?? 0) + total(group.failures), seconds);
    this.spread(of("time")).push(group.response_time, bounds);
    for (const [outcome, count] of Object.entries(group.stickiness?.decisions ?? {})) {
      this.count(of(`outcome ${outcome}`)).push(count, seconds);
    }
    if (group.stickiness) this.count(of("moved")).push(moved(group), seconds);
    for (const target of group.targets) {
      this.count(of(`target ${target.name}`)).push(target.requests, seconds);
      this.count(of(`failed ${target.name}`)).push(target.failed + target.unanswered + target.connection_errors, seconds);
      const [time, count] = [this.count(of(`time ${target.name}`)), this.count(of(`answered ${target.name}`))];
      time.push(target.response_seconds, seconds);
      count.push(target.answered, seconds);
      const answered = count.recent(5);
      this.gauge(of(`latency ${target.name}`)).push(answered ? time.recent(5) / answered : NaN);
    }
  }

  /** Events are what differs from what was told before. */
  note(told, at) {
    const { before } = this;
    if (!before) return;
    const add = (kind, text) => this.events.unshift({ at, kind, text, id: `${at} ${this.events.length} ${text}` });
    const process = (of) => of.generations[0]?.pid;
    if (process(before) !== process(told) || told.uptime_seconds + 5 < before.uptime_seconds) {
      add("deployment", `process ${process(told) ?? ""} of version ${told.version} serves`);
    }
    if (told.reloads > before.reloads) add("deployment", "configuration reloaded");
    if (told.refused_reload && !before.refused_reload) add("bad", `reload refused: ${told.refused_reload.error}`);
    if (told.worker_restarts > before.worker_restarts) add("bad", "a worker was replaced");
    if (told.draining && !before.draining) add("bad", "the process is ending");
    for (const group of told.target_groups) {
      const old = before.target_groups.find(({ name }) => name === group.name);
      if (!old) add("deployment", `group ${group.name} added`);
      else noteGroup(group, old, add);
    }
    for (const { name } of before.target_groups) {
      if (!told.target_groups.some((group) => group.name === name)) add("deployment", `group ${name} removed`);
    }
    this.events.length = Math.min(this.events.length, EVENTS);
  }
}

function noteGroup(group, old, add) {
  if (group.failing_open !== old.failing_open) {
    if (group.failing_open) add("bad", `${group.name} has too few healthy targets and uses all of them`);
    else add("good", `${group.name} uses healthy targets alone again`);
  }
  const targets = new Map(old.targets.map((target) => [target.name, target]));
  for (const target of group.targets) {
    const was = targets.get(target.name);
    targets.delete(target.name);
    const where = `${target.name} of ${group.name}`;
    if (!was) add("deployment", `${where} registered`);
    else if (was.state !== target.state) {
      const kinds = { healthy: "good", unhealthy: "bad", draining: "deployment" };
      const why = target.check_error && target.state === "unhealthy" ? `: ${target.check_error.error}` : "";
      add(kinds[target.state] ?? "deployment", `${where} is ${target.state}${why}`);
    } else if (was.drained !== target.drained) {
      add("deployment", `${where} ${target.drained ? "is drained: no new sessions" : "takes new sessions again"}`);
    }
  }
  for (const name of targets.keys()) add("deployment", `${name} of ${group.name} is gone`);
}

/** Why a session did not go on where it was, for people; what is not here is no loss. */
export const REASONS = {
  unhealthy: "moved: target unhealthy",
  draining: "moved: target draining",
  unknown_target: "moved: target gone",
  expired: "ended: too old",
  forged: "refused: key unknown",
  malformed: "refused: cookie damaged",
};

export function moved(group) {
  const decisions = group.stickiness?.decisions ?? {};
  return Object.keys(REASONS).reduce((sum, reason) => sum + (decisions[reason] ?? 0), 0);
}
