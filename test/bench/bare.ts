/** The limit: the same targets by a loop over bare sockets, `node bare.js CONCURRENCY` with `KIND HOST PORT` lines on stdin. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const concurrency = Number(process.argv[2]);
const targets = (await text(process.stdin)).trimEnd().split('\n');
let next = 0;
let good = 0;

function probe(): void {
  const target = targets[next];
  if (target === undefined) return;
  next += 1;
  const [kind, host, port] = target.split(' ');
  const socket = connect({ host: host ?? '', port: Number(port) });
  let seen = '';
  socket.once('connect', () => {
    if (kind === 'http') return void socket.write(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
    good += 1;
    socket.destroy();
  });
  socket.on('data', (chunk) => (seen += chunk.toString('latin1')));
  socket.once('end', () => {
    if (seen.startsWith('HTTP/1.1 200')) good += 1;
    socket.destroy();
  });
  socket.on('error', () => undefined);
  socket.once('close', probe);
}

for (let n = 0; n < concurrency; n += 1) probe();
process.once('exit', () => console.log(`${good} of ${targets.length}`));
