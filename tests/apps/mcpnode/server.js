// Tools of sessions that live in this process, by the SDK of Node.js. Argument: the port.
const { randomUUID } = require("node:crypto");
const { createServer } = require("node:http");
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { z } = require("zod");

const transports = new Map();

async function begin() {
  let cart = 0;
  const server = new McpServer({ name: "shop", version: "1.0.0" });
  server.registerTool("add", { inputSchema: { item: z.string() } }, async () => ({
    content: [{ type: "text", text: `${process.pid} ${(cart += 1)}` }],
  }));
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

createServer(async (request, response) => {
  if (request.url !== "/mcp") return response.writeHead(404).end();
  const id = request.headers["mcp-session-id"];
  const transport = id === undefined ? await begin() : transports.get(id);
  if (transport === undefined) return response.writeHead(404).end("no such session");
  return transport.handleRequest(request, response);
}).listen(Number(process.argv[2]), "127.0.0.1");
