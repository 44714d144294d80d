// undici, the client that Node's fetch is made of, where it may speak HTTP/2: node undici.js URL CERTIFICATE. Says what
// httpx_client.py says. One request at a time: with more, versions for Node 18 mix up their own requests (before Node's server as well).
"use strict";
const fs = require("node:fs");
const { Agent, request } = require("undici");

const [url, certificate] = process.argv.slice(2);
const dispatcher = new Agent({ allowH2: true, connections: 1, pipelining: 1, connect: { ca: fs.readFileSync(certificate) } });
const servers = new Set();
let requests = 0;
let cookie = "";

async function exchange(path, body) {
  const headers = cookie ? { cookie } : {};
  const answer = await request(url + path, { dispatcher, method: body ? "POST" : "GET", headers, body });
  const content = Buffer.from(await answer.body.arrayBuffer());
  requests += 1;
  servers.add(answer.headers["x-server"]);
  const cookies = [answer.headers["set-cookie"] || []].flat().map((line) => line.split(";")[0]);
  if (cookies.length > 0) cookie = cookies.join("; ");
  return { status: answer.statusCode, body: content };
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
  const gone = await exchange("/gone");
  if (gone.status !== 404) throw new Error(`${gone.status}`);
  console.log(`${requests} ${servers.size}`);
  await dispatcher.close();
}

main();
