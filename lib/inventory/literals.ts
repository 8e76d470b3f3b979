/** Secrets that were written into the inventory by mistake: found, and kept out of every message. */
import { SECRET_FIX } from './fields.ts';
import type { Finding } from './issues.ts';
import type { Path, Problem } from './problems.ts';
import type { Json } from './yaml.ts';

/** What the secret of a Proxmox VE API token looks like. */
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;
const EVERY_UUID = new RegExp(UUID.source, 'gi');
const SECRET_KEY = /token|passw|secret|api-?_?key/i;
/** A shorter value can't be told from ordinary words of a message. */
const SHORTEST = 6;

/** A finding for every text that looks like the secret of an API token, keys included. */
export function findLiteralSecrets(data: Json): Finding[] {
  const findings: Finding[] = [];
  visit(data, [], (value, path, isKey) => {
    if (UUID.test(value)) {
      findings.push({ path, message: "looks like an API token's secret (a UUID)", fix: SECRET_FIX, isKey });
    }
  });
  return findings;
}

/** The problems without the values that this file holds where secrets belong, and without any UUID. */
export function maskLiterals(problems: readonly Problem[], data: Json | undefined): Problem[] {
  // Only of those that are there at all: a file may hold a hundred thousand values, and as many problems.
  const all = problems.map((p) => `${p.path}\n${p.message}\n${p.fix}`).join('\n');
  const values = new Set<string>();
  visit(data ?? null, [], (value, path, isKey) => {
    if (isKey) return;
    const key = path.findLast((part) => typeof part === 'string') ?? '';
    const isReference = /^(env|file):/.test(value);
    if (SECRET_KEY.test(key) && !isReference && value.length >= SHORTEST && all.includes(value))
      values.add(value);
  });
  const mask = (text: string): string =>
    [...values].reduce(
      (masked, value) => masked.replaceAll(value, '***'),
      text.replaceAll(EVERY_UUID, '***'),
    );
  return problems.map((p) => ({ ...p, path: mask(p.path), message: mask(p.message), fix: mask(p.fix) }));
}

function visit(value: Json, path: Path, text: (value: string, path: Path, isKey: boolean) => void): void {
  if (typeof value === 'string') text(value, path, false);
  else if (Array.isArray(value)) value.forEach((item, index) => visit(item, [...path, index], text));
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      text(key, [...path, key], true);
      visit(item, [...path, key], text);
    }
  }
}
