/** What looks like a success and is none, and data that looks like other data: each trap by its name. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PveError } from '../../lib/errors.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import type { WorldSpec } from '../../lib/lab/types.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { waitForTask } from '../../lib/pve/task.ts';
import { Bench, WORLD } from '../lab/world.ts';
import { client, json, SECRET, serve } from '../pve/harness.ts';

const ENDPOINT = 'https://10.88.0.1:8006';

/** A client whose cluster is a lab, both on virtual time. */
function inLab(t: TestContext, world: WorldSpec = WORLD): { api: PveApi; bench: Bench } {
  const bench = new Bench({
    world: { ...world, tokens: [{ id: 'proxwarden@pve!cli', secret: SECRET, privileges: { '/': ['*'] } }] },
  });
  const dispatcher = labDispatcher(bench.lab, bench.clock, () => 'pve1');
  const api = client([ENDPOINT], { clock: bench.clock, dispatcher: () => Promise.resolve(dispatcher) });
  t.after(() => api.close());
  return { api, bench };
}

/** How a task ended that PVE had answered with 200 and a UPID. */
async function endOf({ api, bench }: ReturnType<typeof inLab>, started: Promise<string>): Promise<PveError> {
  const upid = await bench.clock.run(started);
  assert.match(upid, /^UPID:/);
  const end = waitForTask(api, upid, { clock: bench.clock, limitMs: 60_000 });
  const error: unknown = await bench.clock.run(end.catch((reason: unknown) => reason));
  assert(error instanceof PveError, `it succeeded: ${JSON.stringify(error)}`);
  return error;
}

test('vzdump asked of the wrong node: 200 and "OK", and no backup', async (t) => {
  const { api, bench } = inLab(t);
  const asked = api.vzdump('pve2', { vmid: 101, storage: 'nas', mode: 'snapshot', notes: '' });
  const error: unknown = await bench.clock.run(asked.catch((reason: unknown) => reason));
  assert(error instanceof PveError);
  assert.equal(error.outcome, 'refused');
  assert.match(error.message, /made no backup: the container is not on that node/);
});

test('start on the wrong node: 200 and a UPID, then the task fails', async (t) => {
  const lab = inLab(t);
  const error = await endOf(lab, lab.api.start('pve2', 101));
  assert.equal(error.outcome, 'refused');
  assert.match(error.message, /there is no container 101 on pve2/);
});

test('a restore from an archive that is gone: 200 and a UPID, then the task fails', async (t) => {
  const lab = inLab(t);
  const volid = 'nas:backup/vzdump-lxc-101-2020_01_01-00_00_00.tar.zst';
  const error = await endOf(
    lab,
    lab.api.restore('pve2', { vmid: 1101, volid, storage: 'local', description: '', tags: [], mounts: null }),
  );
  assert.match(error.message, /that backup is gone from its storage/);
});

test('a lock that only shows in the task: 200 and a UPID, then the task fails', async (t) => {
  const lab = inLab(t, {
    ...WORLD,
    containers: [{ vmid: 101, node: 'pve1', hostname: 'dns', config: { lock: 'backup' } }],
    backups: [],
  });
  const error = await endOf(lab, lab.api.start('pve1', 101));
  assert.match(error.message, /it is locked: .*\(CT is locked \(backup\)\) — .*`pct unlock 101`/);
});

test('job errors: the guest’s own line, never the job’s', async (t) => {
  const lab = inLab(t);
  lab.bench.lab.fill('nas');
  const error = await endOf(
    lab,
    lab.api.vzdump('pve1', { vmid: 101, storage: 'nas', mode: 'snapshot', notes: '' }),
  );
  assert.doesNotMatch(error.message, /job errors/);
  assert.match(error.message, /no space left on device/);
});

test('numbers as strings, strings as numbers: each is what its field is', async (t) => {
  const server = await serve((request, response) => {
    const path = (request.url ?? '').replace('/api2/json', '').split('?')[0] ?? '';
    const replies: Record<string, unknown> = {
      '/version': { version: 9 },
      '/nodes/pve1/netstat': [{ vmid: '101', dev: 'eth0' }, { vmid: 102 }],
      '/nodes/pve1/lxc/101/config': {
        hostname: 1000,
        tags: 9,
        description: 12,
        memory: '128',
        onboot: '1',
        protection: 0,
      },
      '/nodes/pve1/lxc/101/status/current': { status: 'running', vmid: '101' },
      '/cluster/resources': [
        {
          type: 'lxc',
          node: 'pve1',
          vmid: '101',
          name: 1e3,
          tags: 7,
          maxmem: '134217728',
          status: 'running',
        },
      ],
      '/nodes/pve1/storage/nas/content': [
        {
          volid: 'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst',
          vmid: '101',
          ctime: '1795378607',
          size: '5',
          subtype: 'lxc',
          notes: 20261122,
          protected: '1',
        },
      ],
    };
    json(response, replies[path] ?? null);
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  assert.equal(await api.version(), '9');
  assert.deepEqual(await api.netstat('pve1'), [101, 102]);
  const detail = await api.guestDetail('pve1', 101);
  assert.deepEqual(
    [detail.hostname, detail.tags, detail.description, detail.onboot, detail.protection, detail.memMax],
    ['1000', ['9'], '12', true, false, 128 * 1024 * 1024],
  );
  const { guests } = await api.resources();
  assert.deepEqual(
    [guests[0]?.vmid, guests[0]?.name, guests[0]?.tags, guests[0]?.memMax],
    [101, '1000', ['7'], 134_217_728],
  );
  const [backup] = await api.backups('pve1', 'nas');
  assert.deepEqual(
    [backup?.vmid, backup?.at, backup?.size, backup?.notes, backup?.protected],
    [101, 1_795_378_607_000, 5, '20261122', true],
  );
});

test('a vmid that is no number is no vmid', async (t) => {
  for (const vmid of ['1e3', '0x65', '101 ', '', true, null, [101]]) {
    const server = await serve((_, response) => json(response, [{ vmid }]));
    const api = client([server.endpoint]);
    t.after(async () => {
      await api.close();
      await server.close();
    });
    await assert.rejects(api.netstat('pve1'), /is not as expected/, JSON.stringify(vmid));
  }
});

test('HTML, line breaks and every script in notes and descriptions come through as they are', async (t) => {
  const lab = inLab(t);
  const text = '<img src=x onerror=alert(1)> "ünïcödé" 日本語 \u{1F4A5} 100 % #1\nsecond line: a=b;c';
  await lab.bench.clock.run(lab.api.setConfig('pve1', 101, { description: text }));
  assert.equal((await lab.bench.clock.run(lab.api.guestDetail('pve1', 101))).description, text);
  const upid = await lab.bench.clock.run(
    lab.api.vzdump('pve1', { vmid: 101, storage: 'nas', mode: 'snapshot', notes: text }),
  );
  await lab.bench.clock.run(waitForTask(lab.api, upid, { clock: lab.bench.clock, limitMs: 600_000 }));
  const made = await lab.bench.clock.run(lab.api.backups('pve1', 'nas', { vmid: 101 }));
  assert.ok(
    made.some(({ notes }) => notes === text),
    JSON.stringify(made.map(({ notes }) => notes)),
  );
});
