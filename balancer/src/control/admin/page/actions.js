// What an operator does: with a token that this page keeps in its memory alone, and only where the balancer takes actions.
// Must not know: figures.

import { el, say, set } from "./dom.js";

const WEIGHTS = [100, 75, 50, 25, 10, 1];

export class Actions {
  constructor(parent, said) {
    this.said = said;
    this.token = null;
    this.listeners = new Set();
    this.open = el("button", { type: "button", id: "unlock" }, "Unlock actions");
    this.open.hidden = true;
    const field = el("input", { type: "password", id: "token-field", autocomplete: "off", spellcheck: "false", required: "" });
    this.note = el("p", { class: "muted" }, "The token of admin_token_file. This page forgets it when it is closed.");
    const close = el("button", { type: "button" }, "Cancel");
    const form = el("form", {}, el("label", { for: "token-field" }, "Admin token"), field, this.note,
      el("p", { class: "buttons" }, el("button", { type: "submit", id: "token-use" }, "Unlock"), close));
    this.dialog = el("dialog", { "aria-label": "Unlock actions" }, form);
    parent.append(this.open, this.dialog);
    this.open.addEventListener("click", () => {
      if (this.token) this.unlock(null);
      else this.dialog.showModal();
    });
    close.addEventListener("click", () => this.dialog.close());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.unlock(field.value.trim());
      field.value = "";
      this.dialog.close();
    });
  }

  unlock(token) {
    this.token = token;
    say(this.open, token ? "Lock actions" : "Unlock actions");
    for (const listener of this.listeners) listener();
  }

  draw(told) {
    this.open.hidden = !told.actions;
  }

  async ask(action) {
    try {
      const response = await fetch("/actions", {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${this.token}` },
        body: JSON.stringify(action),
      });
      const words = (await response.text()).trim();
      if (response.status === 401) this.unlock(null);
      this.tell(response.ok ? "good" : "bad", response.status === 401 ? "That is not the balancer's token." : words);
    } catch {
      this.tell("bad", "The balancer did not answer.");
    }
  }

  tell(tone, words) {
    set(this.said, "class", `alert ${tone}`);
    this.said.hidden = false;
    say(this.said, `${tone === "good" ? "●" : "▲"} ${words}`);
  }

  /** What can be done to a target: shown once the page has a token. */
  forTarget(group, target) {
    const node = el("span", { class: "tools" });
    const drain = el("button", { type: "button", class: "drain" });
    const weight = el("select", { "aria-label": `Weight of ${target}` },
      ...WEIGHTS.map((percent) => el("option", { value: percent }, `${percent} %`)));
    let now = {};
    drain.addEventListener("click", () => this.ask({ action: now.drained ? "undrain" : "drain", group: group.name, target }));
    weight.addEventListener("change", () => this.ask({ action: "weight", group: group.name, target, percent: Number(weight.value) }));
    const draw = (told = now) => {
      now = told;
      const may = this.token !== null && told.state !== "draining";
      if (may && !node.firstChild) node.append(drain, ...(group.algorithm === "weighted_random" ? [weight] : []));
      if (!may) node.replaceChildren();
      say(drain, told.drained ? "Undrain" : "Drain");
      set(drain, "aria-label", `${told.drained ? "Undrain" : "Drain"} ${target}`);
      if (document.activeElement !== weight) weight.value = String(Math.round((told.set_weight ?? 1) * 100));
    };
    this.listeners.add(draw);
    return { node, draw, end: () => this.listeners.delete(draw) };
  }

  /** Denies sources, where there is a shield. */
  forShield() {
    const prefix = el("input", { "aria-label": "Address or prefix", placeholder: "192.0.2.0/24", required: "", size: "16" });
    const span = el("select", { "aria-label": "For how long" },
      ...[["600", "10 min"], ["3600", "1 h"], ["86400", "1 day"], ["", "until allowed"]].map(([value, text]) => el("option", { value }, text)));
    const allow = el("button", { type: "button" }, "Allow again");
    const node = el("form", { class: "deny" }, prefix, span, el("button", { type: "submit" }, "Deny"), allow);
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask({ action: "deny", prefix: prefix.value.trim(), seconds: span.value ? Number(span.value) : null });
    });
    allow.addEventListener("click", () => this.ask({ action: "undeny", prefix: prefix.value.trim() }));
    const draw = () => { node.hidden = this.token === null; };
    this.listeners.add(draw);
    draw();
    return node;
  }
}
