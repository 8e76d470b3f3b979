/**
 * What other versions, a power cut or a slip of the hand have left in the state folder: files of earlier versions are
 * read, those of later ones and broken ones are refused in words that name the file, and nothing is written over them.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { StateError } from '../../lib/errors.ts';
import type { Observation } from '../../lib/decide/model.ts';
import { ResolvedContainer } from '../../lib/inventory/resolved.ts';
import { appendEvents, readEvents } from '../../lib/state/events.ts';
import { readObservation, writeObservation } from '../../lib/state/observation.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { loadPlan, savePlan } from '../../lib/state/plans.ts';
import { openState } from '../../lib/state/store.ts';
import { count } from '../contract/count.ts';
import { scratch } from './children.ts';

const VERSIONS = join('test', 'state', 'versions');
const folders = readdirSync(VERSIONS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const newest = join(
  VERSIONS,
  folders
    .map(({ name }) => name)
    .toSorted()
    .at(-1) ?? '',
);
const root = scratch();
/** A minute after they were written. */
const clock = { now: () => Date.UTC(2026, 10, 22, 12, 6, 30), sleep: () => Promise.resolve() };
const deps = { clock };
const MINUTES = 600_000;

const Old = z.object({ version: z.number() });

/** A copy of a kept folder, which may be written. */
function copyOf(kept: string): string {
  const dir = join(mkdtempSync(join(root, 'versions-')), 'state');
  cpSync(kept, dir, { recursive: true, mode: 0 });
  return dir;
}

function planIn(dir: string): string {
  return basename(readdirSync(join(dir, 'plans'))[0] ?? '', '.json');
}

function journalsIn(dir: string): string[] {
  return readdirSync(join(dir, 'operations')).map((name) => join(dir, 'operations', name));
}

function jsonOf(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** What later versions have no use for any more. */
const DROPPED = new Set(['obstacles']);

/** Nothing else of what was written is dropped; what has been added since has its default. */
function assertHolds(read: unknown, written: unknown, at = ''): void {
  if (typeof written !== 'object' || written === null) return assert.deepEqual(read, written, at);
  assert.ok(typeof read === 'object' && read !== null, at);
  const members = z.record(z.string(), z.unknown()).parse({ ...read });
  for (const [key, value] of Object.entries(written))
    if (!DROPPED.has(key)) assertHolds(members[key], value, `${at}.${key}`);
}

describe('a state folder of an earlier version', () => {
  for (const { name } of folders)
    test(`${name} is read, and gone on with`, async () => {
      const dir = copyOf(join(VERSIONS, name));
      const state = openState(dir, deps);
      assertHolds(state.read(), jsonOf(join(dir, 'state.json')));
      const store = openOperations(dir, deps);
      const { operations, problems } = store.list();
      assert.deepEqual(problems, []);
      assert.deepEqual(operations.map((op) => op.status).toSorted(), ['done', 'running']);
      for (const op of operations) {
        assertHolds(op, jsonOf(join(dir, 'operations', `${op.id}.json`)));
        assert.equal(ResolvedContainer.parse(op.entry).name, op.container);
      }
      for (const entry of Object.values(state.read().followed)) ResolvedContainer.parse(entry);
      await assertObservation(dir);
      const plan = loadPlan(dir, planIn(dir), clock.now());
      assertHolds(plan, jsonOf(join(dir, 'plans', `${plan.id}.json`)));
      const { events, skipped } = readEvents(dir);
      assert.ok(events.length > 3 && skipped === 0);
      // Whoever had it in hand is gone; what is written now is read back the same.
      const cut = operations.find((op) => op.status === 'running');
      assert.ok(cut !== undefined);
      const dead = openOperations(dir, { ...deps, liveness: () => 'dead' });
      assert.ok(dead.claim(cut));
      store.save(cut);
      assert.deepEqual(store.load(cut.id), cut);
      assert.deepEqual(await state.update(() => undefined), state.read());
      savePlan(dir, plan, clock.now());
      assert.deepEqual(loadPlan(dir, plan.id, clock.now()), plan);
    });
});

/** It is good for minutes: one of an older format is refused in words, and the next run makes a new one. */
async function assertObservation(dir: string): Promise<void> {
  const path = join(dir, 'observation.json');
  const read = (): Observation => readObservation(dir, { now: clock.now(), maxAgeMs: MINUTES });
  if (Old.parse(jsonOf(path)).version === 1)
    assert.match(
      (await refusal(read, path)).message,
      /older format \(1\).*run `check`, which makes a new one/,
    );
  else assertHolds(read(), jsonOf(path));
  const fresh = readObservation(newest, { now: clock.now(), maxAgeMs: MINUTES });
  writeObservation(dir, fresh);
  assert.deepEqual(read(), fresh);
}

interface Kind {
  readonly what: string;
  /** The file in a copy of the kept folder. */
  readonly file: (dir: string) => string;
  readonly read: (dir: string) => unknown;
  /** Writes what was read in good times. */
  readonly write: (dir: string, good: string) => unknown;
  /** It is made anew, whatever was there. */
  readonly replaced?: boolean;
}

const kinds: readonly Kind[] = [
  {
    what: 'state file',
    file: (dir) => join(dir, 'state.json'),
    read: (dir) => openState(dir, deps).read(),
    write: (dir) => openState(dir, deps).update(() => undefined),
  },
  {
    what: 'operation journal',
    file: (dir) => journalsIn(dir)[1] ?? '',
    read: (dir) => openOperations(dir, deps).load(basename(journalsIn(dir)[1] ?? '', '.json')),
    write: (dir, good) =>
      openOperations(dir, deps).save(openOperations(good, deps).list().operations[1] ?? assert.fail()),
  },
  {
    what: 'plan',
    file: (dir) => join(dir, 'plans', `${planIn(dir)}.json`),
    read: (dir) => loadPlan(dir, planIn(dir), clock.now()),
    write: (dir, good) => savePlan(dir, loadPlan(good, planIn(good), clock.now()), clock.now()),
    replaced: true,
  },
  {
    what: 'observation',
    file: (dir) => join(dir, 'observation.json'),
    read: (dir) => readObservation(dir, { now: clock.now(), maxAgeMs: MINUTES }),
    write: (dir, good) =>
      writeObservation(dir, readObservation(good, { now: clock.now(), maxAgeMs: MINUTES })),
    replaced: true,
  },
];

/** The error of `work`, which must be one of ours that names the file. */
async function refusal(work: () => unknown, path: string): Promise<StateError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof StateError, String(error));
    assert.ok(error.message.includes(path), error.message);
    return error;
  }
  return assert.fail(`${path} was not refused`);
}

describe('refused in words, and left as it is:', () => {
  let refused = 0;
  for (const { what, file, read, write, replaced = false } of kinds)
    test(`a broken or foreign ${what}`, async () => {
      const dir = copyOf(newest);
      const path = file(dir);
      const good = readFileSync(path);
      const text = good.toString();
      const cut = (at: number): string => text.slice(0, at);
      const step = Math.max(1, Math.floor(text.length / 150));
      const wrong: [content: string | Buffer, words: RegExp, foreign?: true][] = [
        ...Array.from({ length: Math.ceil((text.length - 2) / step) }, (_, n): [string, RegExp] => [
          cut(n * step),
          /is corrupt \((it is empty|it ends too early|line \d+, column \d+: not JSON)\) — it was left as it is; \w/,
        ]),
        [Buffer.alloc(good.length), /is corrupt \(line 1, column 1: not JSON\)/],
        [Buffer.concat([good.subarray(0, 512), Buffer.alloc(good.length - 512)]), /is corrupt/],
        [`${text}${text}`, /is corrupt \(line/],
        ['[]', /is corrupt \(the top: /],
        [
          text.replace(/"version": ?\d/, '"version": 9'),
          /newer ProxWarden \(format 9, this one knows \d\)/,
          true,
        ],
        [text.replace(/"version": ?\d/, '"version": 0'), /older format \(0\).* \(it reads \d\)/],
      ];
      for (const [content, words] of wrong) {
        writeFileSync(path, content);
        assert.match((await refusal(() => read(dir), path)).message, words);
        assert.deepEqual(readFileSync(path), Buffer.from(content), 'it is as it was');
        refused += 1;
      }
      for (const [content, words, foreign] of wrong.slice(-24)) {
        if (replaced && foreign !== true) continue;
        writeFileSync(path, content);
        assert.match((await refusal(() => write(dir, newest), path)).message, words);
        assert.deepEqual(readFileSync(path), Buffer.from(content), 'it is as it was');
        refused += 1;
      }
    });

  test('events: what is broken costs its own line, what is newer is passed over, and nothing is rewritten', (t) => {
    const dir = copyOf(newest);
    const path = join(dir, 'events.ndjson');
    const good = readFileSync(path);
    const all = readEvents(dir).events;
    for (let at = 0; at <= good.length; at += 7) {
      const left = good.subarray(0, at);
      writeFileSync(path, left);
      const whole = left.toString().split('\n').length - 1;
      appendEvents(dir, [{ at: 1, kind: 'x', container: null, text: 'x' }]);
      const { events } = readEvents(dir);
      assert.deepEqual(events.slice(0, whole), all.slice(0, whole));
      assert.equal(events.at(-1)?.at, 1);
      assert.deepEqual(readFileSync(path).subarray(0, at), left, 'what was there stays');
      refused += 1;
    }
    writeFileSync(path, `${good.toString()}{"version":2,"at":1,"kind":"x","container":null,"text":"x"}\n`);
    assert.deepEqual(readEvents(dir), { events: all, skipped: 1 });
    count(t, `${refused} torn, empty, zeroed and foreign state files: refused in words and left as they are`);
  });
});

describe('what has vanished', () => {
  test('a state file that is gone although runs have used the folder: paused until somebody has looked', async () => {
    const dir = copyOf(newest);
    rmSync(join(dir, 'state.json'));
    const { paused, containers } = openState(dir, deps).read();
    assert.equal(paused?.by, 'ProxWarden');
    assert.match(paused?.reason ?? '', /state\.json is gone: put a backup of it back, or see/);
    assert.deepEqual(containers, {});
    assert.ok(!existsSync(join(dir, 'state.json')), 'reading writes nothing');
    await openState(dir, deps).update((s) => void (s.lastRunAt = 5));
    assert.equal(openState(dir, deps).read().paused?.by, 'ProxWarden');
  });

  test('a state file or its folder that vanishes while a run uses it: nothing is written in its place', async () => {
    const dir = copyOf(newest);
    const store = openState(dir, deps);
    store.read();
    rmSync(join(dir, 'state.json'));
    const path = join(dir, 'state.json');
    assert.match((await refusal(() => store.read(), path)).message, /vanished while this run was using it/);
    assert.match((await refusal(() => store.update(() => undefined), path)).message, /still mounted/);
    const plan = loadPlan(newest, planIn(newest), clock.now());
    const observation = readObservation(newest, { now: clock.now(), maxAgeMs: MINUTES });
    const [op] = openOperations(newest, deps).list().operations;
    rmSync(dir, { recursive: true });
    const gone = /there is no such folder — .*see what became of it/;
    for (const write of [
      () => store.update(() => undefined),
      () => op !== undefined && openOperations(dir, deps).save(op),
      () => savePlan(dir, plan, clock.now()),
      () => writeObservation(dir, observation),
      () => appendEvents(dir, [{ at: 1, kind: 'x', container: null, text: 'x' }]),
    ])
      assert.match((await refusal(write, dir)).message, gone);
    assert.ok(!existsSync(dir), 'it does not come back empty');
  });
});
