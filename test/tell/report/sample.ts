/** A report of a small company's cluster: most is well, some is not, and a stranger has chosen some of the words. */
import { decide } from '../../../lib/decide/decide.ts';
import { dateOf, DAYS_KEPT, type ContainerDay, type Day } from '../../../lib/state/days.ts';
import { emptyContainerState, type Operation } from '../../../lib/state/model.ts';
import { bucketOf } from '../../../lib/tell/latency.ts';
import { makeReport, type Report, type ReportInput } from '../../../lib/tell/report/model.ts';
import { numbers } from '../../numbers.ts';
import { healthyInventory, visit, type Patient } from '../../doctor/clinic.ts';
import { draftOperation, elsewhere } from '../../state/fixtures.ts';
import { loadFrom } from './load.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
export const HOSTILE = `</p><script>alert("x")</script><img src=x onerror='y'> & \u202Etxt \u001b[31m @all | **b**`;
const NAMES = ['dns', 'database', 'web', 'mail', 'git', 'photos', 'vpn'];

/** What is wrong: web fails, mail's backup is old, git has no fence, photos is only watched, vpn waits for a person. */
function plant(patient: Patient): void {
  const text = healthyInventory()
    .replaceAll(/ct(\d)/g, (_, n: string) => NAMES[Number(n) - 1] ?? '')
    .replace(/ {2}pve5:\n[\s\S]*? {2}pve6:/, '  pve6:')
    .replace('photos:\n', 'photos:\n    mode: observe\n')
    .replace('vpn:\n', 'vpn:\n    failover: { auto: false }\n');
  patient.files = { 'home.yaml': text };
  patient.world = {
    ...patient.world,
    backups: (patient.world.backups ?? []).map((b) => (b.vmid === 104 ? { ...b, ageSeconds: 40 * 3600 } : b)),
  };
  patient.network.forced.set('10.0.0.103:80', 'nothing');
}

/** The input of the sample, which tests may change before a report is made of it. */
export async function sampleInput(): Promise<ReportInput> {
  let text = '';
  const { facts, diagnosis } = await visit((patient) => {
    plant(patient);
    text = patient.files['home.yaml'] ?? '';
  });
  const inventory = loadFrom(text);
  const now = facts.at;
  const state = { ...structuredClone(facts.state), lastRunAt: now - 20_000 };
  for (const d of decide({
    inventory,
    observation: facts.observation,
    state,
    now,
    busy: new Map(),
    underWay: [],
  }))
    state.containers[d.container] = {
      ...emptyContainerState(),
      verdict: d.verdict,
      current: d.current,
      failures: d.verdict.kind === 'unhealthy' ? 2 : 0,
    };
  const database = state.containers['database'];
  if (database?.current != null) {
    database.lastFailoverAt = now - 5 * DAY;
    database.current = { ...database.current, epoch: 1, phase: 'live', vmid: 1000102 };
  }
  const git = state.containers['git'];
  if (git !== undefined)
    git.error = { at: now - 2 * HOUR, operation: 'op-20261122T100000-0a1b2c', reason: `verify: ${HOSTILE}` };
  return {
    inventory,
    state,
    looked: { facts, diagnosis },
    last: facts.observation,
    days: daysUpTo(now),
    operations: operationsUpTo(now),
    cut: [],
    problems: [],
    now,
  };
}

export async function sampleReport(): Promise<Report> {
  return makeReport(await sampleInput());
}

function daysUpTo(now: number): Day[] {
  const random = numbers(7);
  return Array.from({ length: DAYS_KEPT }, (_, index): Day => {
    const at = now - (DAYS_KEPT - 1 - index) * DAY;
    const containers: Record<string, ContainerDay> = {};
    for (const [n, name] of NAMES.entries()) {
      // The youngest has not been there for long.
      if (name === 'vpn' && index < 21) continue;
      const base = 1 + n * 4;
      const latency: Record<string, number> = {};
      for (let run = 0; run < 60; run += 1) {
        const bucket = bucketOf(base * (1 + random() ** 4 * 6));
        latency[bucket] = (latency[bucket] ?? 0) + 24;
      }
      const downMs =
        name === 'web' && index === DAYS_KEPT - 1
          ? 2 * MINUTE
          : random() < 0.06
            ? Math.round(random() * 40) * MINUTE
            : 0;
      containers[name] = {
        runs: 1440,
        healthy: 1440 - downMs / MINUTE,
        seenMs: DAY,
        downMs,
        lastAt: at,
        latency,
        maxMs: base * 7,
      };
    }
    return { version: 1, date: dateOf(at), containers };
  });
}

function operationsUpTo(now: number): Operation[] {
  const step = (
    name: string,
    startedAt: number,
    ms: number,
    note: string,
    status: 'done' | 'failed' = 'done',
  ) => ({
    name,
    status,
    startedAt,
    endedAt: startedAt + ms,
    note,
    task: null,
  });
  const made = (id: string, container: string, agoMs: number, more: Partial<Operation>): Operation => ({
    ...draftOperation(id, container, now - agoMs),
    lease: { ...elsewhere, heartbeatAt: now },
    ...more,
  });
  const failed = now - 5 * DAY;
  const { data } = draftOperation('x', 'x');
  return [
    made('op-20261117T120000-a1b2c3', 'database', 5 * DAY, {
      status: 'done',
      endedAt: failed + 96_000,
      reason: 'unhealthy 3/3: node pve2 is offline; tcp 10.0.0.102:80: no answer',
      steps: [
        step('prove', failed, 6_000, 'P3: the plug of pve2 reads off'),
        step('restore', failed + 6_000, 71_000, 'nas:backup/vzdump-lxc-102.tar.zst on pve3 as CT 1000102'),
        step('start', failed + 77_000, 3_000, 'CT 1000102 runs on pve3'),
        step('verify', failed + 80_000, 16_000, '1 of 1 probes pass'),
      ],
      data: {
        ...data,
        detectedAt: failed - 3 * MINUTE,
        verifiedAt: failed + 96_000,
        backupAt: failed - 7 * HOUR,
      },
    }),
    made('op-20261121T030000-b2c3d4', 'mail', DAY, {
      kind: 'backup',
      status: 'failed',
      endedAt: now - DAY + 4_000,
      reason: 'asked for by a person',
      steps: [step('backup', now - DAY, 4_000, `nas: ${HOSTILE}`, 'failed')],
    }),
    made('op-20261122T100000-0a1b2c', 'git', 2 * HOUR, {
      status: 'error',
      endedAt: now - 2 * HOUR + 9 * MINUTE,
      reason: 'unhealthy 3/3: http http://10.0.0.105/: 502',
      steps: [
        step('restore', now - 2 * HOUR, 5 * MINUTE, 'restored on pve6'),
        step('verify', now - 2 * HOUR + 5 * MINUTE, 2 * MINUTE, HOSTILE, 'failed'),
      ],
    }),
    made('op-20261122T115900-c3d4e5', 'web', MINUTE, {
      kind: 'restart',
      status: 'running',
      reason: 'unhealthy 2/3',
      steps: [],
    }),
  ];
}
