// Writes V8's code cache of each chunk beside it (loader.ts), of what some runs have compiled: against a cluster and
// services that refuse every connection, in a folder of its own.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const { compile, load, scripts, sums } = createRequire(import.meta.url)(resolve('dist/proxwarden.js'));
const folder = mkdtempSync(join(tmpdir(), 'proxwarden-build-'));
try {
  const inventory = join(folder, 'inventory');
  mkdirSync(inventory, { mode: 0o700 });
  writeFileSync(join(inventory, 'token'), 'proxwarden@pve!build=00000000-0000-0000-0000-000000000000\n', {
    mode: 0o600,
  });
  // Port 1 of loopback: nothing listens there.
  writeFileSync(
    join(inventory, 'build.yaml'),
    `cluster: build
api: { endpoints: ['https://127.0.0.1:1'], token: file:token }
canaries: [tcp:127.0.0.1:1]
nodes: { pve1: { fence: [manual] } }
defaults: { backup: { storage: nas }, failover: { auto: true, restoreStorage: local } }
containers:
  web:
    vmid: 101
    nodes: [pve2]
    checks: [tcp: '127.0.0.1:1', http: 'http://127.0.0.1:1/']
`,
  );
  const { warm } = load('./warm.js');
  const flags = ['--inventory', inventory, '--state', join(folder, 'state')];
  // 5: nothing can be said of a cluster that is not there.
  const expected = { 'check-and-failover': 5, check: 5, decide: 5, status: 0 };
  await warm(['--version']);
  for (const words of [
    ['check-and-failover'],
    ['check-and-failover'],
    ['check'],
    ['decide'],
    ['status', '--json'],
    ['status'],
  ]) {
    const code = await warm([...words, ...flags]);
    const wanted = expected[words[0]];
    if (code !== wanted) throw new Error(`${words.join(' ')} has ended with ${code}, not ${wanted}`);
  }
  // What none of them has loaded: main.js, which would end this process, and the rarer commands.
  for (const name of readdirSync('dist'))
    if (name.endsWith('.js') && name !== 'proxwarden.js' && !scripts.has(resolve('dist', name)))
      compile(name);
  for (const [file, { script, source }] of scripts) {
    const data = script.createCachedData();
    writeFileSync(`${file}.cache`, Buffer.concat([sums(source, data), data]));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
// Nobody waits for what is still under way.
process.exit();
