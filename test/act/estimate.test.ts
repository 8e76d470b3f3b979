import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedMs, expectedVerifyMs, type Work } from '../../lib/act/estimate.ts';
import type { Operation } from '../../lib/state/model.ts';
import { ActBench } from './bench.ts';
import { MINUTE, NOW } from '../decide/parts.ts';
import { draftOperation, elsewhere } from '../state/fixtures.ts';

const MB = 1_000_000;

function operation({ container }: { container: string }): Operation {
  return {
    ...draftOperation('op-20261122T201647-a1b2c3', container),
    lease: { ...elsewhere, heartbeatAt: 0 },
  };
}

/** An operation of `container` with one vzrestore at `rate` MB/s. */
function restored(
  container: string,
  rate: number,
  place: { node?: string; storage?: string } = {},
): Operation {
  const bytes = 1_000 * MB;
  const { node = 'pve2', storage = 'nas' } = place;
  return {
    ...operation({ container }),
    steps: [
      {
        name: 'restore',
        status: 'done',
        startedAt: NOW,
        endedAt: NOW,
        note: '',
        task: {
          node,
          type: 'vzrestore',
          vmid: 1,
          requestedAt: NOW,
          before: [],
          upid: 'x',
          exitstatus: 'OK',
          endedAt: NOW + 1_000 + (bytes / (rate * MB)) * 1_000,
          storage,
          bytes,
        },
      },
    ],
  };
}

const WORK: Work = { container: 'dns', type: 'vzrestore', node: 'pve2', storage: 'nas', bytes: 1_000 * MB };

test('by the rate of this container, else of its storage and node, else of its storage, else of any', () => {
  const [own, same, storage, any] = [
    restored('dns', 10, { node: 'pve9', storage: 'other' }),
    restored('web', 20),
    restored('web', 50, { node: 'pve3' }),
    restored('web', 100, { node: 'pve3', storage: 'other' }),
  ];
  const seconds = (...operations: Operation[]): number =>
    Math.round((expectedMs(operations, WORK) ?? 0) / 1_000);
  assert.equal(seconds(own, same, storage, any), 101);
  assert.equal(seconds(same, storage, any), 51);
  assert.equal(seconds(storage, any), 21);
  assert.equal(seconds(any), 11);
  assert.equal(seconds(), 12, 'measured on a genuine cluster: 89 MB/s');
});

test('the newest three of a kind, by their bytes', () => {
  const rates = [1, 100, 100, 100].map((rate) => restored('dns', rate));
  assert.equal(Math.round((expectedMs(rates, WORK) ?? 0) / 1_000), 11);
});

test('a vzdump’s size is known from the last one', () => {
  const dump = { ...WORK, type: 'vzdump', bytes: null } as const;
  assert.equal(expectedMs([], dump), null);
  const before = operation({ container: 'dns' });
  before.data.backupSize = 105 * MB;
  assert.equal(expectedMs([before], dump), 2_000);
});

test('journals without times, of failures, and of a clock that was set back say nothing', () => {
  for (const patch of [
    { endedAt: undefined },
    { exitstatus: null },
    { endedAt: NOW - MINUTE },
    { bytes: undefined },
  ]) {
    const op = restored('dns', 1);
    const [step] = op.steps;
    if (step?.task == null) throw new Error('no task');
    Object.assign(step.task, patch);
    assert.equal(Math.round((expectedMs([op], WORK) ?? 0) / 1_000), 12, JSON.stringify(patch));
  }
});

test('a verification, by the container’s last one', () => {
  assert.equal(expectedVerifyMs([], 'dns'), null);
  const verified = (container: string, ms: number): Operation => ({
    ...operation({ container }),
    steps: [{ name: 'verify', status: 'done', startedAt: NOW, endedAt: NOW + ms, note: '', task: null }],
  });
  const both = [verified('dns', 3_000), verified('web', 9_000), verified('web', 11)];
  assert.equal(expectedVerifyMs(both, 'dns'), 3_000);
  assert.equal(expectedVerifyMs(both, 'other'), 9_000);
});

test('an operation leaves what the next one’s estimate is made of, and tells its own', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const { op } = await bench.act({ mode: 'planned' });
  const tasks = bench.journal(op.id).steps.flatMap((s) => (s.task === null ? [] : [s.task]));
  const measured = tasks.filter((task) => task.type === 'vzdump' || task.type === 'vzrestore');
  assert.equal(measured.length, 3);
  for (const { endedAt, requestedAt, storage, bytes } of measured)
    assert.ok(endedAt !== undefined && endedAt > requestedAt && storage === 'nas' && (bytes ?? 0) > 0);
  const told = bench.events.filter((e) => e.kind === 'step-progress' && e.step === 'restore');
  assert.ok(
    told.some((e) => e.kind === 'step-progress' && e.estimated && e.percent !== null && e.percent <= 99),
  );
});
