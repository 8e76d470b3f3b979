/** Asks a blackbox exporter for the same targets over keep-alive connections: `node ask-exporter.js URL CONCURRENCY`, targets on stdin. */
import { text } from 'node:stream/consumers';
import { Pool } from 'undici';

const [, , url = '', concurrency] = process.argv;
const targets = (await text(process.stdin)).trimEnd().split('\n');
const pool = new Pool(url, { connections: Number(concurrency) });
const answers = await Promise.all(
  targets.map(async (target) => {
    const [kind, host, port] = target.split(' ');
    const asked = kind === 'http' ? `http://${host}:${port}/` : `${host}:${port}`;
    const path = `/probe?module=${kind}&target=${encodeURIComponent(asked)}`;
    const { body } = await pool.request({ method: 'GET', path });
    return (await body.text()).includes('\nprobe_success 1\n');
  }),
);
console.log(`${answers.filter(Boolean).length} of ${targets.length}`);
await pool.close();
