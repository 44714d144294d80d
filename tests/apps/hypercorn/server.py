"""An ASGI application under hypercorn, which changes to HTTP/2 when it is offered h2c: python server.py PORT.

Says of each request which version it came in, its method and body, and the names of its fields."""

import asyncio
import json
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    said = {
        "version": scope["http_version"],
        "method": scope["method"],
        "path": scope["path"],
        "body": body.decode(),
        "fields": sorted({name.decode() for name, _ in scope["headers"]}),
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


config = Config()
config.bind = [f"127.0.0.1:{sys.argv[1]}"]
config.loglevel = "ERROR"
asyncio.run(serve(app, config))
