"""What clients of a listener see: which target answers them, and the cookies that they are given."""

import http.client
import time


def ask(port, path="/", cookies="", host="127.0.0.1", name=None):
    """Status, target and cookies of a request."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers={"Cookie": cookies} if cookies else {})
        response = connection.getresponse()
        response.read()
        given = [value.split(";")[0] for field, value in response.getheaders() if field.lower() == "set-cookie"]
        return response.status, response.getheader("X-Target"), given
    finally:
        connection.close()


def until(what, condition, seconds=60):
    """Waits until `condition` gives something, and gives that; a refused connection is nothing."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (ConnectionError, http.client.HTTPException) as error:
            found, last = None, error
        else:
            last = found
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"no {what} within {seconds} s: {last}")
        time.sleep(0.02)


def sticks(port, cookie, path="/", host="127.0.0.1"):
    """Whether each of a few clients stays where it was, by a cookie of this name; gives the targets that they are at."""
    seen = set()
    for _ in range(6):
        status, target, cookies = ask(port, path, host=host)
        assert status == 200, status
        mine = [given for given in cookies if given.startswith(cookie + "=")]
        assert mine, f"no cookie {cookie} among {cookies}"
        for _ in range(5):
            again = ask(port, path, "; ".join(cookies), host=host)
            assert again[:2] == (200, target), f"{again} is not at {target}"
        seen.add(target)
    return seen
