/** What is probed, as cheap as it can be: a port that accepts, one that answers HTTP, one that never answers. */
import { createServer, type Socket } from 'node:net';

const ANSWER =
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n';
const BACKLOG = 16_384;

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) =>
    server.listen({ host: '0.0.0.0', port: 0, backlog: BACKLOG }, resolve),
  );
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const tcp = await listen((socket) => socket.resume());
const http = await listen((socket) => socket.once('data', () => socket.resume().end(ANSWER)));
const silent = await listen((socket) => socket.resume());
console.log(JSON.stringify({ tcp, http, silent }));
process.stdin.resume().once('end', () => process.exit());
