/**
 * What a real process and the world that it runs in say to each other: one JSON document per line, over two pipes.
 * Both ends are this very program, so only the shapes are checked.
 */
import * as z from 'zod';
import { ProbeResult } from '../../lib/decide/model.ts';
import type { ProbeSpec } from '../../lib/inventory/types.ts';
import type { ExecRequest, MailRequest, ShellRequest } from '../../lib/runtime.ts';

/** File descriptors in the process. */
export const TO_WORLD = 3;
export const FROM_WORLD = 4;

export const Response = z.object({
  status: z.number(),
  statusText: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});

export const Executed = z.object({
  exitCode: z.number().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  failure: z.string().optional(),
});

export const ShellAnswer = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('begun') }),
  z.object({ kind: z.literal('ended'), exitCode: z.number(), output: z.string() }),
  z.object({ kind: z.enum(['not-sent', 'unknown']), why: z.string(), hint: z.string().optional() }),
]);

export { ProbeResult };

/** What the process wants of the world. */
const Ask = z.discriminatedUnion('what', [
  z.object({
    what: z.literal('request'),
    /** The PVE APIs, or anything else that speaks HTTP (smart plugs). */
    to: z.enum(['api', 'http']),
    origin: z.string(),
    method: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.string().optional()),
    body: z.string(),
  }),
  z.object({ what: z.literal('probe'), spec: z.custom<ProbeSpec>() }),
  z.object({ what: z.literal('exec'), request: z.custom<Omit<ExecRequest, 'signal'>>() }),
  z.object({ what: z.literal('shell'), request: z.custom<Omit<ShellRequest, 'signal'>>() }),
  z.object({ what: z.literal('mail'), request: z.custom<MailRequest>(), limitMs: z.number() }),
  z.object({ what: z.literal('sleep'), ms: z.number() }),
]);
export type Ask = z.infer<typeof Ask>;

/**
 * What a cut point is good for. `write`: something has just become durable. `torn`: a temp file is there, or half a line.
 * `lock`: the lock has changed hands, or something was tidied up. `sent`: a request that changes something is about to
 * leave. `done`: it has been carried out, and its answer hasn't arrived. `hook`: around and in the middle of a hook.
 * `read`: an answer to a question hasn't arrived.
 */
export const PointKind = z.enum(['write', 'torn', 'lock', 'sent', 'done', 'hook', 'read']);
export type PointKind = z.infer<typeof PointKind>;

/** A place where the process can be killed: the n-th of its run. */
export const Point = z.object({ number: z.number(), kind: PointKind, label: z.string() });
export type Point = z.infer<typeof Point>;

export const FromProcess = z.discriminatedUnion('kind', [
  /** `dies`: the world kills it instead of answering, or right in the middle. */
  z.object({
    kind: z.literal('ask'),
    id: z.number(),
    ask: Ask,
    dies: z.enum(['during', 'after']).optional(),
  }),
  z.object({ kind: z.literal('abort'), id: z.number() }),
  z.object({ kind: z.literal('said'), to: z.enum(['out', 'err']), text: z.string() }),
  z.object({ kind: z.literal('point'), point: Point }),
  /** Nothing more happens by itself after so many messages of the world. */
  z.object({ kind: z.literal('quiet'), heard: z.number() }),
  z.object({ kind: z.literal('exit'), code: z.number() }),
]);
export type FromProcess = z.infer<typeof FromProcess>;

const Begin = z.object({
  kind: z.literal('begin'),
  now: z.number(),
  argv: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
  /** Of its random digits. */
  seed: z.number(),
  /** It dies at that point; null: it lives, and tells all of its points. */
  dieAt: z.number().nullable(),
});
export type Begin = z.infer<typeof Begin>;

export const ToProcess = z.discriminatedUnion('kind', [
  Begin,
  z.object({ kind: z.literal('answer'), id: z.number(), now: z.number(), value: z.unknown() }),
  z.object({
    kind: z.literal('unreachable'),
    id: z.number(),
    now: z.number(),
    how: z.enum(['refused', 'no-route', 'timeout']),
  }),
]);
export type ToProcess = z.infer<typeof ToProcess>;

/** Cuts what arrives into lines. */
export function lines(take: (line: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) take(part);
  };
}
