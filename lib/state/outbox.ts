/**
 * outbox.json: what people are still to be told, so that neither a crash nor a network that is away loses it. A message
 * is told at least once: killed between the sending and the note of it, it is sent again.
 */
import { join } from 'node:path';
import * as z from 'zod';
import type { Clock } from '../clock.ts';
import type { NotifyTarget } from '../inventory/types.ts';
import { Notice } from '../tell/notify/notices.ts';
import { isOnClusterFs } from './cluster-fs.ts';
import { DurableJson } from './durable.ts';
import { withLockSync } from './lock.ts';

/** Whoever sends has so long; then another run may try. */
const CLAIM_MS = 60_000;
const WAITS_MS = [60_000, 120_000, 300_000, 900_000, 3_600_000];
/** Later than this nobody wants to know. */
const EXPIRY_MS = 3 * 86_400_000;
/** Of one target. Beyond, the oldest go, the least urgent first. */
const MOST = 100;
const MOST_KEYS = 400;

const Entry = z.object({
  target: z.string(),
  notice: Notice,
  attempts: z.number().int(),
  /** Not before. While it is being sent: when another may try. */
  notBefore: z.number(),
  /** Why the last attempt failed; null: there was none. */
  failure: z.string().nullable(),
});
export type OutboxEntry = z.infer<typeof Entry>;

const Outbox = z.object({
  version: z.literal(1),
  waiting: z.array(Entry),
  /** Keys of what has been put in, newest last. */
  known: z.array(z.string()),
});
type Outbox = z.infer<typeof Outbox>;

export interface OutboxStore {
  /** False before anything has ever been put in. */
  exists(): boolean;
  /** Everything that waits. Throws FailedError when the file can't be trusted. */
  waiting(): readonly OutboxEntry[];
  /** Puts notices in for each target that wants them; what is known already is left out. Durable when it returns. */
  add(notices: readonly Notice[], targets: readonly NotifyTarget[]): void;
  /** What is due, taken for a minute: nobody else sends it meanwhile. Targets that are gone lose theirs. */
  take(targets: readonly NotifyTarget[]): readonly OutboxEntry[];
  /** Notes what became of what was taken: sent (null), or why not. Returns what has been given up. */
  settle(taken: readonly OutboxEntry[], failure: string | null): readonly OutboxEntry[];
}

/** The outbox in the state folder `dir`, which openState has checked. */
export function openOutbox(dir: string, { clock }: { readonly clock: Clock }): OutboxStore {
  const packed = isOnClusterFs(dir);
  const file = new DurableJson(join(dir, packed ? 'outbox.json.gz' : 'outbox.json'), {
    schema: Outbox,
    packed,
    version: 1,
    what: 'outbox',
    advice: 'move it away: what it holds is not told any more, all else goes on',
  });
  const read = (): Outbox => file.read() ?? { version: 1, waiting: [], known: [] };
  const change = <T>(mutate: (outbox: Outbox) => T): T =>
    withLockSync(dir, { clock }, (assertHeld) => {
      const outbox = read();
      const before = JSON.stringify(outbox);
      const result = mutate(outbox);
      if (JSON.stringify(outbox) !== before) file.write(outbox, assertHeld);
      return result;
    });
  const same = (a: OutboxEntry) => (b: OutboxEntry) => a.target === b.target && a.notice.key === b.notice.key;

  return {
    exists: () => file.read() !== null,
    waiting: () => read().waiting,
    add(notices, targets) {
      if (notices.length === 0) return;
      change((outbox) => {
        for (const notice of notices) {
          if (outbox.known.includes(notice.key)) continue;
          outbox.known.push(notice.key);
          for (const { name, topics } of targets)
            if (notice.topic === 'test' || topics.includes(notice.topic))
              outbox.waiting.push({ target: name, notice, attempts: 0, notBefore: 0, failure: null });
        }
        outbox.known.splice(0, Math.max(0, outbox.known.length - MOST_KEYS));
        for (const { name } of targets) outbox.waiting = withoutTooMany(outbox.waiting, name);
      });
    },
    take(targets) {
      const now = clock.now();
      const names = new Set(targets.map((target) => target.name));
      // Most runs have nothing to tell: no lock, no write.
      if (read().waiting.length === 0) return [];
      return change((outbox) => {
        outbox.waiting = outbox.waiting.filter((entry) => names.has(entry.target));
        // A claim that lies further ahead than any can was made before the clock was set back.
        const due = outbox.waiting.filter(
          ({ notBefore }) => notBefore <= now || notBefore > now + (WAITS_MS.at(-1) ?? 0),
        );
        for (const entry of due) entry.notBefore = now + CLAIM_MS;
        return structuredClone(due);
      });
    },
    settle(taken, failure) {
      if (taken.length === 0) return [];
      const now = clock.now();
      return change((outbox) => {
        const lost: OutboxEntry[] = [];
        outbox.waiting = outbox.waiting.filter((entry) => {
          if (!taken.some(same(entry))) return true;
          if (failure === null) return false;
          entry.failure = failure;
          entry.notBefore = now + (WAITS_MS[entry.attempts] ?? WAITS_MS.at(-1) ?? 0);
          entry.attempts += 1;
          if (now - entry.notice.at < EXPIRY_MS) return true;
          lost.push(entry);
          return false;
        });
        return lost;
      });
    },
  };
}

function withoutTooMany(waiting: readonly OutboxEntry[], target: string): OutboxEntry[] {
  const own = waiting.filter((entry) => entry.target === target);
  while (own.length > MOST)
    own.splice(
      Math.max(
        own.findIndex(({ notice }) => notice.urgency === 'info'),
        0,
      ),
      1,
    );
  const kept = new Set(own);
  return waiting.filter((entry) => entry.target !== target || kept.has(entry));
}
