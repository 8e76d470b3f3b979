/**
 * The lineage line: one machine-readable line in the description of every copy, set in the very restore call. The
 * cluster, not the state file, is the truth about incarnations, and these lines are where it is written.
 *
 * A description travels with an archive, so a line says for which cluster, node and vmid it was written: found
 * anywhere else it is somebody's restore of our copy, and not ours.
 */
import { hasUnprintable, isReserved } from '../text.ts';
import { Lineage } from './model.ts';

const PREFIX = 'proxwarden-lineage:';
/** PVE accepts 8 KiB of description; the line and a person's own text must fit. */
const DESCRIPTION_MAX = 8000;

/** The tag that says whose configs are worth reading. A hint, never a proof. */
export const TAG = 'proxwarden';

const FIELDS = [
  'container',
  'cluster',
  'node',
  'vmid',
  'epoch',
  'supersedes',
  'operation',
  'source',
  'phase',
  'at',
  'stopped',
] as const;

/** One line, `proxwarden-lineage: container=dns cluster=home …`. Values are URI-encoded, so they hold no spaces. */
export function formatLineage(line: Lineage): string {
  const given = FIELDS.filter((field) => line[field] !== undefined);
  return `${PREFIX} ${given.map((field) => `${field}=${encodeURIComponent(String(line[field]))}`).join(' ')}`;
}

/** The lineage line in a description, or null when there is none or it is not well-formed. Two lines count as none. */
export function parseLineage(description: string): Lineage | null {
  const lines = description.split(/\r?\n/).filter((text) => text.trimStart().startsWith(PREFIX));
  const [text, second] = lines;
  if (text === undefined || second !== undefined) return null;
  const values = new Map<string, string>();
  for (const pair of text.trim().slice(PREFIX.length).trim().split(/\s+/)) {
    const equals = pair.indexOf('=');
    if (equals < 1) return null;
    const value = decode(pair.slice(equals + 1));
    // No name, id or volid is like that: such a line is somebody's trick.
    if (value === null || hasUnprintable(value) || isReserved(value) || values.has(pair.slice(0, equals)))
      return null;
    values.set(pair.slice(0, equals), value);
  }
  const parsed = Lineage.safeParse({
    ...Object.fromEntries(values),
    vmid: Number(values.get('vmid')),
    epoch: Number(values.get('epoch')),
    at: Number(values.get('at')),
  });
  return parsed.success ? parsed.data : null;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** A person's own text without any lineage line of ours, and without the sentence above it. */
export function withoutLineage(description: string): string {
  return description
    .split(/\r?\n/)
    .filter((text) => !text.trimStart().startsWith(PREFIX) && !text.startsWith(SENTENCE))
    .join('\n')
    .trim();
}

const SENTENCE = 'ProxWarden:';

/**
 * The description of a copy or of a retired original: a sentence for people, the line for machines (if any), then the
 * text that was there before, cut to what PVE accepts.
 */
export function composeDescription(parts: {
  sentence: string;
  line: Lineage | null;
  previous: string;
}): string {
  const head = [
    `${SENTENCE} ${parts.sentence}`,
    ...(parts.line === null ? [] : [formatLineage(parts.line)]),
  ].join('\n\n');
  const rest = withoutLineage(parts.previous);
  return rest === '' ? head : `${head}\n\n${rest}`.slice(0, DESCRIPTION_MAX);
}

/** Whether a line found on `node`/`vmid` of `cluster` was written for that very place. */
export function isAtHome(line: Lineage, place: { cluster: string; node: string; vmid: number }): boolean {
  return line.cluster === place.cluster && line.node === place.node && line.vmid === place.vmid;
}
