import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pctArguments, restoreByPct } from '../../lib/act/pct.ts';
import { PveError } from '../../lib/errors.ts';
import type { ShellConfig } from '../../lib/inventory/types.ts';
import type { TaskListEntry } from '../../lib/pve/api.ts';
import type { ShellResult } from '../../lib/runtime.ts';
import { configOf } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

const REQUEST = {
  vmid: 1101,
  volid: 'nas:a',
  storage: 'local',
  description: 'two\nlines',
  tags: ['a', 'b'],
  mounts: { rootfs: 'local:8', mp0: '/srv,mp=/srv' },
};
const SSH: ShellConfig = { kind: 'ssh', user: 'root', port: 22, key: null, knownHosts: null };

interface World {
  readonly shell?: ShellConfig | null;
  readonly result?: ShellResult;
  /** What the node lists at the nth look. */
  readonly listed?: (look: number) => readonly Partial<TaskListEntry>[];
  readonly before?: readonly string[];
}

function restore(t: TestContext, { shell = SSH, result, listed = () => [], before = [] }: World) {
  const bench = new ActBench(t);
  const context = bench.operation();
  if (result !== undefined) bench.shellResult = () => result;
  const { home } = context.inventory.clusters;
  const api = context.apis.get('home');
  assert.ok(home !== undefined && api !== undefined);
  let looks = 0;
  const tasks: typeof api.tasks = async () => {
    looks += 1;
    return listed(looks).map((patch) => ({
      upid: 'UPID:mine',
      node: 'pve2',
      type: 'vzrestore',
      id: '1101',
      user: 'root@pam',
      ours: false,
      startedAt: 0,
      endedAt: null,
      exitstatus: null,
      ...patch,
    }));
  };
  const view: typeof api.endpointView = async (endpoint, options) => ({
    ...(await api.endpointView(endpoint, options)),
    nodes: [{ name: 'pve2', online: true, ip: '10.0.0.12' }],
  });
  const inventory = { ...context.inventory, clusters: { home: { ...home, shell } } };
  const config = configOf({
    mounts: [
      ...configOf().mounts,
      { key: 'mp0', kind: 'bind', source: '/srv', path: '/srv', bytes: null, backup: false, options: {} },
    ],
  });
  const place = { cluster: 'home', node: 'pve2', request: REQUEST, config };
  const run = restoreByPct({ ...context, inventory }, place, { ...api, tasks, endpointView: view }, before);
  return { bench, run: bench.clock.run(run) };
}

async function failed(run: Promise<unknown>): Promise<PveError> {
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PveError, String(error));
  return error;
}

test('what pct is called with', async (t) => {
  assert.equal(
    pctArguments(REQUEST).join('|'),
    'restore|1101|nas:a|--storage|local|--onboot|0|--description|two\nlines|--tags|a;b|--rootfs|local:8|--mp0|/srv,mp=/srv',
  );
  for (const never of ['--force', '--start', '--unique']) assert.ok(!pctArguments(REQUEST).includes(never));
  const { bench, run } = restore(t, { result: { kind: 'begun' }, listed: () => [{}] });
  assert.equal(await run, 'UPID:mine');
  assert.deepEqual(
    bench.shells.map(({ node, host, order }) => [node, host, order]),
    [['pve2', '10.0.0.12', { kind: 'pct', args: pctArguments(REQUEST), paths: ['/srv'] }]],
  );
});

test('its task is root’s, and was not there before', async (t) => {
  const others = [{ upid: 'UPID:old' }, { upid: 'UPID:token', user: 'a@pve!x', ours: true }];
  const { run } = restore(t, {
    result: { kind: 'begun' },
    before: ['UPID:old'],
    listed: (look) => (look < 4 ? others : [...others, {}]),
  });
  assert.equal(await run, 'UPID:mine');
});

test('a restore that fails at once has a task, whose log says more', async (t) => {
  const { run } = restore(t, {
    result: { kind: 'ended', exitCode: 255, output: 'tar: no' },
    listed: () => [{}],
  });
  assert.equal(await run, 'UPID:mine');
});

test('refused before there is a task: pct’s own words, without its usage', async (t) => {
  const output =
    '400 Parameter verification failed.\nstorage: no such\npct restore <vmid> <ostemplate> [OPTIONS]\n';
  const error = await failed(restore(t, { result: { kind: 'ended', exitCode: 255, output } }).run);
  assert.equal(error.outcome, 'refused');
  assert.equal(
    error.message,
    'pct restore of CT 1101 on pve2: 400 Parameter verification failed. storage: no such',
  );
});

test('not sent, or not known: as it is', async (t) => {
  for (const kind of ['not-sent', 'unknown'] as const) {
    const error = await failed(restore(t, { result: { kind, why: 'no route', hint: 'look' } }).run);
    assert.deepEqual([error.outcome, error.hint], [kind, 'look']);
    assert.match(error.message, /^pct restore of CT 1101 on pve2: no route$/);
  }
});

test('begun, and no task is to be seen: it may be under way', async (t) => {
  const error = await failed(restore(t, { result: { kind: 'begun' } }).run);
  assert.equal(error.outcome, 'unknown');
  assert.match(error.hint ?? '', /Sys\.Audit/);
});

test('no shell in the inventory', async (t) => {
  await assert.rejects(restore(t, { shell: null }).run, /names no shell for the nodes of home/);
});
