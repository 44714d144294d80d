"""A shop with a login and a cart: one application, and four places where its sessions may be.

    python shop.py --port 9001 --sessions memory
    python shop.py --port 9001 --sessions redis    --url redis://127.0.0.1:6379
    python shop.py --port 9001 --sessions dynamodb --url http://127.0.0.1:4567
    python shop.py --port 9001 --sessions token    --secret secret.key --revoked revoked.txt

Requests: POST /login?user=NAME, POST /cart/ITEM, GET /cart, POST /logout, GET /health. Who has no session, or one that this
process does not know, is answered 401. X-Target names the process, Server-Timing what the session cost.
"""

import argparse
import json
import time
import urllib.parse
from http.cookies import CookieError, SimpleCookie

import waitress

import stores

COOKIE = "shop"


class Shop:
    """The application, by WSGI (PEP 3333)."""

    def __init__(self, name, sessions):
        self.name = name
        self.sessions = sessions

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/health":
            return self.answer(start_response, "200 OK", {"ok": True}, 0.0, None)
        began = time.perf_counter()
        session = self.sessions.find(cookie(environ))
        spent = time.perf_counter() - began
        status, body, change = self.route(environ, session)
        began = time.perf_counter()
        value = change() if change else None
        spent += time.perf_counter() - began
        return self.answer(start_response, status, body, spent, value)

    def route(self, environ, session):
        """Status, body, and what changes the sessions and says what the cookie is from then on."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (method, path) == ("POST", "/login"):
            user = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"])).get("user", "")
            if not user:
                return "400 Bad Request", {"error": "who is it?"}, None
            new = {"user": user, "items": []}
            return "200 OK", new, lambda: self.sessions.begin(new)
        if session is None:
            return "401 Unauthorized", {"error": "please log in"}, None
        if (method, path) == ("GET", "/cart"):
            return "200 OK", session.state, None
        if method == "POST" and path.startswith("/cart/"):
            state = {**session.state, "items": [*session.state["items"], path.removeprefix("/cart/")][-20:]}
            return "200 OK", state, lambda: self.sessions.change(session, state)
        if (method, path) == ("POST", "/logout"):
            return "200 OK", {"bye": session.state["user"]}, lambda: self.sessions.end(session)
        return "404 Not Found", {"error": "there is no such page"}, None

    def answer(self, start_response, status, body, spent, value):
        body = json.dumps(body).encode()
        fields = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Target", self.name),
            ("Server-Timing", f"session;dur={spent * 1000:.3f}"),
        ]
        if value is not None:
            fields.append(("Set-Cookie", f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax"))
        start_response(status, fields)
        return [body]


def cookie(environ):
    """The value of the session's cookie; none where there is none that can be read."""
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--name", default=None, help="what it is called in X-Target; its port by default")
    arguments.add_argument("--sessions", choices=sorted(stores.KINDS), default="memory")
    arguments.add_argument("--url", help="of the store")
    arguments.add_argument("--secret", help="file with the key that tokens are signed by")
    arguments.add_argument("--revoked", help="file with the tokens that were logged out, which all processes share")
    options = arguments.parse_args()
    shop = Shop(options.name or str(options.port), stores.KINDS[options.sessions](options))
    # Longer than the balancer keeps an idle connection: who closes first loses a request now and then.
    waitress.serve(shop, listen=f"127.0.0.1:{options.port}", threads=8, channel_timeout=180, ident="shop")


if __name__ == "__main__":
    main()
