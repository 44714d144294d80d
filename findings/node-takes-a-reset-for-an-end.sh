#!/usr/bin/env bash
# Node.js 20.20.2, its `http2` client: a response whose body is cut off by RST_STREAM with NO_ERROR (0) or CANCEL (8), with
# no END_STREAM and fewer bytes than content-length says, ends like a whole one: `end` comes, and no `error`. With any
# other code (2, INTERNAL_ERROR) there is an `error`. RFC 9113, section 8.1: without END_STREAM the message is not whole.
# Seen: "0: end, 4 of 100 bytes, no error", "8: end, 4 of 100 bytes, no error", "2: error ERR_HTTP2_STREAM_ERROR".
# For a load balancer: the code of a target's reset must not be passed on as it is.
set -euo pipefail
command -v npm >/dev/null || { echo "no npm here"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node@20.20.2 >/dev/null 2>&1 || { echo "node cannot be installed here"; exit 77; }
cat >script.js <<'JS'
const net = require('net'), http2 = require('http2');
const frame = (kind, flags, stream, payload) => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3); head[3] = kind; head[4] = flags; head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const ask = (code) => new Promise((done) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(frame(4, 0, 0, Buffer.alloc(0)));
    let seen = Buffer.alloc(0), at = 24;
    socket.on('data', (data) => {
      seen = Buffer.concat([seen, data]);
      while (seen.length >= at + 9 && seen.length >= at + 9 + seen.readUIntBE(at, 3)) {
        const kind = seen[at + 3], flags = seen[at + 4], stream = seen.readUInt32BE(at + 5);
        at += 9 + seen.readUIntBE(at, 3);
        if (kind === 4 && !(flags & 1)) socket.write(frame(4, 1, 0, Buffer.alloc(0)));
        if (kind !== 1) continue;
        // :status 200, content-length 100; four bytes; then the reset, a moment later.
        socket.write(frame(1, 4, stream, Buffer.from([0x88, 0x0f, 0x0d, 3, 0x31, 0x30, 0x30])));
        socket.write(frame(0, 0, stream, Buffer.from('part')));
        const last = Buffer.alloc(4); last.writeUInt32BE(code);
        setTimeout(() => socket.write(frame(3, 0, stream, last)), 100);
      }
    });
  }).listen(0, '127.0.0.1', () => {
    const client = http2.connect(`http://127.0.0.1:${server.address().port}`);
    const request = client.request({ ':path': '/' });
    let bytes = 0, error = null, end = false;
    request.on('data', (data) => { bytes += data.length; });
    request.on('end', () => { end = true; });
    request.on('error', (what) => { error = what.code; });
    request.on('close', () => {
      done(error ? `error ${error}` : `${end ? 'end' : 'no end'}, ${bytes} of 100 bytes, no error`);
      client.destroy(); server.close();
    });
  });
});
(async () => { for (const code of [0, 8, 2]) console.log(`${code}: ${await ask(code)}`); process.exit(0); })();
setTimeout(() => process.exit(1), 20000);
JS
seen=$(node_modules/.bin/node script.js)
echo "$seen"
[ "$seen" = "0: end, 4 of 100 bytes, no error
8: end, 4 of 100 bytes, no error
2: error ERR_HTTP2_STREAM_ERROR" ]
