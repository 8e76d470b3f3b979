/** Talks to a running lab, found by the run file in its inventory folder. */
import { resolve } from 'node:path';
import type * as z from 'zod';
import { systemClock, withDeadline, type Clock } from '../clock.ts';
import { FailedError, InputError, messageOf } from '../errors.ts';
import { LabDone, LabRefusal, LabReport, type LabVerb } from './control-protocol.ts';
import { readRunFile } from './runfile.ts';

const TIMEOUT_MS = 15_000;

export interface LabClient {
  status(): Promise<LabReport>;
  /** Does one thing to a node, a storage or a container, and says in a sentence what was done. */
  perform(verb: LabVerb, name: string): Promise<string>;
  /** Ends the lab. Resolves when its ports are free and its run file is gone. */
  down(): Promise<string>;
}

/**
 * A client for the lab that runs for the inventory folder `dir`. Throws InputError when none is running. Its calls
 * throw InputError for a name that the lab doesn't have, FailedError when the lab doesn't answer as it should.
 */
export async function connectLab(
  dir: string,
  { clock = systemClock, signal }: { clock?: Clock; signal?: AbortSignal | undefined } = {},
): Promise<LabClient> {
  const run = await readRunFile(resolve(dir));
  if (run === null) {
    throw new InputError(`no lab is running for ${dir}`, { hint: 'Start one with `proxwarden lab up`.' });
  }
  const { control, token } = run;
  async function ask<T>(method: 'GET' | 'POST', path: string, schema: z.ZodType<T>): Promise<T> {
    const { request } = await import('../undici.ts');
    let status: number;
    let body: unknown;
    try {
      [status, body] = await withDeadline(clock, TIMEOUT_MS, signal, async (inner) => {
        const headers = { authorization: `Bearer ${token}` };
        const response = await request(`${control}/${path}`, { method, headers, signal: inner });
        return [response.statusCode, await response.body.json()];
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new FailedError(`the lab (process ${run?.pid}) doesn't answer: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const refusal = LabRefusal.safeParse(body);
    if (refusal.success) {
      const { error, hint } = refusal.data;
      throw status === 400 ? new InputError(error, { hint }) : new FailedError(error, { hint });
    }
    const answer = schema.safeParse(body);
    if (!answer.success) {
      throw new FailedError('the lab gives an answer of another version of ProxWarden', {
        hint: 'End it with `proxwarden lab down` and start it again.',
        cause: answer.error,
      });
    }
    return answer.data;
  }
  return {
    status: () => ask('GET', 'status', LabReport),
    perform: async (verb, name) =>
      (await ask('POST', `${verb}?name=${encodeURIComponent(name)}`, LabDone)).message,
    down: async () => (await ask('POST', 'down', LabDone)).message,
  };
}
