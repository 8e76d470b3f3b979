/** A Proxmox Backup Server in the lab, and what holds for all backup storages. From PVE's schema and source: unmeasured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorldSpec } from '../../lib/lab/types.ts';
import { createdArchive } from '../../lib/pve/task.ts';
import { Bench, list, record, TOKEN, WORLD } from './world.ts';

const KEY = '11:22:33:44:55:66:77:88';
const PBS: WorldSpec = {
  ...WORLD,
  storages: [
    ...WORLD.storages,
    { id: 'pbs', type: 'pbs', path: '', content: ['backup'], namespace: 'home', encryptionKey: KEY },
    { id: 'thin', type: 'lvmthin', path: '', content: ['rootdir', 'images'] },
    {
      id: 'small',
      type: 'nfs',
      path: '/mnt/pve/small',
      content: ['backup'],
      pruneBackups: 'keep-last=1,keep-daily=1',
    },
  ],
  backups: [
    { vmid: 101, storage: 'pbs', ageSeconds: 3600, verification: 'ok', protected: true, notes: 'first' },
    { vmid: 101, storage: 'pbs', ageSeconds: 1800, encrypted: '99:88' },
    { vmid: 101, storage: 'pbs', ageSeconds: 900, unfinished: true },
  ],
};

function bench(): Bench {
  return new Bench({ world: PBS });
}

async function content(b: Bench, storage = 'pbs', node = 'pve2'): Promise<Record<string, unknown>[]> {
  return list(await b.data(node, 'GET', `/nodes/${node}/storage/${storage}/content`, { content: 'backup' }));
}

function volume(volid: string, node = 'pve2'): string {
  return `/nodes/${node}/storage/${volid.slice(0, volid.indexOf(':'))}/content/${encodeURIComponent(volid)}`;
}

test('snapshots are listed as PVE lists them: volid in UTC, verification, key, no size without a manifest', async () => {
  const [first, encrypted, unfinished] = await content(bench());
  assert.match(String(first?.['volid']), /^pbs:backup\/ct\/101\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const { verification, volid: _volid, ctime, ...rest } = first ?? {};
  assert.deepEqual(rest, {
    content: 'backup',
    subtype: 'lxc',
    format: 'pbs-ct',
    vmid: 101,
    size: rest['size'],
    notes: 'first',
    protected: 1,
  });
  assert.equal(
    String(first?.['volid']).slice(-20),
    `${new Date(Number(ctime) * 1000).toISOString().slice(0, 19)}Z`,
  );
  assert.equal(record(verification)['state'], 'ok');
  assert.equal(encrypted?.['encrypted'], '99:88');
  assert.equal(unfinished?.['size'], 1);
});

test('a vzdump to it: in the list from the beginning, with a manifest at its end; its log names it', async () => {
  const b = bench();
  const upid = String(
    await b.data('pve1', 'POST', '/nodes/pve1/vzdump', {
      vmid: 101,
      storage: 'pbs',
      mode: 'snapshot',
      'notes-template': 'x',
    }),
  );
  await b.clock.advance(3_500);
  assert.equal((await content(b)).length, 4);
  assert.equal((await content(b)).at(-1)?.['size'], 1);
  await b.clock.advance(20_000);
  const newest = (await content(b)).at(-1);
  assert.deepEqual(
    [newest?.['notes'], newest?.['encrypted'], newest?.['verification']],
    ['x', KEY, undefined],
  );
  assert.ok(Number(newest?.['size']) > 1);
  const lines = list(
    await b.data('pve1', 'GET', `/nodes/pve1/tasks/${encodeURIComponent(upid)}/log`, { limit: 0 }),
  ).map((line) => String(line['t']));
  assert.equal(createdArchive(lines, 'pbs'), newest?.['volid']);
  assert.ok(lines.some((line) => line.startsWith('INFO: Starting backup: [home]:ct/101/')));
  assert.ok(
    lines.some((line) => /^INFO: root\.pxar: had to backup .* MiB of .* MiB \(compressed/.test(line)),
  );
});

test('what its node was writing when it died stays in the list, without a manifest', async () => {
  const b = bench();
  await b.data('pve1', 'POST', '/nodes/pve1/vzdump', { vmid: 101, storage: 'pbs', mode: 'snapshot' });
  await b.clock.advance(3_500);
  b.lab.kill('pve1');
  await b.clock.advance(60_000);
  const newest = (await content(b)).at(-1);
  assert.equal(newest?.['size'], 1);
  const url = '/nodes/pve2/vzdump/extractconfig';
  assert.match(
    (await b.call('pve2', 'GET', url, { volume: String(newest?.['volid']) })).statusText,
    /index\.json\.blob/,
  );
});

test('a config is read where the key fits; the restore of another key’s backup ends before it begins', async () => {
  const b = bench();
  const [first, encrypted] = (await content(b)).map((entry) => String(entry['volid']));
  const url = '/nodes/pve2/vzdump/extractconfig';
  assert.match(String(await b.data('pve2', 'GET', url, { volume: first ?? '' })), /hostname: dns/);
  assert.match((await b.call('pve2', 'GET', url, { volume: encrypted ?? '' })).statusText, /wrong key/);
  const restore = (volid: string | undefined, vmid: number, storage = 'local') =>
    b.task('pve2', 'POST', '/nodes/pve2/lxc', { vmid, ostemplate: volid ?? '', restore: 1, storage });
  assert.match((await restore(encrypted, 901)).exitstatus, /unable to restore CT 901 - .*wrong key/);
  assert.equal((await restore(first, 902)).exitstatus, 'OK');
  assert.ok(b.lab.status().containers.some((c) => c.vmid === 902 && c.hostname === 'dns'));
});

test('no container’s disk goes there, and no other volume is on it', async () => {
  const b = bench();
  const [first] = (await content(b)).map((entry) => String(entry['volid']));
  const refused = await b.call('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 903,
    ostemplate: first ?? '',
    restore: 1,
    storage: 'pbs',
  });
  assert.equal(refused.status, 400);
  assert.match(refused.body, /storage 'pbs' does not support container directories/);
  assert.equal(
    (await b.call('pve2', 'GET', volume('pbs:vm-101-disk-0'))).statusText,
    "unable to parse PBS volume name 'vm-101-disk-0'",
  );
  const wrong = await b.task('pve2', 'POST', '/nodes/pve2/vzdump', { vmid: 102, storage: 'thin' });
  assert.match(wrong.exitstatus, /can't use storage 'thin' for backups - wrong content type/);
});

test('removal: a protected one stays, one that is gone is an error there (and none of a file)', async () => {
  const b = bench();
  const [first, second] = (await content(b)).map((entry) => String(entry['volid']));
  const protectedOne = await b.task('pve2', 'DELETE', volume(first ?? ''));
  assert.match(protectedOne.exitstatus, /cannot remove protected volume 'backup\/ct\/101\//);
  assert.equal((await b.task('pve2', 'DELETE', volume(second ?? ''))).exitstatus, 'OK');
  assert.notEqual((await b.task('pve2', 'DELETE', volume(second ?? ''))).exitstatus, 'OK');
  assert.equal((await content(b)).length, 2);
});

test('its verification is settable, and only there', async () => {
  const b = bench();
  const [first] = await content(b);
  b.lab.verify(String(first?.['volid']), 'failed');
  assert.equal(record((await content(b))[0]?.['verification'])['state'], 'failed');
  assert.throws(() => b.lab.verify('nas:backup/vzdump-lxc-101-x.tar.zst', 'ok'), /not on a backup server/);
});

test('definitions: the key’s fingerprint and the namespace are in them, shared types are shared by themselves', async () => {
  const all = list(await bench().data('pve1', 'GET', '/storage'));
  const pbs = all.find((entry) => entry['storage'] === 'pbs');
  assert.deepEqual(
    [pbs?.['type'], pbs?.['encryption-key'], pbs?.['namespace'], pbs?.['shared'], pbs?.['path']],
    ['pbs', KEY, 'home', 1, undefined],
  );
  assert.deepEqual(
    all.filter((entry) => entry['shared'] === 1).map((entry) => entry['storage']),
    ['nas', 'pbs', 'small'],
  );
});

test('volumes on thin storage have snapshots: mode snapshot stays snapshot', async () => {
  const containers = WORLD.containers.map((c) => (c.vmid === 101 ? { ...c, storage: 'thin' } : c));
  const b = new Bench({ world: { ...PBS, containers } });
  const { log } = await b.task('pve1', 'POST', '/nodes/pve1/vzdump', {
    vmid: 101,
    storage: 'pbs',
    mode: 'snapshot',
  });
  assert.ok(log.includes('INFO: backup mode: snapshot'));
});

test('a storage with retention takes no more with remove=0; with remove=1 the oldest unprotected ones go', async () => {
  const b = bench();
  const dump = (remove: number) =>
    b.task('pve1', 'POST', '/nodes/pve1/vzdump', { vmid: 101, storage: 'small', mode: 'snapshot', remove });
  assert.equal((await dump(0)).exitstatus, 'OK');
  const oldest = (await content(b, 'small'))[0]?.['volid'];
  assert.equal((await dump(0)).exitstatus, 'OK');
  const { exitstatus, log } = await dump(0);
  assert.equal(exitstatus, 'job errors');
  assert.ok(
    log.includes(
      'ERROR: Backup of VM 101 failed - There is a max backup limit of 2 enforced by the target storage or the vzdump parameters. Either increase the limit or delete old backups.',
    ),
  );
  assert.equal((await dump(1)).exitstatus, 'OK');
  const left = (await content(b, 'small')).map((entry) => entry['volid']);
  assert.equal(left.length, 2);
  assert.ok(!left.includes(oldest));
});

test('so many protected backups of a guest and no more, unless Datastore.Allocate is held', async () => {
  const rights = {
    '/': ['Sys.Audit'],
    '/vms': ['VM.Audit', 'VM.Backup'],
    '/storage': ['Datastore.AllocateSpace'],
  };
  const token = { id: 'proxwarden@pve!few', secret: 's3cret', privileges: rights };
  const world: WorldSpec = {
    ...PBS,
    tokens: [...PBS.tokens, token],
    backups: [1, 2, 3, 4, 5, 6, 7].map((n) => ({
      vmid: 101,
      storage: 'nas',
      ageSeconds: n * 3600,
      protected: n > 2,
    })),
  };
  for (const [header, expected] of [
    [TOKEN, 'OK'],
    [
      'PVEAPIToken=proxwarden@pve!few=s3cret',
      "The number of protected backups per guest is limited to 5 on storage 'nas'",
    ],
  ] as const) {
    const b = new Bench({ world, token: header });
    const last = (await content(b, 'nas')).find((entry) => entry['protected'] !== 1);
    const answer = await b.call('pve2', 'PUT', volume(String(last?.['volid'])), { protected: 1 });
    assert.equal(answer.statusText, expected);
  }
});

test('a storage out of reach is called available for a while, and refuses everything meanwhile', async () => {
  const b = bench();
  b.lab.unmount('nas', 'pve1');
  const state = async (): Promise<unknown> =>
    list(await b.data('pve2', 'GET', '/cluster/resources', { type: 'storage' })).find(
      (entry) => entry['storage'] === 'nas' && entry['node'] === 'pve1',
    )?.['status'];
  assert.equal(await state(), 'available');
  const listing = await b.call('pve1', 'GET', '/nodes/pve1/storage/nas/content');
  assert.deepEqual([listing.status, listing.statusText], [500, "storage 'nas' is not online"]);
  assert.equal((await content(b, 'nas')).length, 0);
  const dump = await b.task('pve1', 'POST', '/nodes/pve1/vzdump', { vmid: 101, storage: 'nas' });
  assert.match(dump.exitstatus, /could not activate storage 'nas'/);
  await b.clock.advance(310_000);
  assert.equal(await state(), 'unknown');
  b.lab.mount('nas', 'pve1');
  assert.equal(await state(), 'available');
});
