import type { Core } from './core.ts';
import type { Violation } from './types.ts';

/** A copy as the checker sees it. */
export interface CheckedCopy {
  readonly node: string;
  readonly vmid: number;
  readonly hostname: string;
  readonly identity: string;
  /** Its link is down: it can disturb nobody. */
  readonly isolated: boolean;
}

/** Watches the ground truth for the one thing that must never be: two copies of one container running together. */
export class Checker {
  readonly violations: Violation[] = [];
  readonly #core: Core;
  /** The overlaps that are going on, each with its place among the violations. */
  readonly #overlaps = new Map<string, number>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** To be called with all running copies after every change. */
  check(copies: readonly CheckedCopy[]): void {
    const groups = new Map<string, CheckedCopy[]>();
    for (const copy of copies)
      if (!copy.isolated) groups.set(copy.identity, [...(groups.get(copy.identity) ?? []), copy]);
    const overlaps = new Set<string>();
    for (const [identity, group] of groups) {
      if (group.length < 2) continue;
      const names = group.map((copy) => `CT ${copy.vmid} on ${copy.node}`).toSorted();
      const key = `${identity} ${names.join()}`;
      overlaps.add(key);
      if (this.#overlaps.has(key)) continue;
      this.#overlaps.set(key, this.violations.length);
      const text = `two copies of ${group[0]?.hostname ?? ''} (${identity}) run together: ${names.join(' and ')}`;
      this.violations.push({ at: this.#core.now(), rule: 'never-two', text, until: null });
      this.#core.event(`VIOLATION: ${text}`);
    }
    for (const [key, index] of this.#overlaps) {
      const violation = this.violations[index];
      if (overlaps.has(key) || violation === undefined) continue;
      this.violations[index] = { ...violation, until: this.#core.now() };
      this.#overlaps.delete(key);
    }
  }
}
