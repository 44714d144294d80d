"""A WebSocket server that sends every message back. python server.py PORT"""

import asyncio
import os
import sys

# The cases send a message of 4 MiB in pieces of 64 bytes.
os.environ["WEBSOCKETS_MAX_FRAGMENTS"] = str(1 << 17)

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    # The cases of compression echo 10 GB: what is sent back has the form of compression and is left as it is.
    deflate = ServerPerMessageDeflateFactory(compress_settings={"level": 0})
    # Pings of its own would mix with what the cases expect.
    settings = {"max_size": None, "ping_interval": None, "compression": None, "extensions": [deflate]}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **settings) as server:
        await server.serve_forever()


asyncio.run(main())
