"""Dialogues side by side, whatever the SDK. Arguments: address, how many, steps of each; `wait`. Prints how many were lost."""

import asyncio
import sys


class Pause:
    """Holds all sessions after their first step until a line comes, if that is asked for: says "begun" then."""

    def __init__(self, sessions):
        self.is_asked_for = "wait" in sys.argv
        self.begun = asyncio.Barrier(sessions + 1)
        self.over = asyncio.Event()

    async def wait(self):
        if self.is_asked_for:
            await self.begun.wait()
            await self.over.wait()

    async def hold(self):
        if self.is_asked_for:
            async with asyncio.timeout(60):
                await self.begun.wait()
            print("begun", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            self.over.set()


async def steps_of(client, steps, pause):
    for step in range(steps):
        result = await client.call_tool("add", {"item": f"thing {step}"})
        process, count = result.content[0].text.split()
        if int(count) != step + 1:
            raise RuntimeError(f"{count} things of {step + 1} in {process}")
        if step == 0:
            await pause.wait()


async def main(session):
    url, sessions, steps = sys.argv[1] + "mcp", int(sys.argv[2]), int(sys.argv[3])
    pause = Pause(sessions)
    all_sessions = asyncio.gather(*(session(url, steps, pause) for _ in range(sessions)), return_exceptions=True)
    try:
        await pause.hold()
    except TimeoutError:
        # Who has failed by then says why, and keeps nobody waiting.
        pause.over.set()
        await pause.begun.abort()
    lost = [end for end in await all_sessions if end is not None]
    for end in lost:
        print(repr(end), file=sys.stderr)
    print(f"lost {len(lost)} of {sessions}")

