// Sessions of the SDK's client side by side. Arguments: address, how many, steps of each; `wait`: all are held after their
// first step until a line comes. Prints how many were lost.
const { once } = require("node:events");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const [address, sessions, steps] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

let left = sessions;
const isHeld = process.argv[5] === "wait";
const over = isHeld ? once(process.stdin, "data") : Promise.resolve();

async function pause() {
  left -= 1;
  if (left === 0 && isHeld) console.log("begun");
  await over;
}

async function session() {
  const client = new Client({ name: "shopper", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL("mcp", address)));
  for (let step = 1; step <= steps; step += 1) {
    const result = await client.callTool({ name: "add", arguments: { item: "thing" } });
    const [where, count] = result.content[0].text.split(" ");
    if (Number(count) !== step) throw new Error(`${count} things of ${step} in ${where}`);
    if (step === 1) await pause();
  }
  await client.close();
}

Promise.allSettled(Array.from({ length: sessions }, session)).then((ends) => {
  const lost = ends.filter((end) => end.status === "rejected");
  lost.forEach((end) => console.error(String(end.reason)));
  console.log(`lost ${lost.length} of ${sessions}`);
  process.exit(0);
});
