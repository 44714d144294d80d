// Draws figures over time. Every picture stands beside the same figure in words, and so is hidden from screen readers.
// Must not know: what the figures are.

import { clock, each, el, number, say, set, shape } from "./dom.js";

/** A line of the last figures; `fill`: with its area. */
export function spark(label) {
  const area = shape("path", { class: "area" });
  const line = shape("path", { class: "line" });
  const node = shape("svg", {
    class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false",
    "data-of": label,
  }, area, line);
  return { node, area, line };
}

export function drawSpark(view, values, least = 0) {
  const top = Math.max(least, ...values.filter(Number.isFinite)) || 1;
  const { line, area } = paths(values, 100, 24, top, 1.5);
  set(view.line, "d", line);
  set(view.area, "d", area);
}

/** The line through `values`, broken where there are none, and the area below. */
function paths(values, width, height, top, margin = 0) {
  const step = width / Math.max(1, values.length - 1);
  const y = (value) => (height - margin - (value / top) * (height - 2 * margin)).toFixed(1);
  let line = "";
  let area = "";
  let begun = null;
  const end = (i) => {
    if (begun !== null) area += `L${((i - 1) * step).toFixed(1)} ${height}L${begun} ${height}Z`;
    begun = null;
  };
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return end(i);
    const at = `${(i * step).toFixed(1)} ${y(value)}`;
    line += (begun === null ? "M" : "L") + at;
    area += (begun === null ? "M" : "L") + at;
    begun ??= (i * step).toFixed(1);
  });
  end(values.length);
  return { line, area };
}

/** Bars of sums of so many figures each. */
export function bars(label) {
  const path = shape("path", { class: "bars" });
  const node = shape("svg", {
    class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false",
    "data-of": label,
  }, shape("path", { class: "axis", d: "M0 23.500H100" }), path);
  return { node, path };
}

export function drawBars(view, values, each = 15) {
  const sums = [];
  for (let i = 0; i < values.length; i += each) {
    sums.push(values.slice(i, i + each).reduce((sum, value) => sum + (Number.isFinite(value) ? value : 0), 0));
  }
  const top = Math.max(1, ...sums);
  const width = 100 / sums.length;
  set(view.path, "d", sums.map((sum, i) => {
    if (!sum) return "";
    const height = Math.max(1.5, (sum / top) * 22);
    return `M${(i * width).toFixed(2)} 23v${-height.toFixed(1)}h${(width * 0.72).toFixed(2)}v${height.toFixed(1)}Z`;
  }).join(""));
}

const WIDTH = 900;
const HEIGHT = 150;
const MARKS = { bad: "M0 -5L5 4H-5Z", good: "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0", deployment: "M0 -5L5 0L0 5L-5 0Z" };

/** The time line: requests, what failed of them, events below. */
export class TimeLine {
  constructor(parent) {
    this.area = shape("path", { class: "area" });
    this.line = shape("path", { class: "line" });
    this.failed = shape("path", { class: "failed" });
    this.grid = shape("g", { class: "grid" });
    const picture = shape("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false",
    }, this.grid, this.area, this.line, this.failed);
    for (let i = 0; i <= 3; i++) this.grid.append(shape("path", { d: `M0 ${(i * HEIGHT) / 3}H${WIDTH}` }));
    this.top = el("span", { class: "chart-top" });
    this.marks = el("div", { class: "marks", "aria-hidden": "true" });
    this.ticks = el("div", { class: "ticks", "aria-hidden": "true" });
    this.said = el("p", { class: "quiet" });
    parent.append(
      el("p", { class: "legend" },
        el("span", { class: "key requests" }, "requests a second"),
        el("span", { class: "key failing" }, "failed a second (dashed)"),
        this.top),
      el("div", { class: "plot" }, picture), this.marks, this.ticks, this.said);
  }

  draw(history, at) {
    const minutes = [2, 5, 15].find((minutes) => history.seconds <= minutes * 60) ?? 15;
    const seconds = minutes * 60;
    const rate = history.count("requests").rate.last(seconds);
    const failed = history.count("failed").rate.last(seconds);
    const top = niceTop(Math.max(1, ...rate.filter(Number.isFinite), ...failed.filter(Number.isFinite)));
    const { line, area } = paths(rate, WIDTH, HEIGHT, top);
    set(this.line, "d", line);
    set(this.area, "d", area);
    set(this.failed, "d", paths(failed, WIDTH, HEIGHT, top).line);
    say(this.top, `full height: ${number(top)} a second`);
    const shown = history.events.filter((event) => at - event.at < seconds * 1000);
    each(this.marks, shown.slice(0, 80), (event) => event.id, (event) => {
      const node = shape("svg", { class: `mark ${event.kind}`, viewBox: "-7 -7 14 14" },
        shape("path", { d: MARKS[event.kind] }), shape("title", {}, event.text));
      return { node };
    }, (view, event) => {
      view.node.style.insetInlineStart = `${(100 - (at - event.at) / (seconds * 10)).toFixed(2)}%`;
    });
    const ticks = [1, 2 / 3, 1 / 3, 0].map((part) => part * seconds);
    each(this.ticks, ticks, (_) => ticks.indexOf(_), () => ({ node: el("span") }), (view, ago) => {
      say(view.node, ago ? clock(at - ago * 1000).slice(0, seconds < 300 ? 8 : 5) : "now");
    });
    say(this.said, `The last ${minutes} minutes: at most ${number(Math.max(0, ...rate.filter(Number.isFinite)))} requests a second.`);
    return minutes;
  }
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}
