import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { noteDay } from '../../lib/act/note-day.ts';
import { readDays, type ContainerDay } from '../../lib/state/days.ts';
import type { Event } from '../../lib/tell/events.ts';
import { MINUTE, NOW, probeOf } from '../decide/parts.ts';
import { world, type World } from '../decide/world.ts';
import { scratchFolder } from '../scratch.ts';

/** Runs at these times find the world so. */
function runs(
  t: TestContext,
  found: readonly (readonly [at: number, w: World])[],
  spoil: (dir: string) => void = () => undefined,
) {
  const dir = scratchFolder('note-day');
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  spoil(dir);
  const told: Event[] = [];
  const teller = { tell: (event: Event) => void told.push(event) };
  for (const [at, w] of found)
    noteDay(
      { inventory: w.inventory, state: { local: dir }, teller },
      { ...w.observation, at },
      w.decisions(),
    );
  const record: ContainerDay | undefined = readDays(dir, NOW).days[0]?.containers['dns'];
  return { record, told };
}
const well = (): World => world();
const down = (): World => world().but((w) => (w.observation.probes['dns'] = [probeOf('refused')]));
const inMaintenance = (w: World): World =>
  w.but((x) => (x.state.maintenance['dns'] = { since: NOW, until: null, by: 'anna', reason: '' }));

test('healthy and unhealthy runs, the time between them, and how long it was down', (t) => {
  const { record } = runs(t, [
    [NOW, well()],
    [NOW + MINUTE, well()],
    [NOW + 2 * MINUTE, down()],
    [NOW + 3 * MINUTE, down()],
    [NOW + 4 * MINUTE, well()],
  ]);
  assert.deepEqual(
    [record?.runs, record?.healthy, record?.seenMs, record?.downMs, record?.maxMs],
    [5, 3, 4 * MINUTE, 2 * MINUTE, 3],
  );
  assert.deepEqual(Object.values(record?.latency ?? {}), [3]);
});

test('a gap between runs is nobody’s time, nor is one that a clock set back has made', (t) => {
  const { record } = runs(t, [
    [NOW, well()],
    [NOW + 4 * MINUTE, down()],
    [NOW + 3 * MINUTE, down()],
    [NOW + 5 * MINUTE, down()],
  ]);
  assert.deepEqual([record?.runs, record?.seenMs, record?.downMs], [4, MINUTE, MINUTE]);
});

test('what is down in maintenance, or out of sight, is not counted', (t) => {
  const blind = world().but(
    (w) => (w.observation.canaries = w.observation.canaries.map(() => probeOf('silent'))),
  );
  const { record } = runs(t, [
    [NOW, well()],
    [NOW + MINUTE, inMaintenance(down())],
    [NOW + 2 * MINUTE, blind.but((w) => (w.observation.probes['dns'] = [probeOf('silent')]))],
  ]);
  assert.deepEqual([record?.runs, record?.downMs], [1, 0]);
});

test('a summary that can’t be written is told, and nothing more', (t) => {
  const { told } = runs(t, [[NOW, well()]], (dir) => {
    mkdirSync(join(dir, 'days'));
    writeFileSync(join(dir, 'days', '2026-11-22.json'), 'x');
  });
  assert.deepEqual(
    told.map((e) => e.kind === 'note' && e.level === 'warn' && /corrupt/.test(e.text)),
    [true],
  );
});
