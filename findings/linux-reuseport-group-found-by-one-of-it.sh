#!/usr/bin/env bash
# Linux, version 6.18.44: the kernel looks for a socket that listens for a SYN's address and interface, but once one socket of an
# SO_REUSEPORT group fits, it takes any of the group by a hash, whether that one fits or not. Where two of three sockets at 127.0.0.1 are
# bound to an interface that nobody has (SO_BINDTOIFINDEX, which needs no right), most of those who connect come to one of these two,
# have no answer, and ask again after a second. Neither the third socket, which does fit, nor a socket at 0.0.0.0, which would have got
# them all had none been left of the group, sees them. One at a time is thus the wrong way to take sockets out of a group: a program that
# chooses the one that goes last (SO_ATTACH_REUSEPORT_CBPF) has to go first, and then nobody waits.
# Needs nothing but Python 3 and a loopback interface.
# Seen 2026-11-29 with Python 3.11:
#   nobody bound away: 0 of 60 without an answer
#   two of three: some, and not all, of 60 without an answer
#   two of three, the third chosen: 0 of 60 without an answer
#   all three: 0 of 60 without an answer, 60 at the wide address
set -euo pipefail
command -v python3 >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/seen.py" <<'PYTHON'
import ctypes, socket, struct

SO_BINDTOIFINDEX, SO_ATTACH_REUSEPORT_CBPF, NOWHERE, CLIENTS = 62, 51, 0x7FFFFFFF, 60


def listening(address, port):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((address, port))
    one.listen(256)
    one.setblocking(False)
    return one


def group():
    first = listening("127.0.0.1", 0)
    port = first.getsockname()[1]
    return port, [first] + [listening("127.0.0.1", port) for _ in range(2)], listening("0.0.0.0", port)


def come_to(sockets):
    count = 0
    for one in sockets:
        try:
            while True:
                one.accept()[0].close()
                count += 1
        except BlockingIOError:
            pass
    return count


def unanswered(port):
    clients = []
    for _ in range(CLIENTS):
        client = socket.socket()
        client.settimeout(0.2)
        clients.append((client, client.connect_ex(("127.0.0.1", port)) != 0))
    for client, _ in clients:
        client.close()
    return sum(lost for _, lost in clients)


def away(one):
    one.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NOWHERE)


def choose(one, number):
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, number))
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, struct.pack("HxxxxxxP", 1, ctypes.addressof(program)))


port, narrow, wide = group()
print(f"nobody bound away: {unanswered(port)} of {CLIENTS} without an answer")
come_to(narrow)
for one in narrow[:2]:
    away(one)
lost = unanswered(port)
how_many = "some, and not all," if 0 < lost < CLIENTS else str(lost)
print(f"two of three: {how_many} of {CLIENTS} without an answer")
assert come_to([wide]) == 0 and come_to(narrow[:2]) == 0 and come_to(narrow[2:]) == CLIENTS - lost

port, narrow, wide = group()
choose(narrow[0], 2)
for one in narrow[:2]:
    away(one)
print(f"two of three, the third chosen: {unanswered(port)} of {CLIENTS} without an answer")
come_to(narrow)
away(narrow[2])
lost = unanswered(port)
print(f"all three: {lost} of {CLIENTS} without an answer, {come_to([wide])} at the wide address")
PYTHON
python3 "$folder/seen.py" | tee "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
nobody bound away: 0 of 60 without an answer
two of three: some, and not all, of 60 without an answer
two of three, the third chosen: 0 of 60 without an answer
all three: 0 of 60 without an answer, 60 at the wide address
SEEN
