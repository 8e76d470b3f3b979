import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldAt } from '../../lib/decide/doctor/rights.ts';
import { visit, type Patient } from './clinic.ts';

/** As recorded: 14-misc-client-facts, "scoped ACLs: permissions". */
const SCOPED = {
  '/': { 'Sys.Audit': true },
  '/vms': { 'VM.Audit': true, 'VM.Backup': true },
  '/nodes': { 'Sys.Audit': true },
  '/storage': { 'Sys.Audit': true },
  '/storage/shared': { 'Datastore.Audit': true },
  '/sdn/zones/localnetwork': { 'SDN.Use': true },
};

test('what is held at a path is what is listed there, or handed down from the nearest path above', () => {
  const held = (privileges: Parameters<typeof heldAt>[0], path: string): string[] => [
    ...heldAt(privileges, path),
  ];
  assert.deepEqual(held(SCOPED, '/vms/101'), ['VM.Audit', 'VM.Backup']);
  assert.deepEqual(held(SCOPED, '/storage/shared'), ['Datastore.Audit']);
  assert.deepEqual(held(SCOPED, '/storage/other'), ['Sys.Audit']);
  assert.deepEqual(held(SCOPED, '/sdn/zones/localnetwork/vmbr0'), ['SDN.Use']);
  assert.deepEqual(held(SCOPED, '/nodes/pve1'), ['Sys.Audit']);
  // Without propagation it holds there and nowhere below.
  const narrow = { '/': { 'Sys.Audit': true, 'Sys.Console': false } };
  assert.deepEqual(held(narrow, '/'), ['Sys.Audit', 'Sys.Console']);
  assert.deepEqual(held(narrow, '/x'), ['Sys.Audit']);
  // A standard path that isn't listed has been emptied (NoAccess).
  assert.deepEqual(held({ '/': { 'VM.Audit': true } }, '/vms/101'), []);
  // A member of a pool is listed by itself; a copy's vmid is in no pool.
  const pooled = { '/vms/101': { 'VM.Audit': true } };
  assert.deepEqual([held(pooled, '/vms/101'), held(pooled, '/vms/1000101')], [['VM.Audit'], []]);
});

async function missing(
  rights: (patient: Patient) => Record<string, readonly string[]>,
): Promise<[string, string[]][]> {
  const { diagnosis } = await visit((patient) => {
    patient.world = {
      ...patient.world,
      tokens: patient.world.tokens.map((token) => ({ ...token, privileges: rights(patient) })),
    };
  });
  return diagnosis.findings.filter((f) => f.id === 'privilege-missing').map((f) => [f.text, [...f.commands]]);
}

const ALL = ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate'];
const STORE = ['Datastore.Audit', 'Datastore.AllocateSpace'];
const FULL = {
  '/': ['Sys.Audit', 'Sys.Console'],
  '/vms': ALL,
  '/storage/nas': STORE,
  '/storage/local': STORE,
  '/sdn/zones/localnetwork': ['SDN.Use'],
};

test('the exact pveum lines for what is missing, and for nothing else', async () => {
  assert.deepEqual(await missing(() => FULL), []);
  const { '/storage/nas': _, ...noNas } = FULL;
  assert.deepEqual(await missing(() => noNas), [
    [
      'it lacks Datastore.Audit and Datastore.AllocateSpace on /storage/nas, needed to list, make and read backups',
      [
        'pveum role add ProxWardenStore --privs "Datastore.Audit Datastore.AllocateSpace"   # unless it is there',
        "pveum acl modify /storage/nas --users proxwarden@pve --tokens 'proxwarden@pve!ha' --roles ProxWardenStore",
      ],
    ],
  ]);
  assert.deepEqual(await missing(() => ({ ...FULL, '/': ['Sys.Audit'] })), [
    [
      'it lacks Sys.Console on /, needed to keep a dead node’s original from starting when it returns (or set failover.returnRisk: accepted)',
      [
        'pveum role add ProxWardenGuard --privs "Sys.Console"   # unless it is there',
        "pveum acl modify / --users proxwarden@pve --tokens 'proxwarden@pve!ha' --roles ProxWardenGuard --propagate 0",
      ],
    ],
  ]);
  // An entry for the original alone doesn't cover its copies.
  const [[text] = ['']] = await missing(() => ({ ...FULL, '/vms': ['VM.Audit'], '/vms/101': ALL }));
  assert.match(
    text,
    /^it lacks VM.Backup, VM.PowerMgmt, VM.Config.Options and VM.Allocate on \/vms\/1000101,/,
  );
});
