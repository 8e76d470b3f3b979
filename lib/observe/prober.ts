/**
 * Runs many probes at once. Every probe has its own deadline, which starts when the probe does; so one can only be
 * delayed by waiting for a slot. Probes that only hold a socket give their slot to the next one when they have not been
 * answered soon, so that those that hang delay nobody; those that start a process keep it, because a hundred plugins at
 * once on a small runner would make each other late, which would look like failing services. The three kinds never wait
 * for each other. With `h` pings or plugins hanging, the last of that kind starts after at most floor(h / slots) times
 * (timeout + 200 ms) times attempts; with fewer hanging than slots, at once as far as they are concerned.
 */
import pLimit from 'p-limit';
import { abortReason, type Clock } from '../clock.ts';
import type { ProbeResult } from '../decide/model.ts';
import type { ProbeSpec } from '../inventory/types.ts';

export interface KeyedProbe {
  /** What the probe belongs to: a container's name, a cluster's canaries. */
  readonly key: string;
  readonly spec: ProbeSpec;
}

/** How many probes of a kind run at the same time: tcp, http and dns are `sockets`. */
export interface Slots {
  /** Of those that are young: what hangs does not count. */
  readonly sockets: number;
  readonly pings: number;
  readonly execs: number;
}

const DEFAULT_SLOTS: Slots = { sockets: 256, pings: 64, execs: 16 };
/** One that has no answer after this time has lost its slot to the next one, and goes on. */
const YOUNG_MS = 100;
/** Sockets in all, hanging ones included: less than the open files that Linux gives to a process that may not ask for more. */
const SOCKETS_MAX = 4_000;

export interface ProbeAllOptions {
  readonly clock: Clock;
  readonly slots?: Partial<Slots> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs all probes with `run`. The results are by key, in the order of `probes`; every key of `probes` is there.
 * Rejects only when `run` does, or with the signal's reason when `signal` aborts; waiting probes are then not started.
 */
export async function probeAll(
  probes: readonly KeyedProbe[],
  run: (spec: ProbeSpec, signal?: AbortSignal) => Promise<ProbeResult>,
  options: ProbeAllOptions,
): Promise<Map<string, ProbeResult[]>> {
  const { clock, signal } = options;
  const slots = { ...DEFAULT_SLOTS, ...options.slots };
  const start = (spec: ProbeSpec): Promise<ProbeResult> =>
    signal?.aborted === true ? Promise.reject(abortReason(signal)) : run(spec, signal);
  const pools: Record<keyof Slots, Limit> = {
    sockets: youngLimit(slots.sockets, clock),
    pings: pLimit(slots.pings),
    execs: pLimit(slots.execs),
  };
  const results = await Promise.all(probes.map(({ spec }) => pools[POOL_OF[spec.kind]](() => start(spec))));
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

type Limit = <T>(job: () => Promise<T>) => Promise<T>;

/** Like pLimit, but only what has begun within the last YOUNG_MS counts, and at most SOCKETS_MAX in all. */
function youngLimit(most: number, clock: Clock): Limit {
  const waiting: (() => void)[] = [];
  let next = 0;
  let running = 0;
  let young = new Set<object>();
  let ages = false;
  const mayStart = (): boolean => next < waiting.length && young.size < most && running < SOCKETS_MAX;
  const startNext = (): void => {
    while (mayStart()) {
      waiting[next]?.();
      next += 1;
    }
    if (next < waiting.length && !ages) void age();
  };
  /** As long as something waits: takes the slots of what has not been answered. */
  async function age(): Promise<void> {
    ages = true;
    while (next < waiting.length) {
      const before = young;
      young = new Set(before);
      const due = clock.now() + YOUNG_MS;
      await clock.sleep(YOUNG_MS);
      // A process that is late itself gets no more to do: it has not looked at the answers yet.
      if (clock.now() - due < YOUNG_MS / 2) for (const one of before) young.delete(one);
      startNext();
    }
    ages = false;
  }
  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push(() => {
        const one = {};
        running += 1;
        young.add(one);
        const ended = (): void => {
          running -= 1;
          young.delete(one);
          startNext();
        };
        job().then(resolve, reject).finally(ended);
      });
      startNext();
    });
}

const POOL_OF: Readonly<Record<ProbeSpec['kind'], keyof Slots>> = {
  tcp: 'sockets',
  http: 'sockets',
  dns: 'sockets',
  ping: 'pings',
  exec: 'execs',
};
