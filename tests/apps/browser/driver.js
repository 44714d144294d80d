// Drives Chromium by lines of JSON on standard input, each answered by one: what a test cannot do over HTTP alone.
const fs = require("fs");
const readline = require("readline");
const { chromium } = require("playwright-core");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", "--disable-quic"];
let page = null;
let told = { requests: [], complaints: [], violations: [] };

async function open({ url, width = 1280, height = 900, scheme = "light" }, browser) {
  if (page) await page.context().close();
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  page = await context.newPage();
  const mine = { requests: [], complaints: [], violations: [] };
  told = mine;
  await page.exposeBinding("__violated", (_, what) => mine.violations.push(what));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.__violated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`));
  });
  page.on("request", (request) => mine.requests.push(request.url()));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) mine.complaints.push(message.text());
  });
  page.on("pageerror", (error) => mine.complaints.push(String(error.stack)));
  await page.goto(url);
}

async function axe() {
  await page.evaluate(fs.readFileSync(require.resolve("axe-core"), "utf8"));
  const { violations, passes } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  const shown = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  return { violations: shown, passes: passes.length };
}

/** Asks from outside: what the page's policy forbids it, it cannot be made to do for us. */
async function wait({ script, seconds }) {
  const end = Date.now() + seconds * 1000;
  while (!(await page.evaluate(script))) {
    if (Date.now() > end) throw new Error(`not so within ${seconds} s; the page: ${await page.evaluate("document.body.innerText")}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const commands = {
  open,
  eval: ({ script }) => page.evaluate(script),
  wait,
  click: ({ selector }) => page.click(selector, { timeout: 10000 }),
  press: ({ key }) => page.keyboard.press(key),
  fill: ({ selector, text }) => page.fill(selector, text, { timeout: 10000 }),
  shot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => true),
  axe,
  told: () => told,
};

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    let answer;
    try {
      answer = { ok: (await commands[command.do](command, browser)) ?? null };
    } catch (error) {
      answer = { error: String(error.message) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await browser.close();
}

main().catch((error) => {
  process.stdout.write(JSON.stringify({ error: String(error.stack) }) + "\n");
  process.exit(1);
});
