#!/usr/bin/env bash
# Version 4.4.1 of h2 (PyPI), the HTTP/2 of httpx: whatever comes behind a GOAWAY, HEADERS and DATA of a stream that the GOAWAY promises to
# serve and PING among them, is a ProtocolError, and `receive_data` then gives back nothing of what came with it either: not the answer that
# stood before. RFC 9113, section 6.8: streams up to the last one go on, and who ends gracefully should send a GOAWAY with 2^31-1
# first. Seen, the answer being HEADERS with END_STREAM: "answer, PING, GOAWAY: 2 of 2 events", "answer, GOAWAY, PING: ProtocolError",
# "GOAWAY, answer: ProtocolError".
# For a load balancer: who tells such a client to go before its answer is out, or sends a PING behind that, costs it the request.
set -euo pipefail
command -v python3 >/dev/null || { echo "no python3 here"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env" && "$folder/env/bin/pip" install --quiet h2==4.4.1 >/dev/null 2>&1 ||
  { echo "h2 cannot be installed here"; exit 77; }
cat >"$folder/script.py" <<'PY'
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived
from h2.exceptions import ProtocolError

def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

GOAWAY = ("GOAWAY", frame(7, 0, 0, (2**31 - 1).to_bytes(4, "big") + bytes(4)))
PING = ("PING", frame(6, 0, 0, b"farewell"))
ANSWER = ("answer", frame(1, 5, 1, b"\x88"))  # HEADERS, END_STREAM and END_HEADERS: :status 200

for order in [(ANSWER, PING, GOAWAY), (ANSWER, GOAWAY, PING), (GOAWAY, ANSWER)]:
    client = H2Connection(H2Configuration())
    client.initiate_connection()
    client.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")], end_stream=True)
    client.receive_data(frame(4, 0, 0, b""))
    try:
        events = client.receive_data(b"".join(data for _, data in order))
        seen = f"{sum(isinstance(event, (ResponseReceived, ConnectionTerminated)) for event in events)} of 2 events"
    except ProtocolError:
        seen = "ProtocolError"
    print(", ".join(name for name, _ in order) + ": " + seen)
PY
seen=$("$folder/env/bin/python" "$folder/script.py")
echo "$seen"
[ "$seen" = "answer, PING, GOAWAY: 2 of 2 events
answer, GOAWAY, PING: ProtocolError
GOAWAY, answer: ProtocolError" ]
