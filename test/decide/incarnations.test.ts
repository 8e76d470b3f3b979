import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  incarnationKey,
  incarnationsOf,
  leastEpochOf,
  parseIncarnationKey,
  vmidOfEpoch,
} from '../../lib/decide/incarnations.ts';
import { TAG } from '../../lib/decide/lineage.ts';
import { emptyContainerState } from '../../lib/state/model.ts';
import { at, containerOf, guestOf, incarnationOf, lineOf } from './parts.ts';
import { world, type World } from './world.ts';

function of(w: World, name = 'dns') {
  const { current, superseded, pending, problems } = incarnationsOf(
    w.container(name),
    w.observation,
    w.state.containers[name],
  );
  return {
    current: current === null ? null : incarnationKey(current),
    superseded: superseded.map((i) => incarnationKey(i)),
    pending: pending.map((i) => incarnationKey(i)),
    problems,
  };
}

const ONLY_ORIGINAL = { current: 'pve1/101@0', superseded: [], pending: [], problems: [] };
const FAILED_OVER = {
  current: 'pve2/1000101@1',
  superseded: ['pve1/101@0'],
  pending: [],
  problems: [],
};

test('without lineage lines the guest with the inventory’s vmid is current, wherever it is', () => {
  assert.deepEqual(of(world()), ONLY_ORIGINAL);
  const moved = world().but((w) => {
    w.view.guests = [guestOf('pve3', 101)];
  });
  assert.equal(of(moved).current, 'pve3/101@0');
});

test('a container that is nowhere has no current incarnation', () => {
  const w = world().but((x) => {
    x.view.guests = [];
  });
  assert.deepEqual(of(w), { current: null, superseded: [], pending: [], problems: [] });
});

test('a virtual machine with that vmid is not the container', () => {
  const w = world().but((x) => {
    x.view.guests = [guestOf('pve1', 101, { type: 'qemu' })];
  });
  assert.equal(of(w).current, null);
});

test('after a failover the copy is current and the original superseded', () => {
  assert.deepEqual(of(world().copy()), FAILED_OVER);
});

test('an empty state adopts the copy from its lineage line', () => {
  const w = world()
    .copy()
    .but((x) => {
      x.state.containers = {};
    });
  assert.deepEqual(of(w), FAILED_OVER);
});

test('a copy that has not been asked to start is pending, and the original stays current', () => {
  assert.deepEqual(of(world().copy({ phase: 'restored' }, 'stopped', false)), {
    current: 'pve1/101@0',
    superseded: [],
    pending: ['pve2/1000101@1'],
    problems: [],
  });
});

test('an unstarted leftover of a lower epoch is superseded, not pending', () => {
  const w = world().copy({ phase: 'restored' }, 'stopped', false).copy({ epoch: 2, node: 'pve3' });
  assert.deepEqual(of(w).superseded, ['pve2/1000101@1', 'pve1/101@0']);
  assert.deepEqual(of(w).pending, []);
});

test('a line found under another vmid is somebody’s restore of our copy, and not ours', () => {
  const w = world().but((x) => {
    x.runs('pve3', 555, { tags: [TAG] });
    x.view.lineages.push({ node: 'pve3', vmid: 555, line: lineOf() });
  });
  assert.deepEqual(of(w), ONLY_ORIGINAL);
});

test('a line of another cluster is not ours', () => {
  const w = world().but((x) => {
    x.runs('pve2', 555);
    x.view.lineages.push({ node: 'pve2', vmid: 555, line: lineOf({ cluster: 'office', vmid: 555 }) });
  });
  assert.deepEqual(of(w), ONLY_ORIGINAL);
});

test('a copy that was migrated by hand is drift: its line names another node', () => {
  const w = world().but((x) => {
    x.runs('pve3', 1_000_101, { tags: [TAG] });
    x.view.lineages.push({ node: 'pve3', vmid: 1_000_101, line: lineOf() });
  });
  assert.match(of(w).problems.join(), /restored on pve2 and is on pve3 now/);
});

test('two copies of one epoch are a problem', () => {
  const w = world()
    .copy()
    .but((x) => {
      x.runs('pve3', 2_000_101);
      x.view.lineages.push({
        node: 'pve3',
        vmid: 2_000_101,
        line: lineOf({ node: 'pve3', vmid: 2_000_101 }),
      });
    });
  assert.match(of(w).problems.join(), /two copies of dns have the epoch 1/);
});

test('the inventory says another vmid than the lineage: drift, and that other guest is not ours', () => {
  const w = world().copy().runs('pve3', 150);
  w.entry('dns', { vmid: 150 });
  const seen = of(w);
  assert.match(seen.problems.join(), /drift: the inventory says vmid 150, the lineage of dns says 101/);
  assert.equal(seen.current, 'pve2/1000101@1');
  assert.deepEqual(seen.superseded, []);
});

test('the lineage no longer names the original, but the copy’s vmid is of another pool: drift', () => {
  const w = world()
    .copy({ epoch: 2, supersedes: 'pve2/1000101@1' })
    .runs('pve3', 150)
    .but((x) => x.entry('dns', containerOf({ vmid: 150 })));
  assert.match(of(w).problems.join(), /drift: the inventory says vmid 150, the lineage of dns says 2000101/);
});

test('the original and the first copy have been cleaned up: no drift', () => {
  const w = world()
    .copy({ epoch: 2 })
    .but((x) => {
      x.view.guests = x.view.guests.filter((g) => g.vmid === 2_000_101);
    });
  assert.deepEqual(of(w), { current: 'pve2/2000101@2', superseded: [], pending: [], problems: [] });
});

test('a container that was renamed after its failover is drift', () => {
  const w = world()
    .copy()
    .but((x) => {
      x.containers['resolver'] = containerOf({ name: 'resolver' });
    });
  assert.match(of(w, 'resolver').problems.join(), /CT 101 has been taken over by dns/);
});

test('renamed, and its lineage no longer names the original: its copy on our vmids is drift all the same', () => {
  const w = world()
    .copy({ epoch: 2 })
    .but((x) => {
      x.containers['resolver'] = containerOf({ name: 'resolver' });
    });
  assert.match(of(w, 'resolver').problems.join(), /CT 2000101 on pve2, .* is dns, epoch 2/);
});

test('a copy whose node is dead is current by what the state knows', () => {
  assert.deepEqual(of(world().copy().dies('pve2')), FAILED_OVER);
});

test('a copy that the state knows and the cluster does not is a problem', () => {
  const w = world()
    .copy()
    .but((x) => {
      x.view.guests = x.view.guests.filter((g) => g.vmid === 101);
      x.view.lineages = [];
    });
  assert.match(of(w).problems.join(), /the state knows dns as pve2\/1000101@1, and the cluster does not/);
});

test('with an empty state, a copy on a dead node may be a later one', () => {
  const w = world()
    .copy()
    .dies('pve2')
    .but((x) => {
      x.state.containers = {};
    });
  assert.match(of(w).problems.join(), /CT 1000101 on pve2 may be a later copy of dns/);
});

test('it may be so, too, when the list has dropped its tag after five minutes', () => {
  const w = world()
    .copy()
    .dies('pve2')
    .forgets('pve2')
    .but((x) => {
      x.state.containers = {};
    });
  assert.match(of(w).problems.join(), /CT 1000101 on pve2 may be a later copy of dns/);
});

test('a later copy on a dead node is a problem although an earlier one can be read', () => {
  const w = world()
    .copy({}, 'stopped')
    .copy({ epoch: 2, node: 'pve3' })
    .dies('pve3')
    .forgets('pve3')
    .but((x) => {
      x.state.containers = {};
    });
  assert.match(of(w).problems.join(), /CT 2000101 on pve3 may be a later copy of dns/);
});

test('an earlier copy on a dead node is no problem beside a later one', () => {
  const w = world().copy({}, 'stopped').copy({ epoch: 2, node: 'pve3' }).dies('pve2').forgets('pve2');
  assert.deepEqual(of(w).problems, []);
});

test('an untagged guest on a vmid of the pool is a problem until its description has been read', () => {
  const unread = world().but((x) => x.view.guests.push(guestOf('pve3', 1_000_101)));
  assert.match(of(unread).problems.join(), /may be a later copy/);
  for (const macs of [['BC:24:11:0F:0F:0F'], []])
    assert.deepEqual(of(world().runs('pve3', 1_000_101, {}, { macs })), ONLY_ORIGINAL);
});

const unlined: readonly (readonly [string, RegExp, () => World])[] = [
  ['with our MAC', /its notes lack the line/, () => world().runs('pve3', 1_000_101)],
  [
    'when no MAC of ours is known',
    /its notes lack the line/,
    () =>
      world()
        .changeDetail('pve1', 101, { macs: [] })
        .record('dns', { identity: null })
        .runs('pve3', 1_000_101),
  ],
  [
    'that is being restored',
    /is being made on pve3 right now/,
    () => world().runs('pve3', 1_000_101, {}, { macs: [], lock: 'create', status: 'stopped' }),
  ],
  [
    'with a line of before the cluster was renamed',
    /its notes lack the line/,
    () => world().copy({ cluster: 'house' }, 'running', false),
  ],
];
for (const [what, why, make] of unlined)
  test(`a guest on a vmid of the pool ${what}: perhaps a copy, so it is a problem`, () =>
    assert.match(of(make()).problems.join('; '), why));

test('with two vmids in turn, the one that the next epoch takes may be later', () => {
  const two = { failover: { vmids: [1_000_101, 2_000_101] } };
  const base = () => world().entry('dns', two).copy({ epoch: 2, node: 'pve3', supersedes: 'pve2/2000101@1' });
  const later = base().but((x) => x.view.guests.push(guestOf('pve1', 1_000_101)));
  assert.match(of(later).problems.join(), /CT 1000101 on pve1 may be a later copy/);
  const older = world()
    .entry('dns', two)
    .copy({ epoch: 2, node: 'pve3' })
    .but((x) => x.view.guests.push(guestOf('pve2', 1_000_101)));
  assert.deepEqual(of(older).problems, []);
});

test('keys come back as they were written, and nothing else is one', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
      fc.integer({ min: 100, max: 999_999_999 }),
      fc.integer({ min: 0, max: 999_999 }),
      (node, vmid, epoch) => {
        const key = incarnationKey({ node, vmid, epoch });
        assert.deepEqual(parseIncarnationKey(key), { cluster: null, node, vmid, epoch });
        const far = incarnationKey({ cluster: 'attic', node, vmid, epoch }, 'home');
        assert.deepEqual(parseIncarnationKey(far), { cluster: 'attic', node, vmid, epoch });
      },
    ),
  );
  for (const text of [
    '',
    'pve1',
    'pve1/101',
    'pve1/x@0',
    'pve1/101@',
    '/101@0',
    'a/b/c/101@0',
    'pve 1/101@0',
  ])
    assert.equal(parseIncarnationKey(text), null, text);
});

test('epochs take the vmids in turn', () => {
  const container = containerOf({ failover: { vmids: [901, 902, 903] } });
  assert.deepEqual(
    [1, 2, 3, 4, 7].map((epoch) => vmidOfEpoch(container, epoch)),
    [901, 902, 903, 901, 901],
  );
  assert.throws(() => vmidOfEpoch(containerOf({ failover: { vmids: [] } }), 1), RangeError);
  assert.deepEqual(
    [101, 901, 903, 904].map((vmid) => leastEpochOf(container, 'home', vmid)),
    [0, 1, 3, null],
  );
});

test('what the state caches is never preferred to a later epoch in the cluster', () => {
  const w = world()
    .copy()
    .copy({ epoch: 2, node: 'pve3' })
    .record('dns', { current: at('pve2/1000101@1') });
  assert.equal(of(w).current, 'pve3/2000101@2');
});

test('the cached original never stands in for anything', () => {
  const w = world().but((x) => {
    x.view.guests = [];
    x.record('dns', { current: incarnationOf() });
  });
  assert.equal(of(w).current, null);
});

test('a copy that an operation could not take away counts as pending as long as its cluster lists it', () => {
  const attempt = incarnationOf({ node: 'pve3', vmid: 1_000_101, epoch: 1, phase: 'restored' });
  const left = world().but((w) => {
    w.view.guests = [...w.view.guests, guestOf('pve3', 1_000_101, { status: 'unknown' })];
  });
  assert.match(of(left).problems.join(), /CT 1000101 on pve3 may be a later copy/);
  const state = (w: World) => ({ ...emptyContainerState(), ...w.state.containers['dns'], attempt });
  const known = incarnationsOf(left.container('dns'), left.observation, state(left));
  assert.deepEqual(
    { pending: known.pending, problems: known.problems, current: known.current?.epoch },
    { pending: [attempt], problems: [], current: 0 },
  );
  const gone = world();
  const after = incarnationsOf(gone.container('dns'), gone.observation, state(gone));
  assert.deepEqual(after.pending, []);
});
