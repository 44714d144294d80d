"""Starts a service as systemd does, over and over: keeps what it stores (FDSTORE=1) and passes it to the next process
(sd_listen_fds(3)). Words: the path of the notify socket, then the command. Each line of standard input ends the process and
starts another one; the end of it ends the last. Tells on standard output what it was told."""

import os
import signal
import socket
import subprocess
import sys
import threading

notify, command = sys.argv[1], sys.argv[2:]
store = {}
lock = threading.Lock()
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(notify)


def same(one, other):
    return os.fstat(one).st_ino == os.fstat(other).st_ino


def hear():
    while True:
        text, descriptors, _, _ = socket.recv_fds(listener, 4096, 253)
        fields = dict(line.split("=", 1) for line in text.decode().splitlines())
        with lock:
            kept = store.setdefault(fields.get("FDNAME", ""), [])
            if "FDSTORE" in fields:
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
                    if any(same(descriptor, other) for other in kept):
                        os.close(descriptor)
                    else:
                        kept.append(descriptor)
            if "FDSTOREREMOVE" in fields:
                for descriptor in kept:
                    os.close(descriptor)
                kept.clear()
            count = sum(len(kept) for kept in store.values())
        print(text.decode().replace("\n", " "), count, flush=True)


def start():
    with lock:
        kept = [(name, descriptor) for name, all_of_it in store.items() for descriptor in all_of_it]
    names = ":".join(name for name, _ in kept)
    # Out of the way of the numbers that they are to get.
    moved = [os.dup2(descriptor, 500 + index) for index, (_, descriptor) in enumerate(kept)]

    def passes():
        for index, descriptor in enumerate(moved):
            os.dup2(descriptor, 3 + index)
            os.close(descriptor)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(moved)), LISTEN_FDNAMES=names)
        os.environ["NOTIFY_SOCKET"] = notify
        os.execv(command[0], command)

    process = os.fork()
    if process == 0:
        passes()
    for descriptor in moved:
        os.close(descriptor)
    return process


threading.Thread(target=hear, daemon=True).start()
process = start()
print("started", process, flush=True)
for line in sys.stdin:
    os.kill(process, signal.SIGKILL if line.strip() == "kill" else signal.SIGTERM)
    os.waitpid(process, 0)
    print("ended", process, flush=True)
    if line.strip() == "wait":
        sys.stdin.readline()
    process = start()
    print("started", process, flush=True)
os.kill(process, signal.SIGTERM)
os.waitpid(process, 0)
