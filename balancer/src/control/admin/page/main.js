// Listens to the balancer, remembers, and has it all drawn. Must not know: how any part is drawn.

import { Actions } from "./actions.js";
import { TimeLine } from "./charts.js";
import { say, set } from "./dom.js";
import { Groups } from "./groups.js";
import { History } from "./history.js";
import { Kernel, Process, drawAttention, drawCertificates, drawEvents, drawFacts, drawListeners, drawTiles } from "./panels.js";

const RETRY = 1000;
const LATE = 4000;
const at = (id) => document.getElementById(id);

const history = new History();
const actions = new Actions(at("token"), at("done"));
const views = {
  line: new TimeLine(at("chart")),
  groups: new Groups(at("group-list"), actions),
  kernel: new Kernel(at("kernel"), actions),
  process: new Process(at("process")),
};
let told = null;
let heard = 0;
let paused = false;

function draw() {
  if (!told || paused || document.hidden) return;
  const now = Date.now();
  say(at("instance"), told.instance);
  document.title = `balancer · ${told.instance}`;
  drawFacts(at("facts"), told, history);
  actions.draw(told);
  drawAttention(at("alerts"), told);
  drawTiles(at("tiles"), told, history);
  const minutes = views.line.draw(history, now);
  say(at("time-note"), `the last ${minutes} minutes, as far as this page has seen them`);
  drawEvents(at("events"), history);
  views.groups.draw(told, history);
  drawListeners(at("listeners"), told, history);
  views.kernel.draw(told, history);
  drawCertificates(at("certificates"), told);
  views.process.draw(told);
  const { dataset } = document.documentElement;
  dataset.drawn = String(history.seconds);
  dataset.drawnAfter ??= String(Math.round(performance.now()));
}

function state(tone, text) {
  say(at("live"), text);
  set(at("live"), "class", `pill ${tone}`);
}

function take(data) {
  told = JSON.parse(data);
  heard = Date.now();
  history.take(told, heard);
  if (!paused) state(told.draining ? "warn" : "good", told.draining ? "◐ ending" : "● live");
  draw();
}

/** Server-sent events, read by hand: so a refusal is read in its own words. */
async function listen(signal) {
  const response = await fetch("/events", { signal, cache: "no-store", headers: { accept: "text/event-stream" } });
  if (!response.ok) throw new Error((await response.text()).trim());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) take(event.slice(6));
  }
}

async function follow() {
  for (;;) {
    const stop = new AbortController();
    // A network that is gone says nothing.
    const watch = setInterval(() => {
      if (heard && Date.now() - heard > LATE) stop.abort();
    }, 1000);
    heard = Date.now();
    try {
      await listen(stop.signal);
      state("warn", "◐ reconnecting");
    } catch (error) {
      const words = error.name === "AbortError" || error instanceof TypeError ? "no answer, trying again" : error.message;
      state("bad", `▲ ${words}`);
    }
    clearInterval(watch);
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  set(at("pause"), "aria-pressed", String(paused));
  say(at("pause"), paused ? "Go on" : "Pause");
  if (paused) state("warn", "◐ paused");
  else draw();
});
document.addEventListener("visibilitychange", draw);
follow();
