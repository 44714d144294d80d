// Node's own HTTP/2 client: node http2.js URL CERTIFICATE. Says what httpx_client.py says.
"use strict";
const fs = require("node:fs");
const http2 = require("node:http2");

const [url, certificate] = process.argv.slice(2);
const session = http2.connect(url, { ca: fs.readFileSync(certificate) });
const servers = new Set();
let requests = 0;
let cookie = "";

function exchange(path, body) {
  return new Promise((resolve, reject) => {
    const fields = { ":path": path, ":method": body ? "POST" : "GET" };
    if (cookie) fields.cookie = cookie;
    const stream = session.request(fields);
    const parts = [];
    let head;
    stream.on("response", (fields) => (head = fields));
    stream.on("data", (part) => parts.push(part));
    stream.on("error", reject);
    stream.on("end", () => {
      requests += 1;
      servers.add(head["x-server"]);
      const cookies = (head["set-cookie"] || []).map((line) => line.split(";")[0]);
      if (cookies.length > 0) cookie = cookies.join("; ");
      resolve({ status: head[":status"], body: Buffer.concat(parts) });
    });
    // In pieces, so that the server sees the body arrive.
    for (let from = 0; body && from < body.length; from += 100_000) stream.write(body.subarray(from, from + 100_000));
    stream.end();
  });
}

async function main() {
  const first = await exchange("/asset/1.txt");
  const short = Array.from({ length: 100 }, (_, n) => exchange(`/asset/${n}.txt`));
  for (const { status, body } of await Promise.all(short)) {
    if (status !== 200 || !body.equals(first.body)) throw new Error(`${status} ${body}`);
  }
  const sent = Buffer.alloc(1_000_000, "abcdefghijk");
  const echoes = Array.from({ length: 5 }, () => exchange("/echo", sent));
  for (const { body } of await Promise.all(echoes)) if (!body.equals(sent)) throw new Error("another echo");
  const large = Array.from({ length: 3 }, () => exchange("/large"));
  for (const { body } of await Promise.all(large)) if (body.length !== 5_000_000) throw new Error("cut short");
  const rtt = await new Promise((resolve, reject) => session.ping((error, ms) => (error ? reject(error) : resolve(ms))));
  if (!(rtt >= 0)) throw new Error("no ping");
  const gone = await exchange("/gone");
  if (gone.status !== 404) throw new Error(`${gone.status}`);
  console.log(`${session.alpnProtocol} ${requests} ${servers.size}`);
  session.close();
}

session.on("error", (error) => {
  throw error;
});
main();
