// A small site that keeps its visitors' state in memory: node server.js PORT
// A page with assets of several kinds, a WebSocket that echoes, /echo for uploads, /large for downloads. Every
// answer says in x-server which process gave it.
"use strict";
const http = require("node:http");
// socket.io, which the tests install, stands on it.
const { WebSocketServer } = require("ws");

const port = process.argv[2];
const assets = [1, 2, 3, 4, 5, 6];
const types = { css: "text/css", js: "text/javascript", svg: "image/svg+xml", txt: "text/plain" };
// Requests for /hold, which keep the page from being loaded until its script has said that it is done.
let held = [];
let done = false;

function release() {
  done = true;
  for (const response of held) response.end("<svg xmlns='http://www.w3.org/2000/svg'/>");
  held = [];
}

const script = `
  const results = document.getElementById("results");
  const servers = new Set(["${port}"]);
  const socket = new WebSocket("wss://" + location.host + "/chat");
  const messages = [];
  const finished = new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("question");
    socket.onerror = socket.onclose = () => reject(new Error("the socket ended"));
    socket.onmessage = (event) => messages.push(event.data) === 2 && resolve();
  });
  const texts = [1, 2, 3, 4, 5, 6, 7, 8].map(async (n) => {
    const response = await fetch("/asset/" + n + ".txt");
    servers.add(response.headers.get("x-server"));
  });
  const upload = fetch("/echo", { method: "POST", body: "x".repeat(300000) })
    .then((response) => response.text()).then((text) => text.length);
  Promise.all([finished, upload, ...texts]).then(([, echoed]) => {
    servers.add(messages[0]);
    const protocols = new Set(performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol));
    return "servers " + [...servers] + "; protocols " + [...protocols] + "; socket " + messages[1]
      + "; echoed " + echoed + "; scripts " + window.scripts;
  }).catch((error) => "failed: " + error).then((said) => {
    results.textContent = said;
    socket.send("done");
  });
`;

const page = `<!doctype html><html><head><title>a page</title>
${assets.map((n) => `<link rel="stylesheet" href="/asset/${n}.css">`).join("\n")}
${assets.map((n) => `<script src="/asset/${n}.js"></script>`).join("\n")}
</head><body>
${assets.map((n) => `<img src="/asset/${n}.svg" alt="">`).join("\n")}
<img src="/hold" alt=""><p id="results">nothing yet</p><script>${script}</script></body></html>`;

function asset(kind) {
  return {
    css: "body { color: black; }",
    js: "window.scripts = (window.scripts || 0) + 1;",
    svg: "<svg xmlns='http://www.w3.org/2000/svg'/>",
    txt: port,
  }[kind];
}

const server = http.createServer((request, response) => {
  const path = request.url.split("?")[0];
  response.setHeader("x-server", port);
  response.setHeader("cache-control", "no-store");
  const [, kind] = path.match(/^\/asset\/\d+\.(css|js|svg|txt)$/) || [];
  if (path === "/") {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(page);
  } else if (kind) {
    response.setHeader("content-type", types[kind]);
    response.end(asset(kind));
  } else if (path === "/hold") {
    response.setHeader("content-type", types.svg);
    held.push(response);
    if (done) release();
  } else if (path === "/echo") {
    request.pipe(response);
  } else if (path === "/large") {
    response.end(Buffer.alloc(5_000_000, "0123456789"));
  } else {
    response.statusCode = 404;
    response.end("nothing here");
  }
});

new WebSocketServer({ server }).on("connection", (socket) => {
  socket.send(port);
  socket.on("message", (data) => (String(data) === "done" ? release() : socket.send(`answer to ${data}`)));
});

server.keepAliveTimeout = 120_000;
server.listen(Number(port), "127.0.0.1");
