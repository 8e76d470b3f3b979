/** Writing the state of a large fleet, against the least that a durable write of it can be. */
import { closeSync, fsyncSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { DurableJson } from '../../lib/state/durable.ts';
import { emptyContainerState, emptyState, State } from '../../lib/state/model.ts';
import { openState } from '../../lib/state/store.ts';
import { inTurn } from './child.ts';
import { median, ms, type Bench } from './measure.ts';

const LIMIT =
  'half of it is the check against the schema before anything is written: a state that the next run can’t read would end all protection; and it is indented, for people';

function stateOf(containers: number): State {
  const state = emptyState();
  const at = systemClock.now();
  for (let n = 0; n < containers; n += 1) {
    const [cluster, node, vmid] = [`c${n % 20}`, `c${n % 20}-pve${n % 5}`, 1000 + n];
    state.containers[`app-${n}`] = {
      ...emptyContainerState(),
      successes: 12,
      countedAt: at,
      lastHealthyAt: at,
      verdict: { kind: 'healthy', reason: '2 of 2 probes pass, slowest 3 ms' },
      current: { cluster, node, vmid, epoch: 0, phase: 'original', since: 0, operation: null },
      identity: {
        cluster,
        vmid,
        macs: ['BC:24:11:00:00:01'],
        ips: ['10.0.0.1'],
        onboot: true,
        memMax: 2 ** 30,
        readAt: at,
      },
    };
  }
  return state;
}

export const stateWrite: Bench = async ({ quick }) => {
  const count = quick ? 100 : 10_000;
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-bench-'));
  try {
    const state = stateOf(count);
    const ours = new DurableJson(join(folder, 'state.json'), {
      schema: State,
      version: 1,
      what: 'state file',
      advice: '',
    });
    const taken = async (run: () => void | Promise<unknown>): Promise<number> => {
      const begun = performance.now();
      await run();
      return performance.now() - begun;
    };
    const bare = (): void => {
      const file = openSync(join(folder, 'bare.tmp'), 'w');
      writeFileSync(file, JSON.stringify(state));
      fsyncSync(file);
      closeSync(file);
      renameSync(join(folder, 'bare.tmp'), join(folder, 'bare.json'));
    };
    const dir = join(folder, 'state');
    const store = openState(dir, { clock: systemClock });
    await store.update((s) => void Object.assign(s, state));
    const [written, least, updated] = await inTurn(quick ? 2 : 15, [
      () => taken(() => ours.write(state)),
      () => taken(bare),
      () => taken(() => store.update((s) => void (s.lastRunAt = systemClock.now()))),
    ]);
    const of = (times: readonly number[] = []): number => median(times);
    const against = `\`JSON.stringify\` and fsync: ${ms(of(least))}`;
    const what = `state write, ${count.toLocaleString('en')} containers`;
    const ratio = (times: readonly number[] = []) =>
      ({ ours: ms(of(times)), value: of(times) / of(least), unit: '×' }) as const;
    return [
      { what, against, ...ratio(written), goal: 1.5, limit: LIMIT },
      { what: `${what}: lock, read, check, change and write`, against, ...ratio(updated), goal: null },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
