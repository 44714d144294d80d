// socket.io's own client over HTTP long-polling: CLIENTS connections that say MESSAGES things each and want each counted.
// Each keeps its cookies, as a browser does. Prints how many lost their session on the way.
const { Manager } = require("socket.io-client");

const [url, clients, messages] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

async function talk() {
  const manager = new Manager(url, { transports: ["polling"], withCredentials: true, reconnection: false });
  const socket = manager.socket("/");
  let broken = false;
  socket.on("connect_error", () => (broken = true));
  socket.on("disconnect", () => (broken = true));
  for (let number = 1; number <= messages && !broken; number++) {
    try {
      const reply = await socket.timeout(5000).emitWithAck("say", `message ${number}`);
      broken ||= reply.count !== number || reply.text !== `message ${number}`;
    } catch {
      broken = true;
    }
  }
  socket.removeAllListeners("disconnect");
  socket.disconnect();
  return broken;
}

(async () => {
  const outcomes = await Promise.all(Array.from({ length: clients }, talk));
  console.log(`lost ${outcomes.filter(Boolean).length} of ${clients}`);
  process.exit(0);
})();
