#!/usr/bin/env bash
# Jetty 9.4.57 (Debian's libjetty9-java 9.4.57-1.1~deb12u1, connector with HttpConnectionFactory and
# HTTP2CServerConnectionFactory) and `Upgrade: h2c`:
# - its 101 has neither Upgrade nor Connection, though a 101 has to name the protocol (RFC 9110, sections 7.8 and 15.2.2).
#   Who holds a 101 against what was asked, as a proxy should, finds that it names nothing.
# - an offer without HTTP2-Settings is 400, where RFC 7540 (section 3.2.1) has the server not change protocols; another
#   protocol that it does not know it passes over, and the request is answered.
# For a load balancer: HTTP2-Settings is a field of the connection, which proxies take out. One that takes it out and lets
# Upgrade pass turns requests of clients that only offer h2c (Java's HttpClient, curl --http2) into 400.
# Seen 2026-11-28 with Java 17.0.15:
#   whole offer: HTTP/1.1 101 Switching Protocols | no Upgrade | no Connection
#   without HTTP2-Settings: HTTP/1.1 400 Missing HTTP2-Settings header
#   another protocol: HTTP/1.1 200 OK
set -euo pipefail
for program in javac python3 apt-get dpkg-deb; do command -v $program >/dev/null || exit 77; done
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download libjetty9-java=9.4.57-1.1~deb12u1 libservlet-api-java=4.0.1-2 >/dev/null 2>&1 || exit 77
for package in *.deb; do dpkg-deb -x "$package" . || exit 77; done
jars=usr/share/java
path=$(printf "$jars/%s.jar:" jetty9-{server,http,io,util,http2-server,http2-common,http2-hpack} servlet-api)
cat >Seen.java <<'JAVA'
import org.eclipse.jetty.http2.server.HTTP2CServerConnectionFactory;
import org.eclipse.jetty.server.*;
import org.eclipse.jetty.server.handler.AbstractHandler;

public class Seen {
    public static void main(String[] arguments) throws Exception {
        HttpConfiguration settings = new HttpConfiguration();
        Server server = new Server();
        ServerConnector connector =
            new ServerConnector(server, new HttpConnectionFactory(settings), new HTTP2CServerConnectionFactory(settings));
        connector.setHost("127.0.0.1");
        server.addConnector(connector);
        server.setHandler(new AbstractHandler() {
            public void handle(String target, Request base, javax.servlet.http.HttpServletRequest request,
                    javax.servlet.http.HttpServletResponse response) {
                base.setHandled(true);
            }
        });
        server.start();
        System.out.println(connector.getLocalPort());
        server.join();
    }
}
JAVA
javac -cp "$path" -d . Seen.java
timeout 60 java -cp "$path:." Seen >port 2>log &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.2; done
[ -s port ] || { cat log; exit 77; }
cat >seen.py <<'PYTHON'
import socket, sys

def ask(fields):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
    first, *rest = answer.split(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, {line.split(":")[0].lower() for line in rest}

first, names = ask("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
missing = [f"no {name}" for name in ("Upgrade", "Connection") if name.lower() not in names]
print(" | ".join([f"whole offer: {first}", *missing]))
print("without HTTP2-Settings:", ask("Connection: Upgrade\r\nUpgrade: h2c\r\n")[0])
print("another protocol:", ask("Connection: Upgrade\r\nUpgrade: other\r\n")[0])
PYTHON
python3 seen.py "$(cat port)" >seen
cat seen
cat >wanted <<'TEXT'
whole offer: HTTP/1.1 101 Switching Protocols | no Upgrade | no Connection
without HTTP2-Settings: HTTP/1.1 400 Missing HTTP2-Settings header
another protocol: HTTP/1.1 200 OK
TEXT
diff wanted seen
