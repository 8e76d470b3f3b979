/** A node with several power supplies, each behind a switch of its own: it is off only when every one of them is. */
import { FailedError, messageOf } from '../../errors.ts';
import type { PowerRead, PowerSwitch } from './driver.ts';

/** Its parts are asked and ordered at the same time. One that is on means on; one that is silent means unknown. */
export function createAllFence(parts: readonly PowerSwitch[]): PowerSwitch {
  const many = parts.map((part, index) => ({ ...part, label: `${index + 1}. ${part.name}` }));

  /** Every part is ordered, whatever the others say. */
  async function each(signal: AbortSignal | undefined, order: (part: PowerSwitch) => Promise<void>) {
    const results = await Promise.allSettled(many.map(order));
    signal?.throwIfAborted();
    const failures = results.flatMap((result, index) =>
      result.status === 'rejected' ? [`${many[index]?.label ?? ''}: ${messageOf(result.reason)}`] : [],
    );
    if (failures.length > 0) throw new FailedError(failures.join('; '));
  }

  return {
    name: 'all',
    async status(signal) {
      const reads = await Promise.all(
        many.map(async ({ label, status }) => ({ label, ...(await status(signal)) })),
      );
      const said = (one: PowerRead & { label: string }): string =>
        `${one.label} ${one.power} (${one.detail})`;
      const powers = reads.map((read) => read.power);
      const power = powers.includes('on') ? 'on' : powers.every((one) => one === 'off') ? 'off' : 'unknown';
      return { power, detail: reads.map(said).join(', ') };
    },
    off: (signal) => each(signal, (part) => part.off(signal)),
    on: parts.every((part) => part.on !== null)
      ? (signal) => each(signal, async (part) => part.on?.(signal))
      : null,
  };
}
