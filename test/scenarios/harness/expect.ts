/** What a scenario expects of the lab's ground truth, of the state and of the last command. */
import assert from 'node:assert/strict';
import * as z from 'zod';
import { parseDuration } from '../../../lib/units.ts';
import type { Stage } from './stage.ts';

type Check = (stage: Stage, ...groups: string[]) => void | Promise<void>;

const checks: readonly (readonly [RegExp, Check])[] = [
  [/^exit (\d+|killed)$/, (s, code) => assert.equal(String(s.exit ?? 'killed'), code, s.log.recent())],
  [/^running (\S+) on (.+)$/, (s, name, nodes) => assert.deepEqual(nodesOf(s, name), nodes?.split(' '))],
  [/^nothing runs of (\S+)$/, (s, name) => assert.deepEqual(nodesOf(s, name), [])],
  [
    /^answers (\S+)$/,
    (s, name) =>
      assert.ok(s.labs.running().some((c) => c.hostname === name && c.services.every((v) => v.up))),
  ],
  [
    /^copies (\S+) (\d+)$/,
    (s, name, n) => assert.equal(s.labs.containers().filter((c) => c.hostname === name).length, Number(n)),
  ],
  [/^no vmid (\d+(?:@\S+)?)$/, (s, which) => assert.equal(guest(s, which), undefined)],
  [/^vmid (\d+) on (\S+)$/, (s, vmid, node) => assert.equal(guest(s, `${vmid}@${node}`)?.node, node)],
  [
    /^onboot (\d+(?:@\S+)?) (on|off)$/,
    (s, which, how) => assert.equal(guest(s, which)?.onboot, how === 'on'),
  ],
  [
    /^power (\S+) (on|off)$/,
    (s, node, how) => assert.equal(s.labs.nodes().find((n) => n.name === node)?.power, how),
  ],
  [
    /^(\d+) calls of \/(.+)\/$/,
    (s, n, pattern) => assert.equal(callsOf(s, pattern).length, Number(n), s.labs.calls.join('\n')),
  ],
  [/^no calls$/, (s) => assert.deepEqual(s.labs.calls, [])],
  [/^said \/(.+)\/$/, (s, pattern) => assert.match(s.log.recent(), new RegExp(pattern ?? ''))],
  [/^not said \/(.+)\/$/, (s, pattern) => assert.doesNotMatch(s.log.recent(), new RegExp(pattern ?? ''))],
  [
    /^failures (\S+) (\d+)$/,
    (s, name, n) => assert.equal(s.state().containers[name ?? '']?.failures, Number(n)),
  ],
  [/^no error of (\S+)$/, (s, name) => assert.equal(s.state().containers[name ?? '']?.error ?? null, null)],
  [/^error of (\S+)$/, (s, name) => assert.notEqual(s.state().containers[name ?? '']?.error ?? null, null)],
  [/^(\d+) protected backups$/, protectedBackups],
  [
    /^two copies for (\w+) to (\w+)$/,
    (s, least, most) => together(s, parseDuration(least), parseDuration(most)),
  ],
  [
    /^(\d+) backups of (\d+)$/,
    (s, n, vmid) =>
      assert.equal(s.lab.status().backups.filter((b) => b.vmid === Number(vmid)).length, Number(n)),
  ],
];

export async function expectation(stage: Stage, text: string): Promise<void> {
  for (const [pattern, check] of checks) {
    const match = pattern.exec(text);
    if (match === null) continue;
    await check(stage, ...match.slice(1).map((group) => group ?? ''));
    return;
  }
  throw new Error(`no such expectation: ${text}`);
}

/** How long two copies have run together, in all; they don't any more. */
function together({ labs }: Stage, least: number, most: number): void {
  const violations = labs.all.flatMap((lab) => lab.violations);
  assert.ok(
    violations.every((v) => v.until !== null),
    'two copies run together',
  );
  const ms = violations.reduce((sum, v) => sum + (v.until ?? v.at) - v.at, 0);
  assert.ok(ms >= least && ms <= most, `two copies have run together for ${ms} ms`);
}

function nodesOf({ labs }: Stage, name = ''): string[] {
  return labs
    .running()
    .filter((copy) => copy.hostname === name)
    .map((copy) => copy.node);
}

function guest({ labs }: Stage, which = '') {
  const [vmid, node] = which.split('@');
  return labs.containers().find((c) => c.vmid === Number(vmid) && (node ?? c.node) === c.node);
}

function callsOf({ labs }: Stage, pattern = ''): string[] {
  return labs.calls.filter((call) => new RegExp(pattern).test(call));
}

const Content = z.object({ data: z.array(z.looseObject({ protected: z.number().optional() })) });

async function protectedBackups(stage: Stage, count = ''): Promise<void> {
  const node = stage.labs.nodes().find((n) => n.api && n.quorate)?.name ?? '';
  const lab = stage.labs.of(node);
  const body = await stage.run(lab.admin('GET', `/nodes/${node}/storage/${lab.backupStorage}/content`, []));
  const found = Content.parse(JSON.parse(body)).data.filter((entry) => entry.protected === 1);
  assert.equal(found.length, Number(count));
}
