"""httpx over HTTP/2: python httpx_client.py URL CERTIFICATE. Says how many requests went over which protocol, and which
servers answered a client that keeps its cookies."""

import asyncio
import collections
import ssl
import sys

import httpx

url, certificate = sys.argv[1:]


async def main():
    context = ssl.create_default_context(cafile=certificate)
    versions, servers = collections.Counter(), set()
    async with httpx.AsyncClient(http2=True, verify=context, base_url=url, timeout=60, trust_env=False) as client:

        async def check(request, wanted):
            response = await request
            assert response.status_code == 200, response
            assert response.content == wanted, len(response.content)
            versions[response.http_version] += 1
            servers.add(response.headers["x-server"])

        first = await client.get("/asset/1.txt")
        servers.add(first.headers["x-server"])
        versions[first.http_version] += 1
        me = first.content
        # Many streams of one connection at a time, large bodies in both directions among them.
        await asyncio.gather(*(check(client.get(f"/asset/{n}.txt"), me) for n in range(100)))
        body = bytes(range(256)) * 4000
        await asyncio.gather(
            *(check(client.post("/echo", content=body), body) for _ in range(5)),
            *(check(client.get("/large"), b"0123456789" * 500_000) for _ in range(3)),
        )

        async def pieces():
            for _ in range(50):
                yield b"piece" * 1000

        await check(client.post("/echo", content=pieces()), b"piece" * 50_000)
        gone = await client.get("/gone")
        assert gone.status_code == 404 and gone.text == "nothing here", gone
    print(dict(versions), len(servers))


asyncio.run(main())
