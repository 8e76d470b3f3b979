/** The small values that the inventory's schema is made of. Messages of custom checks are `what is wrong\nthe fix`. */
import * as z from 'zod';
import { formatDuration, parseDuration, DURATION_PATTERN } from '../units.ts';
import { ProxwardenError } from '../errors.ts';
import { isReserved } from '../text.ts';
import { parseHttpUrl } from './addresses.ts';
import type { HttpCall, SecretRef } from './types.ts';

/** A message of the schema: what is wrong and what would be right. `splitMessage` in issues.ts takes it apart. */
export function said(message: string, fix: string): string {
  return `${message}\n${fix}`;
}

/** Stands for a value that is known to be wrong and already reported. */
type Context = { issues: z.core.$ZodRawIssue[]; value: unknown };

/** Adds a problem at this value (or below it) and gives back what a transform returns then. */
export function refuse(
  context: Context,
  message: string,
  fix: string,
  path: (string | number)[] = [],
): never {
  context.issues.push({ code: 'custom', message: said(message, fix), input: context.value, path });
  return z.NEVER;
}

/** A mapping without unknown keys. Its error message is the list of the known ones, for did-you-mean. */
export function strict<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : undefined),
  });
}

/** Text that must match; `what` completes "must be …". */
export function text(pattern: RegExp, what: string, example: string): z.ZodString {
  return z.string().regex(pattern, { error: said(`must be ${what}`, `for example ${example}`) });
}

/** The same for names, which become keys: none that every object of JavaScript has. */
function nameOf(...given: Parameters<typeof text>): z.ZodString {
  return text(...given).refine((name) => !name.split('/').some(isReserved), {
    error: said('is a reserved word', 'choose another name'),
  });
}

/** A whole number within limits. */
export function count(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** Text like `90s`, to milliseconds. Zero isn't allowed unless `minMs` is 0. */
export function duration(limits: { minMs?: number; maxMs?: number } = {}): z.ZodType<number, string> {
  const { minMs = 1, maxMs = parseDuration('3650d') } = limits;
  return z
    .string({
      error: (issue) =>
        typeof issue.input === 'number' ? said('has no unit', 'for example 90s, 15m or 24h') : undefined,
    })
    .meta({ pattern: DURATION_PATTERN })
    .transform((value, context) => {
      let ms: number;
      try {
        ms = parseDuration(value);
      } catch (error) {
        if (!(error instanceof ProxwardenError)) throw error;
        return refuse(context, error.message, error.hint ?? '');
      }
      if (ms < minMs) return refuse(context, 'is too short', `at least ${formatDuration(minMs)}`);
      if (ms > maxMs) return refuse(context, 'is too long', `at most ${formatDuration(maxMs)}`);
      return ms;
    });
}

export const SECRET_FIX = 'put the secret into an environment variable or a file: env:NAME or file:PATH';

/** `env:NAME` or `file:PATH` (absolute, or inside the inventory folder). The value is never repeated: it may be the secret itself. */
export const secretRef = z
  .string()
  .meta({ pattern: '^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$' })
  .transform((value, context): SecretRef => {
    const name = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(value)?.[1];
    if (name !== undefined) return { kind: 'env', name };
    const path = /^file:([^\n]+)$/.exec(value)?.[1];
    if (path !== undefined) return { kind: 'file', path };
    if (value.startsWith('file:')) return refuse(context, 'names no file', 'write file:PATH');
    if (value.startsWith('env:')) return refuse(context, "is not a variable's name", 'write env:NAME');
    return refuse(context, 'holds a literal value where only a reference to a secret may be', SECRET_FIX);
  });

/** An http(s) URL without credentials. */
export const httpUrl = z
  .string()
  .meta({ pattern: '^https?://' })
  .transform((value, context): string => {
    const parsed = parseHttpUrl(value);
    return 'url' in parsed ? parsed.url.href : refuse(context, parsed.message, parsed.fix);
  });

const callShape = {
  url: httpUrl.describe('http or https; no credentials in it.'),
  method: z.enum(['GET', 'POST', 'PUT']).optional().describe('HTTP method. Default GET.'),
  body: z.string().max(65_536).optional().describe('Sent as it is (JSON as text).'),
};

/** A call to a smart plug: a URL, or a mapping with method and body. */
export const httpCall = z.union([
  httpUrl.transform((url): HttpCall => ({ url, method: 'GET' })),
  strict(callShape).transform(asCall),
]);

/** The call that reads the plug's state back, and how to understand its answer. */
export const httpStatusCall = strict({
  ...callShape,
  field: z
    .string()
    .min(1)
    .max(200)
    .describe('Field of the JSON answer that tells the state; dots go deeper.'),
  off: z
    .union([z.string(), z.number(), z.boolean()])
    .describe('What that field holds when the power is off.'),
}).transform(({ field, off, ...call }) => ({ ...asCall(call), field, off }));

function asCall(call: {
  url: string;
  method?: HttpCall['method'] | undefined;
  body?: string | undefined;
}): HttpCall {
  return {
    url: call.url,
    method: call.method ?? 'GET',
    ...(call.body === undefined ? {} : { body: call.body }),
  };
}

export const clusterName = nameOf(
  /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/,
  'a cluster name (letters, digits, hyphens)',
  'home',
);
export const nodeName = nameOf(
  /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/,
  'a node name (letters, digits, hyphens)',
  'pve1',
);
export const targetName = nameOf(
  /^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\/)?[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/,
  'a node, or cluster/node',
  'pve2',
);
export const containerName = nameOf(
  /^[a-z0-9][a-z0-9-]{0,62}$/,
  'a container name (lower-case letters, digits, hyphens; at most 63)',
  'dns',
);
/** As Proxmox VE's storage ids. */
export const storageName = nameOf(/^[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]$/, 'the id of a storage', 'local-lvm');
export const vmid = count(100, 999_999_999);
