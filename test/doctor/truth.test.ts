/**
 * What doctor says would happen is what then happens: the node is really killed, cut off, the service really broken in
 * the lab, and what is decided on the real observation is compared with what was foretold.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventKind } from '../../lib/decide/doctor/consequences.ts';
import { nodeDead } from '../../lib/decide/doctor/suppose.ts';
import { decide } from '../../lib/decide/decide.ts';
import type { Decision } from '../../lib/decide/model.ts';
import { healthyInventory, healthyWorld, visit, type Aftermath, type Patient } from './clinic.ts';
import { unplugged, yaml } from './plants.ts';

function nodes(p: Patient, which: readonly number[]): void {
  p.world = healthyWorld(which);
  p.files['home.yaml'] = healthyInventory(which);
}

const SETUPS: readonly (readonly [string, (patient: Patient) => void])[] = [
  ['three nodes with plugs', (p) => nodes(p, [1, 2, 3])],
  [
    'three nodes without',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.files['home.yaml'] = unplugged(p.files['home.yaml'] ?? '');
    },
  ],
  [
    'three nodes, the cluster’s word accepted',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.files['home.yaml'] = unplugged(p.files['home.yaml'] ?? '');
      yaml(p, 'auto: true', 'auto: true, proof: offline-accepted');
    },
  ],
  [
    'Proxmox VE 9',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.world = { ...p.world, version: '9.1.2' };
    },
  ],
  ['two nodes', (p) => nodes(p, [1, 2])],
  [
    'two nodes and a QDevice',
    (p) => {
      nodes(p, [1, 2]);
      p.world = { ...p.world, qdevice: { host: '10.0.0.9' } };
    },
  ],
  [
    'a stand-alone node',
    (p) => {
      p.world = healthyWorld([1], null);
      p.files['home.yaml'] = healthyInventory([1]);
    },
  ],
  [
    'an old backup, no automatism',
    (p) => {
      nodes(p, [1, 2, 3]);
      yaml(p, 'auto: true', 'auto: false');
      p.world = { ...p.world, backups: [{ vmid: 101, storage: 'nas', ageSeconds: 30 * 3600 }] };
    },
  ],
  [
    'canaries on the node that dies',
    (p) => {
      nodes(p, [1, 2, 3]);
      yaml(p, /canaries:.*/, 'canaries: [tcp:10.0.0.101:80, tcp:10.0.0.1:53]');
    },
  ],
];

const EVENTS: readonly (readonly [EventKind, (aftermath: Aftermath) => void])[] = [
  ['node-dies', ({ lab }) => lab.kill('pve1')],
  // The runner doesn't reach a node that is cut off here: it looks as if it had died.
  ['node-dies', ({ lab }) => lab.cut('pve1')],
  ['service-dies', ({ lab }) => lab.breakService('ct1')],
];

/** What a decision comes to, without ages and wordings that move with the time. */
function essence({ kind, verdict, gates, action }: Decision): unknown {
  return {
    kind,
    verdict: verdict.kind,
    gates: gates.map((gate) => `${gate.gate} ${gate.ok ? 'passes' : 'fails'}`),
    action: action === null ? null : { ...action, backupAt: null },
  };
}

describe('what doctor foretells comes true', () => {
  for (const [number, [name, plant]] of SETUPS.entries())
    // The other events say nothing more of the rarer setups.
    for (const [index, [event, fate]] of EVENTS.slice(0, number < 2 ? EVENTS.length : 1).entries())
      test(`${name}: ${event} (${index})`, async () => {
        let real: Decision | undefined;
        const { diagnosis } = await visit(plant, async (after) => {
          fate(after);
          await after.clock.sleep(20_000);
          const { state } = nodeDead(after.inventory, after.facts, 'home', 'pve1');
          const record = state.containers['ct1'];
          assert.ok(record !== undefined);
          record.failures = 3;
          if (event === 'service-dies') record.restartedAt = after.clock.now();
          const observation = await after.observe(state);
          [real] = decide({
            inventory: after.inventory,
            observation,
            state,
            now: observation.at,
            busy: new Map(),
            underWay: [],
          }).filter((d) => d.container === 'ct1');
        });
        const foretold = diagnosis.consequences.find((c) => c.container === 'ct1' && c.event === event);
        assert.ok(foretold !== undefined && real !== undefined);
        assert.deepEqual(essence(foretold.decision), essence(real));
      });
});
