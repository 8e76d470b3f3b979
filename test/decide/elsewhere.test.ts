/** Several clusters and stand-alone nodes: what is remembered of silent ones, what a hidden one forbids, where a copy may go. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { incarnationsOf } from '../../lib/decide/incarnations.ts';
import type { ClusterView } from '../../lib/decide/model.ts';
import { recalled } from '../../lib/decide/remembered.ts';
import type { Container } from '../../lib/inventory/types.ts';
import { backupOf, guestOf, incarnationOf, lineOf, MINUTE, NOW } from './parts.ts';
import { World } from './world.ts';

const CELLAR = { cluster: 'cellar', node: 'pve9' };
const ELSEWHERE: Container['elsewhere'] = {
  cellar: { vmids: [101, 10_000_101], backupStorage: 'backups', restoreStorage: 'tank', mountStorage: {} },
};

/** Home is one stand-alone node with dns on it, cellar another that takes it. The state has seen both. */
function pair(): World & { readonly cellar: ClusterView } {
  const far = new World(['pve9']).view;
  const cellar: ClusterView = {
    ...far,
    cluster: 'cellar',
    standalone: true,
    storages: [
      {
        storage: 'tank',
        node: 'pve9',
        active: true,
        shared: false,
        content: ['rootdir'],
        total: null,
        used: null,
      },
      {
        storage: 'backups',
        node: 'pve9',
        active: true,
        shared: true,
        content: ['backup'],
        total: null,
        used: null,
      },
    ],
  };
  const w = new World(['pve1']).has({
    nodes: [CELLAR],
    elsewhere: ELSEWHERE,
    failover: { returnRisk: 'accepted' },
  });
  w.fences['pve1'] = [{ driver: 'manual', validMs: 30 * MINUTE }];
  w.view.standalone = true;
  w.observation.clusters['cellar'] = cellar;
  w.observation.backups.push(
    backupOf({ cluster: 'cellar', storage: 'backups', volid: 'backups:backup/ct101-60min' }),
  );
  w.state.clusters['home'] = { at: NOW - MINUTE, standalone: true, nodes: [{ name: 'pve1', ip: null }] };
  w.state.clusters['cellar'] = { at: NOW - MINUTE, standalone: true, nodes: [{ name: 'pve9', ip: null }] };
  return Object.assign(w, { cellar });
}

/** Nothing of a cluster is heard any more. */
function silent(view: ClusterView): ClusterView {
  return {
    ...view,
    endpoints: view.endpoints.map((e) => ({
      ...e,
      ok: false,
      silent: true,
      quorate: false,
      node: null,
      online: [],
    })),
    via: null,
    quorate: false,
    nodes: [],
    guests: [],
    storages: [],
    details: [],
    lineages: [],
  };
}

/** Home has died, and was counted out. */
function dead(w = pair()): typeof w {
  w.answers('dns', 'silent').failed();
  w.observation.backups = w.observation.backups.filter((b) => b.cluster !== 'home');
  w.observation.clusters['home'] = recalled(silent(w.view), w.state);
  return w;
}

function said(w: World): typeof w {
  const home = w.observation.clusters['home'];
  home?.fences.push({ node: 'pve1', driver: 'manual', power: 'off', at: NOW, detail: 'confirmed by me' });
  return w;
}

describe('what is remembered', () => {
  test('of a silent cluster: its nodes, and the copies that were last known to be there', () => {
    const view = recalled(silent(pair().view), pair().state);
    assert.equal(view.remembered, NOW - MINUTE);
    assert.deepEqual([view.standalone, view.quorate, view.via], [true, false, null]);
    assert.deepEqual(
      view.nodes.map((n) => [n.name, n.online, n.apiAnswers]),
      [['pve1', false, false]],
    );
    assert.deepEqual(
      view.guests.map((g) => [g.node, g.vmid, g.status]),
      [['pve1', 101, 'unknown']],
    );
  });

  test('nothing of one that refuses, that lets nobody in, that has no quorum, or that the state does not know', () => {
    const w = pair();
    const patches = [{ silent: false }, { ok: true }, { silent: undefined }];
    for (const patch of patches) {
      const view = {
        ...silent(w.view),
        endpoints: silent(w.view).endpoints.map((e) => ({ ...e, ...patch })),
      };
      assert.equal(recalled(view, w.state).remembered, undefined);
    }
    assert.equal(recalled(silent(w.view), { clusters: {}, containers: {} }).remembered, undefined);
    assert.equal(recalled(w.view, w.state), w.view);
  });
});

describe('a silent stand-alone node', () => {
  test('is unhealthy and counted while the canaries answer', () => {
    assert.match(dead().decides().verdict.reason, /stand-alone node pve1 is silent/);
    assert.equal(dead().decides().verdict.kind, 'unhealthy');
  });

  test('is inconclusive without canaries that answer, and while anything of it answers', () => {
    const rows: [RegExp, (w: World) => void][] = [
      [
        /in doubt/,
        (w) => w.observation.canaries.forEach((c) => Object.assign(c, { ok: false, answered: false })),
      ],
      [/no canary to vouch/, (w) => w.observation.canaries.splice(0)],
      [
        /answers a ping/,
        (w) => Object.assign(w.observation.clusters['home']?.nodes[0] ?? {}, { pingAnswers: true }),
      ],
      [/dns on it answers/, (w) => w.answers('dns', 'refused')],
    ];
    for (const [why, change] of rows) {
      const w = dead().but(change);
      assert.match(w.decides().verdict.reason, why);
      assert.equal(w.decides().verdict.kind, 'inconclusive', String(why));
    }
  });

  test('of which the state knows nothing, nothing is done', () => {
    const w = pair();
    w.state.clusters = {};
    const decision = dead(w).decides();
    assert.equal(decision.kind, 'wait');
    assert.match(decision.why, /no quorate view of cluster home/);
    const asked = dead(w).decides('dns', { mode: 'by-hand' });
    assert.match(asked.why, /^quorum: there is no quorate view of cluster home/);
  });

  test('silence alone proves nothing; a word does, and the copy gets its own vmid there', () => {
    const before = dead().decides();
    assert.match(before.why, /^proof: P0 .*stand-alone node pve1 is silent/);
    const { action, why } = said(dead()).decides();
    assert.deepEqual([action?.target, action?.vmid, action?.epoch], [CELLAR, 101, 1]);
    assert.equal(action?.volid, 'backups:backup/ct101-60min');
    assert.match(why, /restore it on cellar\/pve9 as CT 101/);
  });

  test('a taken vmid: the next one of the list; all taken: blocked', () => {
    const taken = (...vmids: number[]) =>
      said(
        dead().but((w) =>
          w.cellar.guests.push(...vmids.map((vmid) => guestOf('pve9', vmid, { name: 'other' }))),
        ),
      );
    // Known by their MACs to be no copies.
    const read = (w: World, ...vmids: number[]) =>
      w.but((x) =>
        x.observation.clusters['cellar']?.details.push(
          ...vmids.map((vmid) => ({
            ...pair().view.details[0]!,
            node: 'pve9',
            vmid,
            macs: ['02:00:00:00:00:01'],
          })),
        ),
      );
    assert.equal(read(taken(101), 101).decides().action?.vmid, 10_000_101);
    assert.match(
      read(taken(101, 10_000_101), 101, 10_000_101).decides().why,
      /^target: .*all vmids .* are taken/,
    );
    assert.match(taken(101).decides().why, /^lineage: CT 101 on pve9 in cluster cellar may be a later copy/);
  });

  test('another storage under the right name is not the backup', () => {
    const w = said(dead()).but((x) => x.observation.backups.forEach((b) => void (b.cluster = 'home')));
    w.observation.backups.forEach((b) =>
      Object.assign(b, { storage: 'nas', volid: 'nas:backup/ct101-60min' }),
    );
    assert.match(w.decides().why, /^target: .*its storage backups does not list backup\/ct101-60min/);
  });
});

describe('a cluster that could hold a later copy', () => {
  const living = () => pair().answers('dns', 'refused').failed().record('dns', { restartedAt: 1 });
  const hide = (w: ReturnType<typeof pair>) => {
    w.observation.clusters['cellar'] = recalled(silent(w.cellar), w.state);
    return w;
  };

  test('out of sight: nothing is started anywhere, and it says what would help', () => {
    const w = living().entry('dns', { nodes: [CELLAR, { cluster: 'home', node: 'pve1' }] });
    const gate = hide(w)
      .decides()
      .gates.find((g) => g.gate === 'clusters');
    assert.equal(gate?.ok, false);
    assert.match(gate?.evidence ?? '', /cellar can't be seen, and may hold a later copy of dns/);
    assert.match(gate?.flip ?? '', /fence confirm cellar\/pve9`; or set failover.unseenRisk: accepted/);
  });

  test('read to be off, or accepted by name: it holds up nothing', () => {
    const off = hide(living());
    off.observation.clusters['cellar']?.fences.push({
      node: 'pve9',
      driver: 'http',
      power: 'off',
      at: NOW,
      detail: '',
    });
    const accepted = hide(living().entry('dns', { failover: { unseenRisk: 'accepted' } }));
    for (const w of [off, accepted])
      assert.equal(w.decides().gates.find((g) => g.gate === 'clusters')?.ok, true);
  });
});

test('a site that is lost as a whole: never by itself, and by hand only with a proof for every node of it', () => {
  const w = pair();
  w.view.standalone = false;
  const nodes = ['pve1', 'pve2'].map((name) => ({ name, ip: null }));
  w.state.clusters['home'] = { at: NOW - MINUTE, standalone: false, nodes };
  dead(w);
  assert.equal(w.decides().kind, 'wait');
  assert.match(w.decides().why, /no quorate view of cluster home/);
  const byHand = () => w.decides('dns', { mode: 'by-hand' });
  const word = (node: string) =>
    w.observation.clusters['home']?.fences.push({
      node,
      driver: 'manual',
      power: 'off',
      at: NOW,
      detail: 'me',
    });
  assert.match(byHand().why, /^clusters: home can't be seen/);
  word('pve1');
  assert.match(byHand().why, /^clusters: home can't be seen/);
  assert.match(
    byHand().gates.find((g) => g.gate === 'clusters')?.flip ?? '',
    /fence confirm home\/pve1`, `proxwarden fence confirm home\/pve2`/,
  );
  word('pve2');
  assert.deepEqual(byHand().action?.target, CELLAR);
  w.entry('dns', { failover: { returnRisk: 'refused' } });
  assert.match(byHand().why, /^return: .*cluster home can't be reached/);
});

describe('copies in several clusters', () => {
  test('the highest epoch of all of them is the current one, whatever it is called', () => {
    const w = pair();
    const line = lineOf({ cluster: 'cellar', node: 'pve9', vmid: 101, supersedes: 'home/pve1/101@0' });
    w.cellar.guests.push(guestOf('pve9', 101));
    w.cellar.lineages.push({ node: 'pve9', vmid: 101, line });
    const { current, superseded, problems } = incarnationsOf(
      w.container(),
      w.observation,
      w.state.containers['dns'],
    );
    assert.deepEqual([current?.cluster, current?.epoch], ['cellar', 1]);
    assert.deepEqual(
      superseded.map((i) => [i.cluster, i.epoch]),
      [['home', 0]],
    );
    assert.deepEqual(problems, []);
  });

  test('two of one epoch in two clusters are told, and known apart though they have one name', () => {
    const w = pair();
    for (const [view, node] of [
      [w.view, 'pve1'],
      [w.cellar, 'pve1'],
    ] as const) {
      const { cluster } = view;
      const vmid = cluster === 'home' ? 1_000_101 : 101;
      view.guests.push(guestOf(node, vmid));
      view.lineages.push({ node, vmid, line: lineOf({ cluster, node, vmid, supersedes: 'pve1/101@0' }) });
    }
    const { problems } = incarnationsOf(w.container(), w.observation, w.state.containers['dns']);
    assert.match(
      problems.join(),
      /two copies of dns have the epoch 1: pve1\/1000101@1 and cellar\/pve1\/101@1/,
    );
  });

  test('a copy in a cluster that is silent now is remembered by the state', () => {
    const w = pair();
    const copy = incarnationOf({ cluster: 'cellar', node: 'pve9', vmid: 101, epoch: 1, phase: 'live' });
    w.record('dns', { current: copy });
    w.observation.clusters['cellar'] = recalled(silent(w.cellar), w.state);
    const { current } = incarnationsOf(w.container(), w.observation, w.state.containers['dns']);
    assert.deepEqual(current, copy);
  });
});
