/** A root shell on the nodes of the lab, as lib/act/root-shell.ts has it on genuine ones. */
import type { PctResult } from '../../../lib/runtime.ts';
import { LabUnreachable } from '../../../lib/lab/types.ts';
import type { VirtualClock } from '../../../lib/lab/virtual-clock.ts';
import type { Runner } from './runner.ts';
import type { StagedLab } from './staged-lab.ts';

const WATCH_MS = 3000;

interface Order {
  readonly clock: VirtualClock;
  readonly node: string;
  readonly args: readonly string[];
  readonly runner: Runner;
}

export async function pctOnLab(lab: StagedLab, { clock, node, args, runner }: Order): Promise<PctResult> {
  const run = lab.pct(node, args);
  lab.calls.push(`pct ${args[0] ?? ''} ${args[1] ?? ''} @${node}`);
  runner.called();
  try {
    const end = await Promise.race([run, clock.sleep(WATCH_MS)]);
    return end === undefined ? { kind: 'begun' } : { kind: 'ended', ...end };
  } catch (error) {
    if (!(error instanceof LabUnreachable)) throw error;
    return { kind: 'not-sent', why: `ssh does not reach ${node}` };
  } finally {
    // A node that dies meanwhile takes it along.
    run.catch(() => undefined);
  }
}
