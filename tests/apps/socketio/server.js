// A socket.io server on the port given. Its sessions (engine.io ids and what each said) live in the memory of this process.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { transports: ["polling"] });
io.on("connection", (socket) => {
  let count = 0;
  socket.on("say", (text, reply) => reply({ text, count: ++count }));
});
http.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
