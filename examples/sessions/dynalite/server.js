// A server with DynamoDB's API: node server.js PORT. A client that goes in the middle of a request is no reason to end.
const dynalite = require('dynalite')

const server = dynalite({ createTableMs: 1 })
server.on('request', (request, response) => {
  for (const side of [request, response]) side.on('error', () => {})
})
server.listen(Number(process.argv[2]), '127.0.0.1')
