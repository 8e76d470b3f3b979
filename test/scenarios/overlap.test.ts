/**
 * A run every minute while a restore takes half an hour: the others are checked, counted and looked after meanwhile, no
 * run waits for the one that restores, its operation is nobody else's, and the lock is held for moments.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { openOperations } from '../../lib/state/operations.ts';
import { count } from '../contract/count.ts';
import { Stage } from './harness/stage.ts';
import { carryOut } from './harness/steps.ts';
import { WorldFile } from './harness/world.ts';

/** `npm run soak` goes on to its end. */
const RUNS = process.env['SOAK'] === undefined ? 10 : 30;
const MINUTE = 60_000;
/** At 50 MiB a second: half an hour. */
const DISK_MIB = 90_000;

const WORLD = `
containers:
  - { vmid: 101, name: web, node: pve1, diskMiB: ${DISK_MIB}, serves: ['http 10.0.0.101:80'] }
  - { vmid: 102, name: db, node: pve2, serves: ['tcp 10.0.0.102:5432'] }
  - { vmid: 103, name: mail, node: pve3, serves: ['tcp 10.0.0.103:25'] }
backups:
  - { vmid: 101, age: 4h }
  - { vmid: 102, age: 4h }
  - { vmid: 103, age: 4h }
`;
const INVENTORY = `
cluster: home
api:
  endpoints: [https://10.0.0.11:8006, https://10.0.0.12:8006, https://10.0.0.13:8006]
  token: env:PROXWARDEN_TOKEN
canaries: [tcp:10.0.0.1:53, tcp:10.0.0.9:8007]
nodes:
  pve1:
    fence:
      - http:
          off: { url: 'http://10.0.0.8/plug/pve1/relay?turn=off' }
          status: { url: 'http://10.0.0.8/plug/pve1/relay', field: ison, off: false }
defaults:
  backup: { storage: nas }
  failover: { auto: true, restoreStorage: local }
containers:
  web: { vmid: 101, nodes: [pve2, pve3], checks: [http: 'http://10.0.0.101/'] }
  db: { vmid: 102, nodes: [pve3], checks: [tcp: '10.0.0.102:5432'] }
  mail: { vmid: 103, nodes: [pve2], checks: [tcp: '10.0.0.103:25'] }
`;

/** How long the lock was held, in real milliseconds, each time. */
function watchHolds(t: TestContext): number[] {
  const held: number[] = [];
  const taken = new Map<string, number>();
  const { symlinkSync, renameSync } = fs;
  fs.symlinkSync = (target, path, type) => {
    symlinkSync(target, path, type);
    if (/\/lock\/\d+$/.test(String(path))) taken.set(String(path), performance.now());
  };
  fs.renameSync = (from, to) => {
    renameSync(from, to);
    const since = taken.get(String(to));
    if (since !== undefined) held.push(performance.now() - since);
  };
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(fs, { symlinkSync, renameSync });
    syncBuiltinESMExports();
  });
  return held;
}

test('a run every minute while a restore takes half an hour', async (t) => {
  const stage = new Stage(WorldFile.parse(parse(WORLD)), { inventory: INVENTORY });
  t.after(() => stage.close());
  const held = watchHolds(t);
  const step = async (text: string): Promise<void> => {
    await carryOut(stage, text);
    stage.check();
  };
  const operations = () => openOperations(stage.stateOf('a'), { clock: stage.clock }).list().operations;
  for (const text of ['cron', 'wait 20s', 'kill pve1', 'cron 2', 'wait 53s']) await step(text);
  await step('run check-and-failover &');
  let oldest = 0;
  for (let run = 0; run < RUNS; run += 1) {
    if (run === 5) await step('crash 102');
    // As cron does: whatever becomes of the runs before.
    await stage.clock.advance(stage.clock.now() % MINUTE === 0 ? 0 : MINUTE - (stage.clock.now() % MINUTE));
    await step('run check-and-failover &');
    await stage.clock.advance(MINUTE - 1);
    stage.check();
    const record = stage.state().containers['mail'];
    assert.ok(
      (record?.countedAt ?? 0) > stage.clock.now() - MINUTE,
      `the others were not counted in run ${run}`,
    );
    const web = operations().find((op) => op.container === 'web');
    assert.equal(web?.status, 'running', `run ${run}`);
    oldest = Math.max(oldest, stage.clock.now() - web.lease.heartbeatAt);
  }
  assert.ok(oldest <= 31_000, `a heartbeat was ${oldest} ms old`);
  // What ends by itself is started again, while web is being restored.
  assert.deepEqual(
    operations().map((op) => `${op.container} ${op.kind} ${op.status}`),
    ['web failover running', 'db start done'],
  );
  await step('join');
  assert.equal(operations().find((op) => op.container === 'web')?.status, 'done');
  await step('expect running web on pve2');
  const restores = stage.lab.calls.filter((call) => /^POST .*lxc vmid=1000101/.test(call));
  assert.equal(restores.length, 1);
  const most = Math.max(...held);
  assert.ok(held.length > 50 && most < 10_000, `held for ${most} ms`);
  count(
    t,
    `${RUNS} runs during one restore of half an hour: the others were counted in each, the lock was held ${held.length} times, ${most.toFixed(1)} ms at most`,
  );
});
