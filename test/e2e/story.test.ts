import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { inProcess } from './in-process.ts';
import {
  assertRefused,
  openStage,
  proxwarden,
  until,
  told,
  type Options,
  type Ran,
  type Stage,
} from './stage.ts';

/** Half an interval and a little: the next run may count. */
const NEXT_RUN_MS = 600;

/** One JSON document on stdout and nothing else. */
function json(ran: Ran): unknown {
  const value: unknown = JSON.parse(ran.stdout);
  assert.ok(ran.stdout.endsWith('\n') && typeof value === 'object', ran.stdout);
  return value;
}

const Rows = z.looseObject({
  containers: z.array(z.looseObject({ container: z.string(), verdict: z.string(), where: z.string() })),
});

/** Real processes where one is watched, outlived, or runs beside another; the rest in this one, which is much quicker. */
function command(words: readonly string[], options: Options = {}): Promise<Ran> {
  const real = options.meanwhile !== undefined || words.includes('--detach');
  return real ? proxwarden(words, options) : inProcess(words, options);
}

describe('commands as a person uses them, one after the other', () => {
  let stage: Stage;
  const ends: (() => Promise<void> | void)[] = [];
  before(async (t) => {
    stage = await openStage({ after: (end) => void ends.push(end) }, { speed: 20, command });
    assert.ok(t);
  });
  test.after(async () => {
    for (const end of ends) await end();
  });

  test('all is well: exit 0, a table, and JSON that says the same', async () => {
    const run = await stage.run('check-and-failover');
    assert.equal(run.code, 0, told(run));
    assert.equal(run.stdout, '4 of 4 containers healthy\n');
    assert.equal(run.stderr, '');
    const check = await stage.run('check', '--json');
    assert.equal(check.code, 0, told(check));
    assert.equal(check.stderr, '');
    const { containers } = Rows.parse(json(check));
    assert.deepEqual(
      containers.map((c) => `${c.container} ${c.verdict} ${c.where}`),
      [
        'dns healthy pve1/101@0',
        'db healthy pve2/103@0',
        'web healthy pve1/102@0',
        'wiki healthy pve3/104@0',
      ],
    );
    const table = await stage.run('check', 'dns');
    assert.match(
      table.stdout,
      /^CONTAINER +MODE.*\ndns +protect +healthy +0\/1 +pve1\/101@0 .*probes pass.*\n$/,
    );
    const decide = await stage.run('decide', '--json');
    assert.equal(decide.code, 0, told(decide));
    assert.equal(z.looseObject({ plan: z.null() }).parse(json(decide)).plan, null);
    assert.deepEqual(json(await stage.run('reconcile', '--json')), []);
  });

  test('backups: one is made, listed, protected, unprotected, restored', async () => {
    const made = await stage.run('backup', 'db', '--json');
    assert.equal(made.code, 0, told(made));
    const [{ volid } = { volid: '' }] = z.array(z.looseObject({ volid: z.string() })).parse(json(made));
    assert.match(volid, /^nas:backup\/vzdump-lxc-103-.*\.tar\.zst$/);
    for (const line of made.stderr.trimEnd().split('\n')) assert.ok(JSON.parse(line), 'events are NDJSON');
    const list = async (): Promise<string> => {
      const listed = await stage.run('backup', 'list', 'db', '--json');
      assert.equal(listed.code, 0, told(listed));
      const rows = z.array(z.looseObject({ volid: z.string(), protected: z.boolean(), verdict: z.string() }));
      return rows
        .parse(json(listed))
        .filter((row) => row.volid === volid)
        .map((row) => `${row.protected} ${row.verdict}`)
        .join();
    };
    assert.equal(await list(), 'false would be used');
    const dry = await stage.run('backup', 'protect', 'db', '--volid', volid, '--dry-run');
    assert.equal(dry.stdout, `${volid} would be protected\n`);
    assert.equal(await list(), 'false would be used');
    assert.equal((await stage.run('backup', 'protect', 'db', '--volid', volid)).code, 0);
    assert.equal(await list(), 'true would be used');
    assert.equal((await stage.run('backup', 'unprotect', 'db', '--volid', volid)).code, 0);
    assert.equal(await list(), 'false would be used');
    const second = await stage.run('restore', 'db', '--to', 'pve3', '--start');
    assert.equal(second.code, 4, told(second));
    assert.match(second.stderr, /CT 103 runs on pve2, so no copy is started/);
    assert.ok(!stage.lab.status().containers.some((c) => c.vmid === 1_000_103), 'and none was restored');
    const restored = await stage.run('restore', 'db', '--to', 'pve3', '--vmid', '901', '--json');
    assert.equal(restored.code, 0, told(restored));
    assert.deepEqual(json(restored), {
      container: 'db',
      volid,
      cluster: 'home',
      node: 'pve3',
      vmid: 901,
      started: false,
    });
    const copy = stage.lab.status().containers.find((c) => c.vmid === 901);
    assert.deepEqual([copy?.node, copy?.state, copy?.onboot], ['pve3', 'stopped', false]);
  });

  test('a living container is moved without loss; --dry-run says so before, and its plan is executed just once', async () => {
    const dry = await stage.run('failover', 'db', '--planned', '--to', 'pve3', '--dry-run');
    assert.equal(dry.code, 3, told(dry));
    assert.match(
      dry.stdout,
      /^db: failover: stop and back up CT 103 on pve2, restore it on pve3 as CT 1000103/,
    );
    const id = /^plan ([0-9a-f]{12}), holds for 30 min: `proxwarden failover db --plan \1`$/m.exec(
      dry.stdout,
    )?.[1];
    assert.ok(id !== undefined, told(dry));
    const again = json(await stage.run('failover', 'db', '--planned', '--to', 'pve3', '--dry-run', '--json'));
    assert.equal(z.looseObject({ plan: z.string() }).parse(again).plan, id, 'the same again has the same id');
    assertRefused(
      await stage.run('failover', 'dns', '--plan', id),
      2,
      /plan [0-9a-f]+ does not speak of dns/,
    );
    const moved = await stage.run('failover', 'db', '--plan', id, '--json');
    assert.equal(moved.code, 0, told(moved));
    assert.equal(z.looseObject({ status: z.string() }).parse(json(moved)).status, 'done');
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
    const old = stage.lab.status().containers.find((c) => c.vmid === 103);
    assert.deepEqual([old?.state, old?.onboot], ['stopped', false]);
    assertRefused(
      await stage.run('failover', 'db', '--plan', id),
      4,
      /plan [0-9a-f]+ is stale: the world has changed \(db: .*\n {2}→ run `failover db --dry-run` again, with the same flags/,
    );
  });

  test('a node dies: counted, planned, and exactly that plan is executed', async () => {
    const run = await stage.run('check-and-failover');
    assert.equal(run.code, 0, told(run));
    await stage.nodeDies('pve1');
    const check = await stage.run('check', '--count');
    assert.equal(check.code, 3, told(check));
    const decide = await stage.run('decide', '--explain');
    assert.equal(decide.code, 3, told(decide));
    assert.match(decide.stdout, /pass {2}quorum {3}quorate/);
    const id = /\nplan (\w+), holds for 30 min/.exec(decide.stdout)?.[1] ?? '';
    const again = await stage.run('decide');
    assert.match(again.stdout, new RegExp(`\\nplan ${id},`), 'a second dispatch finds the same plan');
    const done = await stage.run('failover', 'dns', '--plan', id);
    assert.equal(done.code, 0, told(done));
    assert.match(done.stdout, /^dns runs on pve2 as CT 1000101\n$/);
    const stale = await stage.run('failover', 'dns', '--plan', id);
    assert.equal(stale.code, 4, told(stale));
    assert.match(stale.stderr, /^proxwarden: plan \w+ is stale: the world has changed \(dns: none: .*\)\n/);
  });

  test('--detach hands the operation over to a process that outlives the run, and ends well', async () => {
    await sleep(NEXT_RUN_MS);
    const run = await stage.run('check-and-failover', '--detach');
    assert.equal(run.code, 3, told(run));
    await until(() => stage.running().join() === 'db,dns,web,wiki');
    const journal = (): unknown[] => {
      const ops = z.looseObject({
        operations: z.array(z.looseObject({ container: z.string(), status: z.string() })),
      });
      return ops
        .parse(JSON.parse(status.stdout))
        .operations.filter((o) => o.container === 'web')
        .map((o) => o.status);
    };
    let status = await stage.run('status', '--json');
    for (let n = 0; n < 100 && journal().join() !== 'done'; n += 1) {
      await sleep(100);
      status = await stage.run('status', '--json');
    }
    assert.deepEqual(journal(), ['done']);
  });

  test('the dead node returns: its originals are kept down, and the next run is quiet', async () => {
    await stage.nodeReturns('pve1');
    const dry = await stage.run('reconcile', '--dry-run');
    assert.equal(dry.code, 3, told(dry));
    const run = await stage.run('check-and-failover');
    assert.equal(run.code, 0, told(run));
    assert.match(run.stderr, /dns: the superseded pve1\/101@0 is back on pve1/);
    assert.match(run.stderr, /web: the superseded pve1\/102@0 is back on pve1/);
    const next = await stage.run('check-and-failover');
    assert.equal(next.code, 0, told(next));
    assert.equal(next.stderr, '');
    for (const vmid of [101, 102]) {
      const original = stage.lab.status().containers.find((c) => c.vmid === vmid);
      assert.deepEqual([original?.state, original?.onboot], ['stopped', false]);
    }
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
    assert.deepEqual(stage.lab.violations, []);
  });

  test('status tells it from the state alone, and the hook has been run', async () => {
    const status = await stage.run('status');
    assert.equal(status.code, 0, told(status));
    assert.match(status.stdout, /^dns +protect +healthy +0\/1 +pve2\/1000101@1 .*failed over \S+ s ago; /m);
    assert.match(status.stdout, /^last run: \d/m);
    assert.match(status.stdout, /^op-\S+ {2}failover web: done$/m);
    assert.match(readFileSync(join(stage.dir, '.lab', 'hooks.log'), 'utf8'), /dns/);
  });

  test('a service that hangs is restarted in place, and counts as healthy at once', async () => {
    await sleep(NEXT_RUN_MS);
    stage.lab.breakService('web');
    const check = await stage.run('check', 'web');
    assert.equal(check.code, 3, told(check));
    const pending = stage.runWith(
      {
        meanwhile: async () => {
          await until(() => stage.lab.events.some((e) => e.text.includes('CT 1000102 (web) shut down')));
          stage.lab.mendService('web');
        },
      },
      'check-and-failover',
    );
    const run = await pending;
    assert.equal(run.code, 0, told(run));
    assert.equal(run.stdout, '4 of 4 containers healthy\n');
    assert.match(run.stderr, /web: restart: CT 1000102 runs on pve3, its service does not answer/);
    const status = await stage.run('status', 'web');
    assert.match(status.stdout, /verified by op-/);
  });

  test('ack, fence status and validate show what they do, in JSON too', async () => {
    const ack = await stage.run('ack', 'dns', '--json');
    assert.deepEqual([ack.code, json(ack)], [0, { container: 'dns', acknowledged: null, forgotten: null }]);
    const fence = await stage.run('fence', 'status', '--json');
    assert.equal(fence.code, 0, told(fence));
    const rows = z.array(z.looseObject({ node: z.string(), power: z.string() })).parse(json(fence));
    assert.deepEqual(
      rows.map((r) => `${r.node} ${r.power}`),
      ['pve1 on', 'pve2 on', 'pve3 on'],
    );
    const validate = await stage.run('validate', '--json');
    assert.equal(validate.code, 0, told(validate));
    json(validate);
    json(await stage.run('validate', '--schema'));
    json(await stage.run('failover', 'dns', '--json', '--dry-run'));
    json(await stage.run('check-and-failover', '--json'));
  });

  test('two runs at once: one lock, no second operation; while one restores, the next goes on checking', async () => {
    const two = await Promise.all([stage.run('check-and-failover'), stage.run('check-and-failover')]);
    for (const run of two) assert.equal(run.code, 0, told(run));
    const first = await stage.runWith(
      {
        meanwhile: async () => {
          const seen = stage.lab.events.length;
          await until(() => stage.lab.events.slice(seen).some((e) => e.text.includes('(dns) shut down')));
          const second = await stage.run('failover', 'dns', '--planned');
          assert.equal(second.code, 75, told(second));
          assert.match(second.stderr, /^proxwarden: dns: operation op-\S+ is in hand\n/);
          const tick = await stage.run('check-and-failover');
          assert.doesNotMatch(tick.stderr, /started/);
        },
      },
      'failover',
      'dns',
      '--planned',
    );
    assert.equal(first.code, 0, told(first));
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
    assert.deepEqual(stage.lab.violations, []);
  });
});
