"""Tools of a session that lives in this process, by the second Python SDK. Argument: the port."""

import os
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("shop", log_level="ERROR")
carts = {}


@server.tool()
async def add(item: str, context: Context) -> str:
    """Puts something into the cart of its client; says which process has it and how much there is in it."""
    cart = carts.setdefault(context.headers["mcp-session-id"], [])
    cart.append(item)
    return f"{os.getpid()} {len(cart)}"


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
