#!/usr/bin/env bash
# Versions: curl 7.88.1 (Debian 12, with nghttp2 1.52.0), Node.js 20.20.2. With `--http2-prior-knowledge`, of several requests
# on one connection the first succeeds, and each further one fails with "(16) Error in the HTTP2 framing layer". A connection of
# its own for each succeeds. The server is Node.js's `http2`.
# Seen: "one connection: 200 000 000", "one each: 200 200 200".
# For a load balancer: whoever tries HTTP/2 without TLS with Debian 12's curl and several URLs sees what looks like broken
# frames. They are not.
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
curl --version | grep -q '^curl 7\.88\.1 ' || { echo "another curl: $(curl --version)"; exit 77; }
cat >server.js <<'JS'
const server = require('http2').createServer();
server.on('stream', (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'text/plain' });
  stream.end('hello');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
JS
node_modules/node/bin/node server.js >port &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done
ask() {
    curl --silent --max-time 5 --http2-prior-knowledge --output /dev/null --write-out '%{http_code} ' "$1" || true
}
together=$(ask "http://127.0.0.1:$(cat port)/[1-3]")
apart=$(for number in 1 2 3; do ask "http://127.0.0.1:$(cat port)/$number"; done)
echo "one connection: $together"
echo "one each: $apart"
[ "$together" = "200 000 000 " ] && [ "$apart" = "200 200 200 " ]
