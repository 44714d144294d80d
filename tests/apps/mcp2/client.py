"""Dialogues of the second Python SDK's client, in the mode of 2025-11-25."""

import asyncio
import sys
from pathlib import Path

from mcp.client import Client

sys.path.append(str(Path(__file__).parent.parent / "mcp1"))
from dialogues import main, steps_of


async def session(url, steps, pause):
    async with Client(url, mode="legacy") as client:
        await steps_of(client, steps, pause)


asyncio.run(main(session))
