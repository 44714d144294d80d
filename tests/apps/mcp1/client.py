"""Dialogues of the first Python SDK's client."""

import asyncio

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from dialogues import main, steps_of


async def session(url, steps, pause):
    async with streamablehttp_client(url) as (read, write, _):
        async with ClientSession(read, write) as client:
            await client.initialize()
            await steps_of(client, steps, pause)


asyncio.run(main(session))
