// Makes and changes nodes. Text is only ever set as text, so nothing that a target or a client says becomes markup.
// Must not know: what is shown.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const shape = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Sets the text of a node, if it is another one: what has not changed is not announced again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function set(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

const kept = new WeakMap();

/** Has `parent` hold one node for each item, in order; a node stays as long as its key does, and with it the focus. */
export function each(parent, items, key, make, update) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  let at = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    if (now.has(name)) continue;
    const view = before.get(name) ?? make(item);
    now.set(name, view);
    update(view, item);
    if (view.node === at) at = at.nextSibling;
    else parent.insertBefore(view.node, at);
  }
  for (const [name, view] of before) if (!now.has(name)) {
    view.node.remove();
    view.end?.();
  }
  kept.set(parent, now);
}

/** A list of terms and figures, changed in place. */
export function figures(list, pairs) {
  each(list, pairs.filter(Boolean), ([term]) => term, ([term]) => {
    const value = el("dd");
    return { node: el("div", {}, el("dt", {}, term), value), value };
  }, (view, [, text, tone]) => {
    say(view.value, text);
    set(view.value, "class", tone);
  });
}

export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return `${short(value / 1e9)} G`;
  if (size >= 1e6) return `${short(value / 1e6)} M`;
  if (size >= 1e4) return `${short(value / 1e3)} k`;
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return value.toFixed(size >= 10 ? 0 : 1);
}

const short = (value) => value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) {
    const minutes = Math.floor((whole % 3600) / 60);
    return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  return `${Math.floor(whole / 86400)} days`;
}

export function duration(seconds, least = 0) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < least) return `< ${duration(least)}`;
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

export const percent = (share) => (Number.isFinite(share) ? `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %` : "–");

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

export const bytes = (value) => `${number(value)}B`;
