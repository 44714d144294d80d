"""Firefox, by its own protocol (Marionette): firefox.py URL PROFILE. Says what the page at the URL says in the end."""

import json
import pathlib
import socket
import subprocess
import sys
import time

url, folder = sys.argv[1:3]
profile = pathlib.Path(folder)
profile.mkdir(parents=True, exist_ok=True)
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
settings = {
    "marionette.port": port,
    "network.http.http3.enable": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "services.settings.server": "data:,",
    "extensions.systemAddon.update.enabled": False,
}
lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items())
(profile / "user.js").write_text("".join(lines))
command = ["firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
firefox = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def connected():
    end = time.monotonic() + 60
    while time.monotonic() < end and firefox.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit("Firefox does not listen")


def message(stream):
    length = b""
    while not length.endswith(b":"):
        length += stream.read(1)
    return json.loads(stream.read(int(length[:-1])))


try:
    with connected() as marionette, marionette.makefile("rb") as stream:
        message(stream)
        numbers = iter(range(1, 100_000))

        def ask(name, **parameters):
            said = json.dumps([0, next(numbers), name, parameters]).encode()
            marionette.sendall(b"%d:%s" % (len(said), said))
            _, _, error, result = message(stream)
            if error:
                raise SystemExit(f"{name}: {error}")
            return result

        ask("WebDriver:NewSession", acceptInsecureCerts=True)
        ask("WebDriver:Navigate", url=url)
        end = time.monotonic() + 60
        script = "return document.getElementById('results').textContent"
        while (said := ask("WebDriver:ExecuteScript", script=script, args=[])["value"]) == "nothing yet":
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        print(said)
finally:
    firefox.kill()
    firefox.wait()
