/** Which of many points are taken when not all are. */
import type { Point } from './wire.ts';

export function draw<T>(many: readonly T[], count: number, random: () => number): T[] {
  return many
    .map((one) => ({ one, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .slice(0, count)
    .map(({ one }) => one);
}

/** Something that later runs go by has just changed; they read neither events nor the last observation. */
export function hasChanged({ kind, label }: Point): boolean {
  return (
    kind === 'done' || kind === 'hook' || (kind === 'write' && /^(state|operations\/.*)\.json$/.test(label))
  );
}
