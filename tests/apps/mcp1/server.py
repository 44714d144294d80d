"""Tools of a session that lives in this process, by the first Python SDK. Argument: the port."""

import os
import sys

from mcp.server.fastmcp import Context, FastMCP

server = FastMCP("shop", host="127.0.0.1", port=int(sys.argv[1]), log_level="ERROR")
carts = {}


@server.tool()
async def add(item: str, context: Context) -> str:
    """Puts something into the cart of its client; says which process has it and how much there is in it."""
    cart = carts.setdefault(context.request_context.request.headers["mcp-session-id"], [])
    cart.append(item)
    return f"{os.getpid()} {len(cart)}"


server.run(transport="streamable-http")
