/**
 * Runs many probes at once. Every probe has its own deadline, which starts when the probe does; so one can only be
 * delayed by waiting for a slot. Probes that only hold a socket get so many slots that this does not happen in practice;
 * those that start a process get fewer, because a hundred plugins at once on a small runner would make each
 * other late, which would look like failing services. The three kinds never wait for each other.
 * With `h` probes of a kind hanging, the last of that kind starts after at most floor(h / slots) times
 * (timeout + 200 ms) times attempts; with fewer hanging than slots, at once as far as they are concerned.
 */
import pLimit from 'p-limit';
import { abortReason } from '../clock.ts';
import type { ProbeResult } from '../decide/model.ts';
import type { ProbeSpec } from '../inventory/types.ts';

export interface KeyedProbe {
  /** What the probe belongs to: a container's name, a cluster's canaries. */
  readonly key: string;
  readonly spec: ProbeSpec;
}

/** How many probes of a kind run at the same time: tcp, http and dns are `sockets`. */
export interface Slots {
  readonly sockets: number;
  readonly pings: number;
  readonly execs: number;
}

const DEFAULT_SLOTS: Slots = { sockets: 256, pings: 64, execs: 16 };

/**
 * Runs all probes with `run`. The results are by key, in the order of `probes`; every key of `probes` is there.
 * Rejects only when `run` does, or with the signal's reason when `signal` aborts; waiting probes are then not started.
 */
export async function probeAll(
  probes: readonly KeyedProbe[],
  run: (spec: ProbeSpec, signal?: AbortSignal) => Promise<ProbeResult>,
  options: { slots?: Partial<Slots> | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Map<string, ProbeResult[]>> {
  const { signal } = options;
  const slots = { ...DEFAULT_SLOTS, ...options.slots };
  const pools = { sockets: pLimit(slots.sockets), pings: pLimit(slots.pings), execs: pLimit(slots.execs) };
  const results = await Promise.all(
    probes.map(({ spec }) =>
      pools[POOL_OF[spec.kind]](() => {
        if (signal?.aborted === true) throw abortReason(signal);
        return run(spec, signal);
      }),
    ),
  );
  const byKey = new Map<string, ProbeResult[]>();
  probes.forEach(({ key }, index) => {
    const result = results[index];
    if (result === undefined) return;
    const list = byKey.get(key);
    if (list === undefined) byKey.set(key, [result]);
    else list.push(result);
  });
  return byKey;
}

const POOL_OF: Readonly<Record<ProbeSpec['kind'], keyof Slots>> = {
  tcp: 'sockets',
  http: 'sockets',
  dns: 'sockets',
  ping: 'pings',
  exec: 'execs',
};
