/** Groups of containers that are kept apart: of all files together, with names that there are. */
import type { Context } from './clusters.ts';
import { writtenContainers, type Part } from './parts.ts';
import { closest } from './problems.ts';
import { whereIs } from './report.ts';

/** Names by group. A group that two files give, or a name that no container has, is reported. */
export function resolveKeepApart(parts: readonly Part[], context: Context): Record<string, string[]> {
  const known = parts.flatMap((part) => writtenContainers(part).map(([name]) => name));
  const groups: Record<string, string[]> = {};
  const from = new Map<string, Part>();
  for (const part of parts)
    for (const [group, names] of Object.entries(part.input.keepApart ?? {})) {
      const path = ['keepApart', group];
      const other = from.get(group);
      if (other !== undefined) {
        context.report.add(
          part,
          path,
          `is already given in ${whereIs(other, path)}`,
          'one list per group',
          true,
        );
        continue;
      }
      from.set(group, part);
      groups[group] = [...new Set(names)];
      for (const [index, name] of names.entries()) {
        if (known.includes(name) || context.incomplete) continue;
        const meant = closest(name, known);
        context.report.add(
          part,
          [...path, index],
          `no container is called ${name}`,
          meant === undefined ? 'name containers of the inventory' : `did you mean ${meant}?`,
        );
      }
    }
  return groups;
}
