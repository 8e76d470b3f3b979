/**
 * A root shell on the node powers it off: for people, when its API is dead and it lives. One that is reached is on; one
 * that is not says nothing, so this is never a proof.
 */
import { FailedError, messageOf, PveError } from '../../errors.ts';
import type { ShellConfig } from '../../inventory/types.ts';
import type { PveApi } from '../../pve/api.ts';
import type { Runtime, ShellOrder, ShellResult } from '../../runtime.ts';
import { addressOf } from '../shell.ts';
import type { PowerSwitch } from './driver.ts';

interface Way {
  readonly api: PveApi;
  readonly shell: ShellConfig;
  readonly node: string;
}

export function createSshFence({ api, shell, node }: Way, runtime: Pick<Runtime, 'shell'>): PowerSwitch {
  async function ask(order: ShellOrder, signal: AbortSignal | undefined): Promise<ShellResult> {
    try {
      const host = await addressOf(api, node, signal);
      return await runtime.shell({ shell, node, host, order, signal });
    } catch (error) {
      if (!(error instanceof PveError) || signal?.aborted === true) throw error;
      return { kind: 'not-sent', why: messageOf(error) };
    }
  }

  return {
    name: 'ssh',
    async status(signal) {
      const result = await ask({ kind: 'greet' }, signal);
      if (result.kind === 'ended' || result.kind === 'begun')
        return { power: 'on', detail: 'it gives a root shell' };
      return { power: 'unknown', detail: `${result.why}, which proves nothing` };
    },
    async off(signal) {
      const result = await ask({ kind: 'power-off' }, signal);
      if (result.kind === 'ended' && result.exitCode === 0) return;
      const why = result.kind === 'ended' ? result.output : result.kind === 'begun' ? '' : result.why;
      throw new FailedError(`${node} is not powered off over ssh: ${why}`, {
        hint: 'hint' in result ? result.hint : undefined,
      });
    },
    on: null,
  };
}
