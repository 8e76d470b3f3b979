/**
 * The recorded privilege matrices: an operation with just the privileges that it needs, and with each of them taken away.
 * The lab must refuse in the same place with the same words, or show the same silently shorter list.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as z from 'zod';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabResponse, WorldSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { countingHex, dataOf, list, record } from '../lab/world.ts';
import { count } from './count.ts';
import { SKIP_WITHOUT } from './recordings.ts';

const Matrix = z.array(
  z.object({
    op: z.string(),
    needs: z.array(z.string()).nullable(),
    without: z.record(z.string(), z.string()).optional(),
  }),
);

const VOLID = 'shared:backup/vzdump-lxc-401-2026_11_22-11_00_00.tar.zst';
const VOLUME = `/nodes/pve1/storage/shared/content/${encodeURIComponent(VOLID)}`;
const RESTORE = { ostemplate: VOLID, restore: '1', storage: 'local' };

const FIRST = '07-privileges-matrix';
const SECOND = '07-privileges-matrix-2';
/** In the first matrix the archive was gone before these were asked; the second has them again. */
const GONE = /^(GET content|(GET|PUT|DELETE) backup|GET vzdump)/;

const ORDER: Readonly<Record<string, readonly string[]>> = {
  [FIRST]: words(
    'VM.Audit VM.Backup VM.PowerMgmt VM.Allocate VM.Config.Options VM.Config.Disk VM.Config.CPU VM.Config.Memory VM.Config.Network Datastore.Audit Datastore.AllocateSpace Datastore.Allocate Sys.Audit Sys.Modify SDN.Use',
  ),
  [SECOND]: words(
    'VM.Config.Options VM.Config.Network SDN.Use VM.Allocate VM.Backup Datastore.AllocateSpace',
  ),
};

function words(text: string): string[] {
  return text.split(' ');
}

type Call = readonly [method: string, path: string, form?: Readonly<Record<string, string>>];

/** What each operation of the matrices was. */
const OPERATIONS: Readonly<Record<string, Call>> = {
  'GET /cluster/status': ['GET', '/cluster/status'],
  'GET /nodes (status/uptime fields visible)': ['GET', '/nodes'],
  'GET /nodes/{n}/status': ['GET', '/nodes/pve1/status'],
  'GET /cluster/resources shows lxc/101': ['GET', '/cluster/resources'],
  'GET /cluster/resources shows storage/pve1/shared': ['GET', '/cluster/resources'],
  'GET /cluster/resources shows node uptime': ['GET', '/cluster/resources'],
  'GET /nodes/{n}/lxc shows 101': ['GET', '/nodes/pve1/lxc'],
  'GET lxc/101/status/current': ['GET', '/nodes/pve1/lxc/101/status/current'],
  'GET lxc/101/config': ['GET', '/nodes/pve1/lxc/101/config'],
  'GET /nodes/{n}/storage shows shared': ['GET', '/nodes/pve1/storage'],
  'GET storage/shared/status': ['GET', '/nodes/pve1/storage/shared/status'],
  'GET content?content=backup lists backups of 401': [
    'GET',
    '/nodes/pve1/storage/shared/content?content=backup',
  ],
  'POST vzdump': ['POST', '/nodes/pve1/vzdump', { vmid: '401', storage: 'shared' }],
  'POST vzdump with notes-template': [
    'POST',
    '/nodes/pve1/vzdump',
    { vmid: '401', storage: 'shared', 'notes-template': 'x' },
  ],
  'POST vzdump with prune-backups': [
    'POST',
    '/nodes/pve1/vzdump',
    { vmid: '401', storage: 'shared', 'prune-backups': 'keep-last=1' },
  ],
  'POST vzdump with protected=1': [
    'POST',
    '/nodes/pve1/vzdump',
    { vmid: '401', storage: 'shared', protected: '1' },
  ],
  'POST vzdump with bwlimit': [
    'POST',
    '/nodes/pve1/vzdump',
    { vmid: '401', storage: 'shared', bwlimit: '10000' },
  ],
  start: ['POST', '/nodes/pve1/lxc/401/status/start'],
  stop: ['POST', '/nodes/pve1/lxc/401/status/stop'],
  'PUT config onboot': ['PUT', '/nodes/pve1/lxc/401/config', { onboot: '1' }],
  'PUT config tags': ['PUT', '/nodes/pve1/lxc/401/config', { tags: 'x' }],
  'PUT config description': ['PUT', '/nodes/pve1/lxc/401/config', { description: 'x' }],
  'PUT config delete=onboot': ['PUT', '/nodes/pve1/lxc/401/config', { delete: 'onboot' }],
  'PUT config hostname': ['PUT', '/nodes/pve1/lxc/401/config', { hostname: 'x' }],
  'PUT config net0': ['PUT', '/nodes/pve1/lxc/401/config', { net0: 'name=eth0,bridge=vmbr0' }],
  'restore same vmid force=1 storage=local': [
    'POST',
    '/nodes/pve1/lxc',
    { ...RESTORE, vmid: '401', force: '1' },
  ],
  'restore same vmid force=1 no storage param': [
    'POST',
    '/nodes/pve1/lxc',
    { ostemplate: VOLID, restore: '1', vmid: '401', force: '1' },
  ],
  'restore new vmid storage=local': ['POST', '/nodes/pve1/lxc', { ...RESTORE, vmid: '402' }],
  'restore new vmid onboot=0 hostname tags': [
    'POST',
    '/nodes/pve1/lxc',
    { ...RESTORE, vmid: '402', onboot: '0', hostname: 'x', tags: 'x' },
  ],
  'restore new vmid start=1': ['POST', '/nodes/pve1/lxc', { ...RESTORE, vmid: '402', start: '1' }],
  'DELETE lxc/402': ['DELETE', '/nodes/pve1/lxc/402'],
  'PUT backup notes': ['PUT', VOLUME, { notes: 'x' }],
  'PUT backup protected': ['PUT', VOLUME, { protected: '1' }],
  'GET backup volume attrs': ['GET', VOLUME],
  'GET vzdump/extractconfig': ['GET', `/nodes/pve1/vzdump/extractconfig?volume=${encodeURIComponent(VOLID)}`],
  'DELETE backup': ['DELETE', VOLUME],
};

const NET = 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:58:BE:63,type=veth';
const START = Date.UTC(2026, 10, 22, 12, 0, 0);

function world(privileges: readonly string[], op: string): WorldSpec {
  return {
    cluster: 'testcluster',
    nodes: [{ name: 'pve1', ip: '10.88.0.1' }],
    throughputMiB: 10_000,
    storages: [
      { id: 'local', path: '/var/lib/vz', content: ['rootdir', 'images', 'vztmpl'] },
      { id: 'shared', path: '/mnt/pve/shared', content: ['backup'], shared: true },
    ],
    containers: [
      { vmid: 101, node: 'pve1', hostname: 'ct101', running: true },
      { vmid: 401, node: 'pve1', hostname: 'zz', running: op === 'stop', config: { net0: NET, onboot: '0' } },
      ...(op === 'DELETE lxc/402' ? [{ vmid: 402, node: 'pve1', hostname: 'zz' }] : []),
    ],
    backups: [{ vmid: 401, storage: 'shared', ageSeconds: 3_600 }],
    tokens: [{ id: 'proxwarden@pve!ha', secret: 's', privileges: { '/': privileges } }],
  };
}

/** The answer in the matrices' words: the status line, and where a task came of it, its failure. */
async function outcome(
  op: string,
  privileges: readonly string[],
): Promise<{ text: string; response: LabResponse }> {
  const call = OPERATIONS[op];
  assert.ok(call !== undefined);
  const clock = new VirtualClock(START);
  const lab = new Lab({ clock, world: world(privileges, op), randomHex: countingHex() });
  const headers = { authorization: 'PVEAPIToken=proxwarden@pve!ha=s' };
  const send = (
    method: string,
    path: string,
    form: Readonly<Record<string, string>> = {},
  ): Promise<LabResponse> =>
    clock.run(
      lab.handle('pve1', {
        method,
        path: `/api2/json${path}`,
        headers,
        body: new URLSearchParams(form).toString(),
      }),
    );
  const response = await send(...call);
  const data: unknown = response.status === 200 ? dataOf(response) : null;
  if (typeof data !== 'string' || !data.startsWith('UPID:'))
    return { text: `${response.status} ${response.statusText}`, response };
  await clock.advance(60_000);
  const status = await send('GET', `/nodes/pve1/tasks/${encodeURIComponent(data)}/status`);
  const exit = String(record(dataOf(status))['exitstatus']);
  return { text: exit === 'OK' ? '200 OK' : `200 UPID -> task exitstatus: ${exit}`, response };
}

/** Whether a list still shows what the matrix says is missing: `id=lxc/101`, `101`, `uptime field`. */
function stillShows(response: LabResponse, missing: string): boolean {
  const entries = list(dataOf(response));
  if (missing.includes('uptime'))
    return entries.filter((one) => String(one['id']).startsWith('node/')).some((one) => 'uptime' in one);
  if (missing.includes('volid=')) return entries.some((one) => one['volid'] === VOLID);
  if (missing.includes('storage=')) return entries.some((one) => one['storage'] === 'shared');
  const id = /id=(\S+) missing/.exec(missing)?.[1];
  return entries.some((one) => (id === undefined ? one['vmid'] === 101 : one['id'] === id));
}

test('the lab refuses what lacks a privilege as the genuine cluster did', SKIP_WITHOUT, async (context) => {
  let compared = 0;
  const unknown = new Set<string>();
  for (const file of [FIRST, SECOND])
    for (const { op, needs, without } of Matrix.parse(
      JSON.parse(readFileSync(`../shared/pve/recordings/${file}.json`, 'utf8')),
    )) {
      if (without === undefined || needs === null) continue;
      if (OPERATIONS[op] === undefined || (file === FIRST && GONE.test(op))) {
        unknown.add(op);
        continue;
      }
      // As the genuine tool did: privileges are taken away one by one, in its order; what is not missed stays away.
      let left = ORDER[file] ?? [];
      const missed: string[] = [];
      const shortened = Object.values(without).find((text) => text.startsWith('200 but'));
      for (const privilege of left) {
        const fewer = left.filter((one) => one !== privilege);
        const expected: string | undefined = without[privilege];
        const { text, response } = await outcome(op, fewer);
        const where = `${op} without ${privilege}, with ${fewer.join(' ')}`;
        if (expected === undefined) {
          assert.equal(text, '200 OK', where);
          if (shortened !== undefined) assert.ok(stillShows(response, shortened), `${where}: not listed`);
          left = fewer;
          continue;
        }
        missed.push(privilege);
        if (expected.startsWith('200 but'))
          assert.ok(!stillShows(response, expected), `${where}: still listed`);
        else assert.equal(text, expected, where);
        compared += 1;
      }
      assert.deepEqual(missed.toSorted(), needs.toSorted(), `what ${op} needs`);
    }
  count(
    context,
    `${compared} refusals for want of a privilege equal; not compared: ${[...unknown].join('; ')}`,
  );
  assert.ok(compared > 50);
});
