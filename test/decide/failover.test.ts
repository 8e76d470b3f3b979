import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../lib/decide/model.ts';
import { archivedOf, at, backupOf, detailOf, GIB, HOUR, lineOf, MINUTE } from './parts.ts';
import { dueWorld, failedGates, world, World } from './world.ts';

function blockedBy(decision: Decision, gate: string, evidence: RegExp): void {
  assert.equal(decision.kind, 'blocked', decision.why);
  const failed = decision.gates.find((g) => !g.ok);
  assert.equal(failed?.gate, gate, decision.why);
  assert.match(failed?.evidence ?? '', evidence);
  assert.equal(decision.action, null);
}

/** The service hangs on a living node and has been restarted there already: it is to be moved. */
const hanging = (): World => world().answers('dns', 'refused').failed().record('dns', { restartedAt: 1 });

test('a dead, fenced node: the action says everything that will be done', () => {
  assert.deepEqual(dueWorld().decides().action, {
    container: 'dns',
    mode: 'automatic',
    from: at('pve1/101@0'),
    target: { cluster: 'home', node: 'pve2' },
    alternatives: [{ cluster: 'home', node: 'pve3' }],
    vmid: 1_000_101,
    epoch: 1,
    volid: 'nas:backup/ct101-60min',
    backupAt: backupOf().at,
    sourceAlive: false,
    fence: [],
    retire: 'ha-guard',
    takes: { memory: GIB, disks: { local: 8 * GIB }, backups: 'nas' },
  });
});

test('a living source: stopped, backed up afresh, onboot off', () => {
  const { action, why } = hanging().decides();
  assert.equal(action?.sourceAlive, true);
  assert.equal(action.volid, null);
  assert.equal(action.retire, 'onboot-off');
  assert.match(why, /^stop and back up CT 101 on pve1, restore it on pve2/);
});

// Source
test('a node that corosync lists and whose API is silent is hands off', () =>
  blockedBy(
    dueWorld()
      .but((w) => void (w.node('pve1').online = true))
      .decides(),
    'source',
    /its API does not answer/,
  ));
test('beforeFailover: never, on a living node: an older backup is a person’s decision', () => {
  const w = hanging().entry('dns', { backup: { beforeFailover: 'never' } });
  blockedBy(w.decides(), 'source', /rules out a fresh backup/);
  assert.equal(w.decides('dns', { mode: 'by-hand' }).action?.volid, null);
  const backup = { volid: 'nas:backup/ct101-60min', acceptAgeMs: HOUR };
  assert.equal(w.decides('dns', { mode: 'by-hand', backup }).action?.volid, backup.volid);
});
test('--planned demands a source that is alive', () =>
  blockedBy(dueWorld().decides('dns', { mode: 'planned' }), 'source', /--planned needs the source alive/));
test('by hand, a healthy container is moved with --planned only', () => {
  blockedBy(world().decides('dns', { mode: 'by-hand' }), 'source', /is healthy/);
  assert.equal(world().decides('dns', { mode: 'planned' }).kind, 'failover');
});
test('a container that is nowhere in the cluster', () =>
  blockedBy(
    dueWorld()
      .but((w) => void (w.view.guests = []))
      .decides('dns', { mode: 'by-hand' }),
    'source',
    /is not in cluster home/,
  ));

// Proof
const notFenced = (): World => world().dies('pve1').failed();
test('P1 is not enough unless the inventory accepts it by name', () => {
  blockedBy(notFenced().decides(), 'proof', /P1 .*P2 is demanded .*no fence driver is configured/);
  const accepted = notFenced().entry('dns', { failover: { proof: 'offline-accepted' } });
  assert.equal(accepted.decides().kind, 'failover');
});
test('with a plug the node is powered off first', () => {
  assert.deepEqual(notFenced().plug('pve1').decides().action?.fence, ['home/pve1']);
});
test('proof: fenced demands P3 of a dead node, and takes the word of a living one', () => {
  const fenced = { failover: { proof: 'fenced' } } as const;
  assert.equal(dueWorld().entry('dns', fenced).decides().kind, 'failover');
  blockedBy(notFenced().entry('dns', fenced).decides(), 'proof', /P3 is demanded/);
  assert.equal(hanging().entry('dns', fenced).decides().kind, 'failover');
});
test('two votes, no fence: never', () => {
  const w = new World(['pve1', 'pve2'])
    .has({ failover: { proof: 'offline-accepted' } })
    .dies('pve1')
    .failed();
  blockedBy(w.decides(), 'proof', /only 1 other vote/);
});
test('two votes, fenced: yes', () => {
  const w = new World(['pve1', 'pve2']).has().dies('pve1').reads('pve1', 'off').failed();
  assert.equal(w.decides().action?.target.node, 'pve2');
});
test('an answering address keeps a node from being fenced', () => {
  const w = notFenced().plug('pve1').answers('dns', 'refused');
  blockedBy(w.decides(), 'proof', /dns on pve1 answers/);
});

// The others: a superseded original on a node that is dead again
const again = (): World =>
  world().copy().dies('pve1').answers('dns', 'silent').failed().record('dns', { restartedAt: 1 });
test('a superseded original on a dead node needs its own proof', () => {
  blockedBy(again().decides(), 'proof', /that pve1\/101@0 is not running/);
  assert.deepEqual(again().plug('pve1').decides().action?.fence, ['home/pve1']);
  assert.deepEqual(again().reads('pve1', 'off').decides().action?.fence, []);
});
test('… and must not be able to start when its node returns', () => {
  const w = again()
    .reads('pve1', 'off')
    .but((x) => void (x.view.mayGuard = false));
  blockedBy(w.decides(), 'return', /CT 101 on pve1 would start by itself/);
  assert.equal(w.guard('pve1', 101).decides().kind, 'failover');
});
test('… and with its node alive, must be stopped there', () => {
  const w = world().copy().answers('dns', 'silent').failed().record('dns', { restartedAt: 1 });
  blockedBy(w.decides(), 'proof', /CT 101 is running there/);
  assert.equal(w.stops('pve1', 101).decides().action?.epoch, 2);
});
test('a copy on a dead node, its original alive and stopped: the next epoch', () => {
  const w = world()
    .copy()
    .stops('pve1', 101)
    .dies('pve2')
    .reads('pve2', 'off')
    .failed()
    .but((x) => {
      x.entry('dns', { nodes: [{ cluster: 'home', node: 'pve3' }] });
      x.observation.backups = [backupOf({ vmid: 1_000_101, archived: archivedOf({ lineage: lineOf() }) })];
    });
  const { action } = w.decides();
  assert.equal(action?.epoch, 2);
  assert.equal(action.vmid, 2_000_101);
  assert.equal(action.from.vmid, 1_000_101);
});

// Return
test('an original that would start by itself when its node returns blocks, unless accepted by name', () => {
  const w = dueWorld().but((x) => void (x.view.mayGuard = false));
  blockedBy(w.decides(), 'return', /would start by itself/);
  const accepted = w.entry('dns', { failover: { returnRisk: 'accepted' } });
  assert.equal(accepted.decides().action?.retire, 'risk-accepted');
});

// Backup
test('no sound backup: blocked, with the reasons', () => {
  const w = dueWorld().but((x) => void (x.observation.backups = [backupOf({ verification: 'failed' })]));
  blockedBy(w.decides(), 'backup', /no sound backup of CT 101 on nas .*verification failed/);
});
test('older than the RPO: blocked, with the one command that accepts the loss', () => {
  const w = dueWorld().but((x) => void (x.observation.backups = [backupOf({ minutes: 25 * 60 })]));
  const decision = w.decides();
  blockedBy(decision, 'backup', /1 d 1 h old, the RPO is 1 d/);
  assert.match(
    decision.gates.find((g) => g.gate === 'backup')?.flip ?? '',
    /failover dns --backup nas:backup\/ct101-1500min --accept-data-loss 25h/,
  );
  const backup = { volid: 'nas:backup/ct101-1500min', acceptAgeMs: 25 * HOUR };
  assert.equal(w.decides('dns', { mode: 'by-hand', backup }).action?.volid, backup.volid);
  blockedBy(
    w.decides('dns', { mode: 'by-hand', backup: { ...backup, acceptAgeMs: 24 * HOUR } }),
    'backup',
    /25|1 d/,
  );
});
test('MACs of another vmid than the current one do not identify its backups', () => {
  const w = dueWorld().but((x) => {
    const identity = x.state.containers['dns']?.identity;
    assert.ok(identity != null);
    x.record('dns', { identity: { ...identity, vmid: 999 } });
  });
  blockedBy(w.decides(), 'backup', /no MAC address is known/);
  assert.equal(w.entry('dns', { macs: ['BC:24:11:00:01:01'] }).decides().kind, 'failover');
});

// Target
test('no node can take it: blocked, each with its reason', () => {
  const w = dueWorld().but((x) => void (x.view.storages = []));
  const decision = w.decides();
  blockedBy(decision, 'target', /home\/pve2:? storage local is not there; home\/pve3:? storage local/);
  assert.equal(decision.rejected.length, 2);
});
test('a person’s target is the only one', () => {
  const to = { cluster: 'home', node: 'pve3' };
  const { action } = dueWorld().decides('dns', { mode: 'by-hand', to });
  assert.deepEqual([action?.target, action?.alternatives], [to, []]);
  blockedBy(
    dueWorld().decides('dns', { mode: 'by-hand', to: { cluster: 'home', node: 'pve9' } }),
    'target',
    /no node pve9/,
  );
});
test('maxAttempts bounds the alternatives', () => {
  assert.deepEqual(
    dueWorld()
      .entry('dns', { failover: { maxAttempts: 1 } })
      .decides().action?.alternatives,
    [],
  );
});
test('memory that one failover takes is not there for the next', () => {
  const w = dueWorld();
  w.node('pve2').memUsed = 14.5 * GIB;
  w.has({ name: 'web', vmid: 102, priority: 1 }).answers('web', 'silent').failed('web');
  w.view.details = [];
  assert.deepEqual(
    w.decisions().map((d) => d.action?.target.node),
    ['pve2', 'pve3'],
  );
});
test('a blocked one reserves nothing', () => {
  const w = dueWorld();
  w.node('pve2').memUsed = 14.5 * GIB;
  w.has({ name: 'web', vmid: 102, priority: 1 }).answers('web', 'silent').failed('web');
  w.view.details = [];
  w.observation.backups = w.observation.backups.filter((b) => b.vmid === 101);
  assert.deepEqual(
    w.decisions().map((d) => d.action?.target.node),
    [undefined, 'pve2'],
  );
});

test('an observation that has grown old proves nothing', () => {
  blockedBy(
    notFenced()
      .reads('pve1', 'off')
      .but((w) => void (w.now += MINUTE))
      .decides(),
    'proof',
    /reads are 60 s old/,
  );
});
test('a healthy source that is only superseded on paper is left alone', () => {
  const w = world()
    .copy()
    .but((x) => void (x.view.details = x.view.details.map((d) => detailOf(d.node, d.vmid, d))));
  assert.equal(w.decides().kind, 'none');
  assert.deepEqual(failedGates(w.decides()), []);
});
