import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctorJson, doctorReport } from '../../lib/tell/doctor.ts';
import { unplugged } from './plants.ts';
import { healthyInventory, healthyWorld, visit } from './clinic.ts';

/** Three nodes; pve1's fence is a person, pve2 has none, CT 103 has an old backup. */
async function example() {
  return visit((p) => {
    p.world = healthyWorld([1, 2, 3]);
    p.world = {
      ...p.world,
      backups: (p.world.backups ?? []).map((b) => (b.vmid === 103 ? { ...b, ageSeconds: 30 * 3600 } : b)),
    };
    p.files['home.yaml'] = unplugged(healthyInventory([1, 2, 3]), 'pve1')
      .replace(/ {2}pve2:\n {4}fence:\n.*\n.*\n.*\n/, '')
      .replace('ct3:\n', 'ct3:\n    failover: { auto: false }\n');
  });
}

test('at 80 columns: findings first, nothing wider, and the table with what to type at the end', async () => {
  const { diagnosis, facts } = await example();
  const text = doctorReport(diagnosis, 80, facts.at);
  for (const line of text.split('\n'))
    assert.ok(line.length <= 80 || line.trimStart().startsWith('$ '), `${line.length}: ${line}`);
  const parts = text.split('\n\n');
  assert.match(parts[0] ?? '', /^FAIL {2}fence-missing: node pve2 in home\n {6}it has no fence: /);
  const at = (words: string): number => parts.findIndex((part) => part.startsWith(words));
  assert.ok(at('FAIL') < at('note') && at('note') < at('here') && at('here') < at('home'));
  assert.equal(
    parts.slice(at('What would happen in home') + 1).join('\n\n'),
    `WHEN            CONTAINER      THEN
pve1 dies       ct1            waits for you, because nothing proves pve1 off;
                               see that it is off and say so, then the backup of
                               4 h ago is restored on pve2
                               $ proxwarden fence confirm home/pve1
pve2 dies       ct2            blocked: nothing proves pve2 off
                               → give pve2 a fence in the inventory: a smart
                                 plug, or \`manual\`, your word
pve3 dies       ct3            waits for you, because the inventory does not
                               allow automatic failover; say so, then pve3 is
                               powered off, the backup of 1 d 6 h ago is
                               restored on pve1
                               $ proxwarden failover ct3 --backup nas:backup/vzdump-lxc-103-2026_11_21-06_00_00.tar.zst --accept-data-loss 31h
a service dies  ct1            restarted in place once; then automatic: stopped,
                               backed up and moved to pve2 with that backup
                ct2            restarted in place once; then automatic: stopped,
                               backed up and moved to pve3 with that backup
                ct3            waits for you, because the inventory does not
                               allow automatic failover; say so, then stopped,
                               backed up and moved to pve1 with that backup
                               $ proxwarden failover ct3
pve1 is cut     ct1            as long as its services answer this machine:
off                            nothing. Silent: waits for you as if it had died,
                               but it runs on: power it off before you confirm
pve2 or pve3    ct2, ct3       as long as its services answer this machine:
is cut off                     nothing. Silent: as if it had died
this machine    ct1, ct2, ct3  nothing is done: no quorate view of cluster home
is cut off                     can be had

2 failures, 0 warnings, 2 notes.`,
  );
});

test('for programs: findings with ids and commands, and what would happen', async () => {
  const { diagnosis, facts } = await example();
  const json: unknown = JSON.parse(JSON.stringify(doctorJson(diagnosis, facts.at)));
  assert.ok(typeof json === 'object' && json !== null && 'findings' in json && 'consequences' in json);
  assert.deepEqual(
    diagnosis.findings.map((f) => `${f.level} ${f.id} ${f.name}`),
    ['fail fence-missing pve2', 'fail backup-old ct3', 'note fence-manual pve1', 'note auto-off ct3'],
  );
});
