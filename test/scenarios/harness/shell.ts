/** A root shell on the nodes of the lab, as lib/act/root-shell.ts has it on genuine ones. */
import type { ShellOrder, ShellResult } from '../../../lib/runtime.ts';
import { LabUnreachable } from '../../../lib/lab/types.ts';
import type { VirtualClock } from '../../../lib/lab/virtual-clock.ts';
import type { Runner } from './runner.ts';
import type { StagedLab } from './staged-lab.ts';

const WATCH_MS = 3000;
/** What a connection takes. */
const CONNECT_MS = 300;

interface Order {
  readonly clock: VirtualClock;
  readonly node: string;
  readonly order: ShellOrder;
  readonly runner: Runner;
}

export async function shellOnLab(
  lab: StagedLab,
  { clock, node, order, runner }: Order,
): Promise<ShellResult> {
  try {
    if (order.kind === 'pct') return await pct(lab, { clock, node, runner, args: order.args });
    await clock.sleep(CONNECT_MS);
    return await lab.shell(node, order, runner);
  } catch (error) {
    if (!(error instanceof LabUnreachable)) throw error;
    return { kind: 'not-sent', why: `ssh does not reach ${node}` };
  }
}

async function pct(
  lab: StagedLab,
  { clock, node, args, runner }: Omit<Order, 'order'> & { readonly args: readonly string[] },
): Promise<ShellResult> {
  const run = lab.pct(node, args);
  lab.calls.push(`pct ${args[0] ?? ''} ${args[1] ?? ''} @${node}`);
  runner.called();
  try {
    const end = await Promise.race([run, clock.sleep(WATCH_MS)]);
    return end === undefined ? { kind: 'begun' } : { kind: 'ended', ...end };
  } finally {
    // A node that dies meanwhile takes it along.
    run.catch(() => undefined);
  }
}
