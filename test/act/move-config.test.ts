/** Moving the original's config aside and back: what is demanded first, and what is made of every answer of the shell. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { checkConfig, moveConfig, moveConfigBack } from '../../lib/act/move-config.ts';
import type { OperationContext } from '../../lib/act/journal.ts';
import { formatLineage } from '../../lib/decide/lineage.ts';
import type { FailoverAction } from '../../lib/decide/model.ts';
import type { ShellRequest, ShellResult } from '../../lib/runtime.ts';
import { at, lineOf, MAC, MINUTE } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

const NET = `net0: name=eth0,bridge=vmbr0,hwaddr=${MAC},ip=10.0.0.53/24,type=veth`;
const CONFIG = `arch: amd64\nhostname: dns\nmemory: 512\n${NET}\nonboot: 1\nrootfs: local:101/vm-101-disk-0.raw,size=8G\n`;

const ACTION: FailoverAction = {
  container: 'dns',
  mode: 'planned',
  from: at('pve1/101@0'),
  target: { cluster: 'home', node: 'pve2' },
  alternatives: [],
  vmid: 101,
  epoch: 1,
  volid: null,
  backupAt: null,
  sourceAlive: true,
  fence: [],
  retire: 'config-moved',
};

class Shelf {
  readonly bench: ActBench;
  readonly context: OperationContext;
  readonly orders: string[] = [];
  config = CONFIG;
  /** Whether a move is carried out, and what is answered. */
  carriesOut = true;
  answer: ShellResult = { kind: 'ended', exitCode: 0, output: '' };

  constructor(t: TestContext) {
    this.bench = new ActBench(t, { failover: { identity: 'same-vmid' } });
    const { pve } = this.bench;
    pve.guest(101).running = false;
    pve.guest(101).config.onboot = false;
    this.context = this.bench.operation();
    this.bench.shellResult = (request) => this.#carryOut(request);
  }

  #carryOut({ node, order }: ShellRequest): ShellResult {
    const { pve } = this.bench;
    if (order.kind === 'read-config') {
      const sum = createHash('sha1').update(this.config).digest('hex');
      return { kind: 'ended', exitCode: 0, output: `${sum}  -\n${this.config}` };
    }
    assert.ok(order.kind === 'move-config');
    this.orders.push(`${order.from} → ${order.to} @${node}`);
    assert.notEqual(this.bench.journal(this.context.op.id).data.moved, null, 'the journal knows of it first');
    if (this.carriesOut && order.from.startsWith('nodes/')) pve.guests.delete(101);
    if (this.carriesOut && order.to.startsWith('nodes/')) pve.add('pve1', 101, { running: false });
    return this.answer;
  }

  check(): Promise<string> {
    return this.bench.run(checkConfig(this.context, ACTION));
  }

  move(action: Partial<FailoverAction> = {}): Promise<string> {
    return this.bench.run(moveConfig(this.context, { ...ACTION, ...action }));
  }

  back(): Promise<string> {
    return this.bench.run(moveConfigBack(this.context, ACTION.from));
  }
}

const ASIDE =
  /^nodes\/pve1\/lxc\/101\.conf → proxwarden\/retired\/CT101-of-dns-epoch0-from-home-pve1-by-op-.*\.conf @pve2$/;

test('moved aside by a proof, and back; each done once more it is recognised', async (t) => {
  const shelf = new Shelf(t);
  assert.match(await shelf.check(), /can be moved aside/);
  assert.match(await shelf.move(), /^P2 that pve1\/101@0 is not running.*disks are untouched on pve1$/);
  assert.match(shelf.orders[0] ?? '', ASIDE);
  assert.match(await shelf.move(), /it had been moved before this run was cut/);
  assert.match(await shelf.back(), /is on pve1 again/);
  assert.equal(shelf.context.op.data.moved, null);
  assert.equal(await shelf.back(), 'nothing was moved');
});

const WRONG: readonly (readonly [string, (shelf: Shelf) => unknown, RegExp])[] = [
  ['another MAC', (s) => (s.config = CONFIG.replace(MAC, 'BC:24:11:FF:FF:FF')), /it is of another container/],
  ['no interface at all', (s) => (s.config = CONFIG.replace(`${NET}\n`, '')), /MAC none/],
  [
    'a copy’s line in the original’s place',
    (s) =>
      (s.config = `#${encodeURIComponent(formatLineage(lineOf({ container: 'dns', node: 'pve1', vmid: 101 })))}\n${CONFIG}`),
    /don't say that it is epoch 0/,
  ],
  [
    'a disk on shared storage',
    (s) => (s.config = CONFIG.replace('local:101', 'nas:101')),
    /rootfs \(nas:101.*shared storage/,
  ],
  ['a replication job', (s) => s.bench.pve.replicated.push(101), /a storage replication job/],
  [
    'an HA entry',
    (s) => s.bench.pve.ha.push({ sid: 'ct:101', state: 'stopped', group: null, comment: '' }),
    /an HA entry ct:101/,
  ],
];
for (const [what, change, why] of WRONG)
  test(`not moved, and found out before anything is stopped: ${what}`, async (t) => {
    const shelf = new Shelf(t);
    change(shelf);
    await assert.rejects(shelf.check(), why);
    await assert.rejects(shelf.move(), why);
    assert.deepEqual(shelf.orders, []);
    assert.equal(shelf.context.op.data.moved, null);
  });

test('not moved: it runs, or a dead node is back', async (t) => {
  const running = new Shelf(t);
  running.bench.pve.guest(101).running = true;
  await assert.rejects(running.move(), /P0 that pve1\/101@0 is not running/);
  const back = new Shelf(t);
  await assert.rejects(back.move({ sourceAlive: false }), /pve1 is back, with data that is newer/);
  assert.deepEqual([...running.orders, ...back.orders], []);
});

test('refused by the shell: nothing was done, and nothing is to be undone', async (t) => {
  const shelf = new Shelf(t);
  shelf.carriesOut = false;
  shelf.answer = { kind: 'not-sent', why: 'pve2 has no quorum' };
  await assert.rejects(shelf.move(), /pve2 has no quorum/);
  assert.equal(shelf.context.op.data.moved, null);
  // Every node that is online was tried, the original's own last.
  assert.deepEqual(
    shelf.orders.map((o) => o.split('@')[1]),
    ['pve2', 'pve3', 'pve1'],
  );
});

test('the answer is lost: the list says whether it has been moved', async (t) => {
  const done = new Shelf(t);
  done.answer = { kind: 'unknown', why: 'the connection was lost' };
  assert.match(await done.move(), /disks are untouched/);
  const not = new Shelf(t);
  not.answer = done.answer;
  not.carriesOut = false;
  const before = not.bench.clock.now();
  await assert.rejects(not.move(), /CT 101 is still on pve1: .*connection was lost/);
  assert.ok(not.bench.clock.now() - before >= MINUTE, 'it may arrive late');
  assert.equal(not.context.op.data.moved, null);
});

test('a move that is known to nobody is undone, too; a taken vmid and a silent shell keep it where it is', async (t) => {
  const shelf = new Shelf(t);
  await shelf.move();
  shelf.bench.pve.add('pve3', 101);
  await assert.rejects(
    shelf.back(),
    /vmid 101 is taken on pve3: the config of dns stays in \/etc\/pve\/proxwarden\/retired\//,
  );
  shelf.bench.pve.guests.delete(101);
  shelf.answer = { kind: 'not-sent', why: 'ssh does not reach it' };
  shelf.carriesOut = false;
  await assert.rejects(shelf.back(), /ssh does not reach it.*stays in/);
  assert.notEqual(shelf.context.op.data.moved, null);
  const early = new Shelf(t);
  await early.move();
  early.bench.pve.add('pve1', 101, { running: false });
  assert.match(await early.back(), /is on pve1$/);
});
