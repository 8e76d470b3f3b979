import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FailedError, InputError } from '../../lib/errors.ts';
import { connectLab } from '../../lib/lab/client.ts';
import { startControl, type Control } from '../../lib/lab/control-endpoint.ts';
import { LAB_VERBS } from '../../lib/lab/control-protocol.ts';
import { claimRunFile, makeLabFolder, releaseRunFile } from '../../lib/lab/runfile.ts';
import { FakeLab } from './fake-lab.ts';
import { tcp, temporaryFolder } from './sockets.ts';

const TOKEN = 'a'.repeat(64);

/** A wait that never ends is a failure. */
const timeout = 20_000;

interface Started {
  readonly lab: FakeLab;
  readonly dir: string;
  readonly control: Control;
  /** How often the sockets have been waited for. */
  readonly settled: () => number;
}

/** A fake lab behind the real endpoint, with a run file. */
async function start(t: TestContext): Promise<Started> {
  const dir = await temporaryFolder(t);
  await makeLabFolder(dir);
  const lab = new FakeLab('pve1', 'pve2');
  const copy = { state: 'running', onboot: true, tags: ['proxwarden'] } as const;
  lab.containers = [
    { ...copy, vmid: 102, node: 'pve1', hostname: 'web' },
    { ...copy, vmid: 101, node: 'pve1', hostname: 'dns' },
    { ...copy, vmid: 1_000_101, node: 'pve2', hostname: 'dns' },
  ];
  const backup = { vmid: 101, at: 5, size: 6, protected: false, verification: null };
  lab.backups = [{ ...backup, volid: 'pbs:backup/ct/101/2026-11-22T20:16:47Z' }];
  const process_ = { pid: process.pid, startedAt: 5, ports: { pve1: 18_006 } };
  let settled = 0;
  const control = await startControl({
    lab,
    storages: ['local', 'nas'],
    token: TOKEN,
    report: () => ({
      ...lab.status(),
      ...process_,
      speed: 2,
      plugs: { pve1: lab.plug('pve1') },
      events: [{ at: 6, text: 'node pve1: power lost' }],
      problems: ['a port is gone'],
    }),
    settled: async () => {
      settled += 1;
    },
    down: async () => {
      lab.close();
      await releaseRunFile(dir, TOKEN);
    },
  });
  t.after(() => control.close());
  await claimRunFile(dir, { ...process_, control: control.url, token: TOKEN });
  return { lab, dir, control, settled: () => settled };
}

test('every verb does its one thing to what is named, and says so', { timeout }, async (t) => {
  const { lab, dir, settled } = await start(t);
  const client = await connectLab(dir);
  const said: Record<string, string> = {};
  const names: Record<(typeof LAB_VERBS)[number], string> = {
    kill: 'pve1',
    revive: 'pve1',
    shutdown: 'pve1',
    reboot: 'pve1',
    cut: 'pve2',
    'mend-network': 'pve2',
    hang: 'pve1',
    break: 'web',
    mend: 'web',
    fill: 'nas',
    drain: 'nas',
    unmount: 'nas@pve1',
    mount: 'nas',
    verify: 'pbs:backup/ct/101/2026-11-22T20:16:47Z',
    spoil: 'pbs:backup/ct/101/2026-11-22T20:16:47Z',
    'start-by-hand': 'web',
    'stop-by-hand': '1000101',
  };
  for (const verb of LAB_VERBS) said[verb] = await client.perform(verb, names[verb]);
  assert.deepEqual(lab.calls, [
    'kill pve1',
    'revive pve1',
    'shutdown pve1',
    'reboot pve1',
    'cut pve2',
    'mend-network pve2',
    'unhang pve2',
    'hang pve1',
    'break web',
    'mend web',
    'fill nas',
    'drain nas',
    'unmount nas pve1',
    'mount nas all',
    'verify pbs:backup/ct/101/2026-11-22T20:16:47Z ok',
    'verify pbs:backup/ct/101/2026-11-22T20:16:47Z failed',
    'start 102',
    'stop 1000101',
  ]);
  assert.equal(settled(), LAB_VERBS.length);
  for (const verb of LAB_VERBS) {
    const [name = ''] = names[verb].split('@', 1);
    assert.ok(said[verb]?.includes(name) === true || said[verb]?.includes('102') === true, said[verb]);
  }
});

test("mend with a node's name mends its network and its API", { timeout }, async (t) => {
  const { lab, dir } = await start(t);
  const client = await connectLab(dir);
  await client.perform('cut', 'pve1');
  assert.match(await client.perform('mend', 'pve1'), /on the network again/);
  assert.deepEqual(lab.calls, ['cut pve1', 'mend-network pve1', 'unhang pve1']);
});

test(
  'a node that was never off is not revived: what is said tells how it comes back',
  { timeout },
  async (t) => {
    const { lab, dir } = await start(t);
    const client = await connectLab(dir);
    await client.perform('cut', 'pve1');
    assert.match(
      await client.perform('revive', 'pve1'),
      /never off, only cut off the network: `lab mend pve1`/,
    );
    assert.match(await client.perform('revive', 'pve2'), /^pve2 is on already$/);
    assert.deepEqual(lab.calls, ['cut pve1']);
  },
);

test(
  'a name that the lab does not have is an input error that lists the right ones; nothing is done',
  { timeout },
  async (t) => {
    const { lab, dir } = await start(t);
    const client = await connectLab(dir);
    for (const [verb, name, kind, hint] of [
      ['kill', 'pve9', 'node', 'Its nodes are pve1, pve2.'],
      ['break', 'pve1', 'container', 'Its containers are dns, web.'],
      ['unmount', 'nas@pve9', 'node', 'Its nodes are pve1, pve2.'],
      ['spoil', 'nas:x', 'backup', 'Its backups are pbs:backup/ct/101/2026-11-22T20:16:47Z.'],
      ['fill', 'tape', 'storage', 'Its storages are local, nas.'],
      ['start-by-hand', '999', 'container', 'Its containers are dns, web.'],
    ] as const) {
      await assert.rejects(client.perform(verb, name), (error) => {
        assert.ok(error instanceof InputError);
        assert.equal(error.message, `the lab has no ${kind} ${name.split('@').at(-1)}`);
        assert.equal(error.hint, hint);
        return true;
      });
    }
    assert.deepEqual(lab.calls, []);
  },
);

test('a hostname that several copies have does not say which one to start', { timeout }, async (t) => {
  const { lab, dir } = await start(t);
  const client = await connectLab(dir);
  await assert.rejects(client.perform('start-by-hand', 'dns'), {
    name: 'InputError',
    message: 'there are 2 copies of dns',
    hint: 'Say which by its vmid: 101 on pve1, 1000101 on pve2.',
  });
  assert.deepEqual(lab.calls, []);
});

test('status is everything that the lab reports', { timeout }, async (t) => {
  const { lab, dir } = await start(t);
  lab.setPlug('pve1', 'off');
  const status = await (await connectLab(dir)).status();
  assert.equal(status.nodes.length, 2);
  assert.deepEqual(status.containers, lab.containers);
  assert.deepEqual(status.plugs, { pve1: 'off' });
  assert.deepEqual(status.problems, ['a port is gone']);
  assert.deepEqual([status.pid, status.startedAt, status.speed], [process.pid, 5, 2]);
});

test('without the token nothing is told and nothing is done', { timeout }, async (t) => {
  const { lab, control } = await start(t);
  for (const authorization of ['', `Bearer ${'b'.repeat(64)}`, TOKEN]) {
    for (const [method, path] of [
      ['GET', 'status'],
      ['POST', 'kill?name=pve1'],
      ['POST', 'down'],
    ] as const) {
      const response = await fetch(`${control.url}/${path}`, { method, headers: { authorization } });
      assert.equal(response.status, 401);
      assert.deepEqual(await response.json(), { error: 'wrong token' });
    }
  }
  assert.deepEqual(lab.calls, []);
});

test('what it does not know, or only knows as POST, is refused', { timeout }, async (t) => {
  const { lab, control } = await start(t);
  const headers = { authorization: `Bearer ${TOKEN}` };
  for (const [method, path] of [
    ['GET', 'kill?name=pve1'],
    ['GET', 'down'],
    ['POST', 'explode?name=pve1'],
  ] as const) {
    assert.equal((await fetch(`${control.url}/${path}`, { method, headers })).status, 404);
  }
  assert.deepEqual(lab.calls, []);
});

test("a fault of the lab's own is a failure, not an input error", { timeout }, async (t) => {
  const { lab, dir } = await start(t);
  lab.kill = () => {
    throw new TypeError('x is undefined');
  };
  const client = await connectLab(dir);
  await assert.rejects(client.perform('kill', 'pve1'), (error) => {
    assert.ok(error instanceof FailedError);
    assert.equal(error.message, 'x is undefined');
    return true;
  });
});

test('down ends the lab, answers, and only then stops listening', { timeout }, async (t) => {
  const { lab, dir, control } = await start(t);
  const client = await connectLab(dir);
  assert.equal(await client.down(), 'the lab is down');
  await control.closed;
  assert.deepEqual(lab.calls, ['close']);
  assert.equal(await tcp(Number(new URL(control.url).port)), 'ECONNREFUSED');
  await assert.rejects(client.status(), FailedError);
  await assert.rejects(connectLab(dir), { name: 'InputError', message: `no lab is running for ${dir}` });
});
