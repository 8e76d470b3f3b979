/** What belongs to the whole inventory and may be in any file: limits and global hooks. */
import type { Context } from './clusters.ts';
import type { Part } from './parts.ts';
import type { Path } from './problems.ts';
import { whereIs } from './report.ts';
import type { Hook, Limits } from './types.ts';

type When = 'before' | 'after';
const WHEN: readonly When[] = ['before', 'after'];

/** The limits of all files together. Two files that say different things are reported. */
export function resolveLimits(parts: readonly Part[], context: Context): Limits {
  const pick = (key: keyof Limits, otherwise: number): number => {
    const saying = parts.filter((part) => part.input.limits?.[key] !== undefined);
    const first = saying[0];
    for (const part of saying.slice(1)) {
      if (first === undefined || part.input.limits?.[key] === first.input.limits?.[key]) continue;
      const other = whereIs(first, ['limits', key]);
      context.report.add(
        part,
        ['limits', key],
        `differs from ${other}`,
        'limits hold for all clusters: keep one of them',
      );
    }
    return first?.input.limits?.[key] ?? otherwise;
  };
  return {
    failoversPerRun: pick('failoversPerRun', 3),
    failoversPerHour: pick('failoversPerHour', 6),
    restoresPerNode: pick('restoresPerNode', 1),
    restoresPerStorage: pick('restoresPerStorage', 2),
  };
}

/** Finds the programs of hooks; each list once, so that a wrong default is one problem and not one per container. */
export class HookLists {
  readonly #context: Context;
  readonly #resolved = new Map<string, readonly Hook[]>();
  readonly #global: Readonly<Record<When, readonly Hook[]>>;

  constructor(parts: readonly Part[], context: Context) {
    this.#context = context;
    this.#global = { before: this.#findGlobal(parts, 'before'), after: this.#findGlobal(parts, 'after') };
    // Defaults that every container overrides are checked too.
    for (const part of parts) {
      for (const when of WHEN) {
        this.resolve(part, ['defaults', 'hooks', when], part.input.defaults?.hooks?.[when] ?? []);
      }
    }
  }

  /** Those that hold for all containers without their own. */
  global(when: When): readonly Hook[] {
    return this.#global[when];
  }

  /** The hooks with absolute paths. */
  resolve(part: Part, path: Path, given: readonly Hook[]): readonly Hook[] {
    const key = [part.file, ...path].join('\u0000');
    const known = this.#resolved.get(key);
    if (known !== undefined) return known;
    const { finder, report } = this.#context;
    const hooks = given.map((hook, index) => {
      const found = finder.program(hook.path);
      if ('path' in found) return { ...hook, path: found.path };
      report.add(part, [...path, index], found.message, found.fix);
      return hook;
    });
    this.#resolved.set(key, hooks);
    return hooks;
  }

  #findGlobal(parts: readonly Part[], when: When): readonly Hook[] {
    const path = ['hooks', when];
    const saying = parts.filter((part) => part.input.hooks?.[when] !== undefined);
    const lists = saying.map((part) => ({ part, given: part.input.hooks?.[when] ?? [] }));
    const first = lists[0];
    if (first === undefined) return [];
    for (const { part, given } of lists.slice(1)) {
      this.resolve(part, path, given);
      if (JSON.stringify(given) === JSON.stringify(first.given)) continue;
      const other = whereIs(first.part, path);
      this.#context.report.add(
        part,
        path,
        `differs from ${other}`,
        'these hooks hold for all clusters: keep one list',
      );
    }
    return this.resolve(first.part, path, first.given);
  }
}
