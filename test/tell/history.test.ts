import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../lib/state/model.ts';
import { historyDetail, historyOf, historyTable } from '../../lib/tell/history.ts';
import { draftOperation, elsewhere } from '../state/fixtures.ts';

const T = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const ID = 'op-20261122T120300-a1b2c3';

function moved(more: Partial<Operation> = {}): Operation {
  const draft = draftOperation(ID, 'web', T + 3 * MINUTE);
  return {
    ...draft,
    lease: { ...elsewhere, heartbeatAt: T },
    status: 'done',
    endedAt: T + 5 * MINUTE,
    steps: [
      {
        name: 'restore',
        status: 'done',
        startedAt: T + 3 * MINUTE + 5000,
        endedAt: T + 4 * MINUTE,
        note: 'restored on pve2',
        task: null,
      },
      { name: 'verify', status: 'failed', startedAt: T + 4 * MINUTE, endedAt: null, note: '', task: null },
    ],
    data: {
      ...draft.data,
      target: { cluster: 'home', node: 'pve2' },
      detectedAt: T,
      verifiedAt: T + 5 * MINUTE,
      backupAt: T - 4 * 60 * MINUTE,
    },
    ...more,
  };
}

test('an operation says how long the outage was and what was lost, and each step its time', () => {
  const [row] = historyOf([moved()]);
  assert.ok(row !== undefined);
  assert.deepEqual([row.outageMs, row.lostMs], [5 * MINUTE, 4 * 60 * MINUTE]);
  assert.deepEqual(historyDetail(row), [
    `${ID}  failover web: done, took 2 min`,
    '  why      three failed checks',
    '  outage   5 min, from the first failure to the answer',
    '  lost     4 h of data, the age of the backup',
    '  +5 s          restore (55 s) — restored on pve2',
    '  +1 min        verify FAILED',
  ]);
  assert.equal(
    historyTable([row], 200),
    [
      'WHEN (UTC)           CONTAINER  WHAT      STATUS  TOOK   OUTAGE  DATA LOST  OPERATION                  MOVED',
      `2026-11-22 12:03:00  web        failover  done    2 min  5 min   4 h        ${ID}  -`,
    ].join('\n'),
  );
});

test('newest first; what has not ended, failed, or moved nothing claims no outage and no loss', () => {
  const rows = historyOf([
    moved({ id: 'a', createdAt: T }),
    moved({ id: 'b', createdAt: T + MINUTE, status: 'running', endedAt: null }),
    moved({ id: 'c', createdAt: T + 2 * MINUTE, kind: 'backup' }),
    moved({ id: 'd', createdAt: T + 3 * MINUTE, status: 'failed' }),
  ]);
  assert.deepEqual(
    rows.map((row) => [row.operation, row.outageMs === null]),
    [
      ['d', true],
      ['c', true],
      ['b', true],
      ['a', false],
    ],
  );
  assert.match(historyDetail(rows[2] ?? rows[0] ?? assert.fail()).join('\n'), /running, not ended/);
});
