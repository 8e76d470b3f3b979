/** Puts the `notify:` and `heartbeat:` of all files together, and finds their programs and secrets. */
import { resolveSecret, type Context } from './clusters.ts';
import type { Part } from './parts.ts';
import type { Path } from './problems.ts';
import { whereIs } from './report.ts';
import type { Notify, NotifyTarget, NotifyVia, SecretRef, UrlRef } from './types.ts';

const REPEAT_MS = 4 * 3_600_000;

/** Who is told. Two of one name, and two files that differ in `repeat`, are reported. */
export function resolveNotify(parts: readonly Part[], context: Context): Notify {
  const to: NotifyTarget[] = [];
  const names = new Map<string, string>();
  for (const part of parts)
    for (const [index, target] of (part.input.notify?.to ?? []).entries()) {
      const path = ['notify', 'to', index];
      const first = names.get(target.name);
      if (first === undefined) names.set(target.name, whereIs(part, path));
      else
        context.report.add(
          part,
          path,
          `is called ${target.name}, as the one in ${first} is`,
          'give one of them another name:',
        );
      to.push({ ...target, via: resolveVia(target.via, part, path, context) });
    }
  return { to, repeatMs: resolveRepeat(parts, context) };
}

function resolveRepeat(parts: readonly Part[], { report }: Context): number {
  const saying = parts.filter((part) => part.input.notify?.repeat !== undefined);
  const [first] = saying;
  for (const part of saying.slice(1)) {
    if (first === undefined || part.input.notify?.repeat === first.input.notify?.repeat) continue;
    const path = ['notify', 'repeat'];
    report.add(part, path, `differs from ${whereIs(first, path)}`, 'it holds for all clusters: keep one');
  }
  return first?.input.notify?.repeat ?? REPEAT_MS;
}

function resolveVia(via: NotifyVia, part: Part, path: Path, context: Context): NotifyVia {
  const secret = (ref: SecretRef, ...below: string[]): SecretRef =>
    resolveSecret(ref, part, [...path, via.kind, ...below], context);
  const url = (ref: UrlRef): UrlRef => (ref.kind === 'url' ? ref : secret(ref, 'url'));
  switch (via.kind) {
    case 'email':
      return via.password === undefined ? via : { ...via, password: secret(via.password, 'password') };
    case 'ntfy':
      return {
        ...via,
        url: url(via.url),
        ...(via.token === undefined ? {} : { token: secret(via.token, 'token') }),
      };
    case 'slack':
    case 'discord':
      return { ...via, url: secret(via.url) };
    case 'telegram':
    case 'gotify':
      return { ...via, token: secret(via.token, 'token') };
    case 'webhook':
      return {
        ...via,
        url: url(via.url),
        headers: Object.fromEntries(
          Object.entries(via.headers).map(([name, value]) => [
            name,
            typeof value === 'string' ? value : secret(value, 'headers', name),
          ]),
        ),
      };
    case 'exec': {
      const found = context.finder.program(via.path);
      if ('path' in found) return { ...via, path: found.path };
      context.report.add(part, [...path, 'exec'], found.message, found.fix);
      return via;
    }
  }
}

/** The one `heartbeat:` of all files; a second one is reported. */
export function resolveHeartbeat(parts: readonly Part[], context: Context): UrlRef | null {
  const [first, second] = parts.filter((part) => part.input.heartbeat !== undefined);
  const url = first?.input.heartbeat?.url;
  if (first === undefined || url === undefined) return null;
  if (second !== undefined)
    context.report.add(
      second,
      ['heartbeat'],
      `is given in ${whereIs(first, ['heartbeat'])} already`,
      'it holds for all clusters: keep one',
    );
  return url.kind === 'url' ? url : resolveSecret(url, first, ['heartbeat', 'url'], context);
}
