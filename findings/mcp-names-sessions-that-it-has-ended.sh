#!/usr/bin/env bash
# Versions: mcp 1.30.0 (PyPI) with uvicorn 0.54.0 and starlette 1.10.0, Python 3.11. Its server over streamable HTTP names a session on a
# response that refuses to begin one: asked to initialize by a client that accepts application/json alone it answers 406 and puts
# a fresh `mcp-session-id` on that, another one each time. A request with such an id is answered 404 ("Session not found") without
# one; the id on a 200 is that of a session.
# For a load balancer: who keeps clients with a server by that field, and learns its values from responses, must not learn from any
# that is no 2xx, or each probe of a client leaves an entry for a session that nobody will ever come back with.
# Seen 2026-11-29:
#   refused: 406 with an id, again: 406 with another
#   a request with it: 404; one with the id on a 200: 200
set -euo pipefail
command -v python3 >/dev/null && command -v curl >/dev/null || { echo "needs python3 and curl"; exit 77; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || { echo "needs python3-venv"; exit 77; }
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install mcp==1.30.0 uvicorn==0.54.0 starlette==1.10.0 \
    || { echo "the packages cannot be had"; exit 77; }
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > "$folder/server.py" <<'PY'
import sys

from mcp.server.fastmcp import FastMCP

FastMCP("small", host="127.0.0.1", port=int(sys.argv[1]), log_level="ERROR").run(transport="streamable-http")
PY
"$folder/venv/bin/python" "$folder/server.py" "$port" > "$folder/log" 2>&1 &
server=$!
url=http://127.0.0.1:$port/mcp
for _ in $(seq 100); do
    curl -s -o /dev/null "$url" && break
    sleep 0.2
done

initialize='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},
"clientInfo":{"name":"small","version":"1"}}}'
# Asks with these fields and this content: status and id of the session on the response.
ask() {
    local accept=$1 id=$2 content=$3 fields=()
    [ -z "$id" ] || fields=(-H "Mcp-Session-Id: $id")
    curl -s --max-time 20 -D "$folder/head" -o /dev/null "$url" -H "Accept: $accept" -H 'Content-Type: application/json' \
        "${fields[@]}" -d "$content"
    tr -d '\r' < "$folder/head" | awk 'NR == 1 { status = $2 } tolower($1) == "mcp-session-id:" { id = $2 } END { print status, id }'
}

both='application/json, text/event-stream'
read -r refused first < <(ask application/json '' "$initialize")
read -r again second < <(ask application/json '' "$initialize")
read -r dead on_dead < <(ask "$both" "$first" '{"jsonrpc":"2.0","id":2,"method":"ping"}')
read -r begun third < <(ask "$both" '' "$initialize")
read -r alive _ < <(ask "$both" "$third" '{"jsonrpc":"2.0","id":2,"method":"ping"}')
echo "refused: $refused with ${first:+an id}, again: $again with $([ "$first" = "$second" ] && echo the same || echo another)"
echo "a request with it: $dead${on_dead:+ with an id}; one with the id on a $begun: $alive"
[ "$refused" = 406 ] && [ "$again" = 406 ] && [ -n "$first" ] && [ -n "$second" ] && [ "$first" != "$second" ] \
    && [ "$dead" = 404 ] && [ -z "$on_dead" ] && [ "$begun" = 200 ] && [ -n "$third" ] && [ "$alive" = 200 ] \
    || { echo "this has changed"; exit 1; }
