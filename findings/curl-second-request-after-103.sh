#!/usr/bin/env bash
# curl 7.88.1 (Debian 12, with nghttp2 1.52.0), HTTP/2 with prior knowledge: a request whose response comes behind a 103
# (Early Hints) succeeds, and each further one on that connection fails with "(16) Error in the HTTP2 framing layer". Without the
# 103 all succeed. The server is Node.js 20.20.2's `http2`, which sends the 103 by `additionalHeaders`.
# Seen: "without 103: 200 200 200", "with 103: 200 000 000".
# For a load balancer: what looks like broken frames behind a proxy that passes 103 on is this client's; RFC 9113, section 8.1,
# allows any number of interim responses before the final one.
set -euo pipefail
command -v npm >/dev/null || { echo "no npm here"; exit 77; }
command -v apt-get >/dev/null || { echo "no apt-get here"; exit 77; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node@20.20.2 >/dev/null 2>&1 || { echo "node cannot be installed here"; exit 77; }
apt-get download curl libcurl4 >/dev/null 2>&1 || { echo "curl cannot be downloaded here"; exit 77; }
for package in ./*.deb; do dpkg-deb -x "$package" root; done
library=$(dirname "$(find root -name 'libcurl.so.4' | head -n 1)")
curl() { LD_LIBRARY_PATH="$library" root/usr/bin/curl "$@"; }
curl --version | head -n 1 | grep -q '^curl 7\.88\.1 ' || { echo "another curl: $(curl --version | head -n 1)"; exit 77; }
cat >server.js <<'JS'
const server = require('http2').createServer();
server.on('stream', (stream, headers) => {
  if (headers[':path'].startsWith('/hints')) stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
  stream.respond({ ':status': 200, 'content-type': 'text/plain' });
  stream.end('hello');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
JS
node_modules/node/bin/node server.js >port &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done
ask() {
    curl --silent --max-time 5 --http2-prior-knowledge --output /dev/null --write-out '%{http_code} ' \
        "http://127.0.0.1:$(cat port)/$1?[1-3]" || true
}
without=$(ask plain)
with=$(ask hints)
echo "without 103: $without"
echo "with 103: $with"
[ "$without" = "200 200 200 " ] && [ "$with" = "200 000 000 " ]
