/**
 * How long two copies of one container run together at most, measured in the lab for each setup, and held against what
 * doctor says of it (lib/decide/two-copies.ts). What happens comes at the worst moment: right after a run has looked.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reactionMs } from '../../lib/decide/two-copies.ts';
import { Stage } from './harness/stage.ts';
import { carryOut } from './harness/steps.ts';
import { WorldFile } from './harness/world.ts';

const INTERVAL_MS = 60_000;
const MOST_MS = reactionMs({ intervalMs: INTERVAL_MS });

interface Setup {
  readonly world?: object;
  readonly failover?: string;
  readonly steps: readonly string[];
  /** When what is measured begins; default: from the start. */
  readonly measured?: readonly string[];
  /** At most what doctor says; and at least so long, or the figure would be a fiction. */
  readonly together: 'never' | number;
}

/** The failover is over, and a run has just found everything in order. */
const MOVED = ['cron 2', 'kill pve1', 'cron 3', 'expect running web on pve2', 'cron'];
/** Its API is up nine seconds after the power, its containers start a moment later: right after the next run. */
const BACK = ['wait 49s', 'revive pve1', 'cron 4'];
const NO_RIGHT = { rights: ['Sys.Audit'] };

const SETUPS: Readonly<Record<string, Setup>> = {
  'the guard (8.x)': { steps: [...MOVED, ...BACK], together: 'never' },
  'no guard, and the inventory accepts the return by name': {
    world: NO_RIGHT,
    failover: ', returnRisk: accepted',
    steps: [...MOVED, ...BACK],
    together: INTERVAL_MS - 5_000,
  },
  'the same, and its turn in the start order comes after a run has turned its onboot off': {
    world: {
      ...NO_RIGHT,
      containers: [
        {
          vmid: 101,
          name: 'web',
          node: 'pve1',
          serves: ['http 10.0.0.101:80'],
          config: { startup: 'order=2' },
        },
        { vmid: 109, name: 'first', node: 'pve1', config: { startup: 'order=1,up=90' } },
      ],
    },
    failover: ', returnRisk: accepted',
    steps: [...MOVED, ...BACK, 'cron 2'],
    together: INTERVAL_MS / 4,
  },
  'autostart: proxwarden': {
    world: NO_RIGHT,
    failover: ', autostart: proxwarden',
    steps: [...MOVED, ...BACK],
    together: 'never',
  },
  'P1, and its node was only cut off: from the moment that it is back': {
    failover: ', proof: offline-accepted',
    steps: ['cron', 'cut pve1', 'cron 3', 'expect running web on pve1 pve2', 'cron'],
    measured: ['mend pve1', 'cron 3'],
    together: INTERVAL_MS - 10_000,
  },
  'the guard, and a person starts the original as soon as its node is back': {
    // The HA manager takes some ten seconds to carry the wish out, and the next run takes the guard away.
    steps: [...MOVED, 'revive pve1', 'wait 10s', 'start 101 by hand', 'cron 3'],
    together: INTERVAL_MS / 2,
  },
  'a person starts an original that has been dealt with, right after a run': {
    steps: [...MOVED, 'revive pve1', 'cron 2', 'start 101 by hand', 'cron 3'],
    together: INTERVAL_MS - 10_000,
  },
};

for (const [what, { world = {}, failover = '', steps, measured = [], together }] of Object.entries(SETUPS))
  test(`two copies: ${what}: ${together === 'never' ? 'never' : `at most ${MOST_MS / 1000} s`}`, async () => {
    const stage = new Stage(
      WorldFile.parse({
        containers: [{ vmid: 101, name: 'web', node: 'pve1', serves: ['http 10.0.0.101:80'] }],
        backups: [{ vmid: 101, age: '4h' }],
        ...world,
      }),
      { inventory: inventory(failover) },
    );
    stage.rules.twoExpected = together !== 'never';
    try {
      const play = async (all: readonly string[]): Promise<void> => {
        for (const step of all) {
          await carryOut(stage, step);
          await stage.run(stage.settled());
          stage.check();
        }
      };
      await play(steps);
      const begun = stage.clock.now();
      await play(measured);
      await play(['expect running web on pve2', 'expect onboot 101 off']);
      const { violations } = stage.lab;
      const lengths = violations.map(({ at, until }) => {
        assert.ok(until !== null, 'two copies run together');
        return until - Math.max(at, measured.length > 0 ? begun : 0);
      });
      const log = stage.finish();
      if (together === 'never') assert.deepEqual(lengths, [], log);
      else {
        assert.equal(lengths.length, 1, log);
        assert.ok(
          (lengths[0] ?? 0) <= MOST_MS,
          `${lengths[0] ?? 0} ms together, doctor says ${MOST_MS}\n${log}`,
        );
        assert.ok(
          (lengths[0] ?? 0) >= together,
          `only ${lengths[0] ?? 0} ms together: not the worst moment\n${log}`,
        );
      }
    } finally {
      stage.close();
    }
  });

function inventory(failover: string): string {
  const fence = (n: number): string => `
  pve${n}:
    fence:
      - http:
          off: { url: 'http://10.0.0.8/plug/pve${n}/relay?turn=off' }
          status: { url: 'http://10.0.0.8/plug/pve${n}/relay', field: ison, off: false }`;
  return `
cluster: home
api:
  endpoints: [https://10.0.0.11:8006, https://10.0.0.12:8006, https://10.0.0.13:8006]
  token: env:PROXWARDEN_TOKEN
canaries: [tcp:10.0.0.1:53, tcp:10.0.0.9:8007]
nodes:${[1, 2, 3].map(fence).join('')}
defaults:
  backup: { storage: nas }
  failover: { auto: true, restoreStorage: local${failover} }
containers:
  web:
    vmid: 101
    nodes: [pve2, pve3]
    checks: [http: 'http://10.0.0.101/']
`;
}
