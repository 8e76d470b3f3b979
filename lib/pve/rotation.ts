/**
 * Which endpoint is asked. Reads go to the used one and, when no complete answer comes, to the others in order; an
 * answer, whatever it says, is never asked for elsewhere. Writes go to the used one only, once.
 */
import type * as z from 'zod';
import type { Clock } from '../clock.ts';
import { InputError } from '../errors.ts';
import type { CallOptions } from './api.ts';
import { isNetworkFailure, RequestError } from './failure.ts';
import type { Login } from './login.ts';
import type { Call } from './transport.ts';

/** An endpoint that gave no answer is left out for so long, so that a dead one costs its deadline once, not per call. */
const DEAD_MS = 60_000;

export interface Rotation {
  readonly use: (endpoint: string) => void;
  readonly used: () => string;
  /** True for an endpoint that gave no answer lately, while another did. */
  readonly silentLately: (endpoint: string) => boolean;
  /** Asks that endpoint and no other. What is learnt of it counts for the others' calls. */
  readonly ask: <T>(endpoint: string, call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
  readonly read: <T>(call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
  readonly write: <T>(call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
}

export function createRotation(options: {
  cluster: string;
  endpoints: readonly string[];
  send: Login['send'];
  clock: Clock;
}): Rotation {
  const { cluster, endpoints, send, clock } = options;
  const [first] = endpoints;
  if (first === undefined)
    throw new InputError(`cluster ${cluster} has no API endpoint: give at least one in api.endpoints`);
  let used = first;
  const deadSince = new Map<string, number>();

  /** The used one first; those that were silent lately are left out, unless all were: then the used one is tried. */
  function candidates(): string[] {
    const order = [used, ...endpoints.filter((endpoint) => endpoint !== used)];
    const alive = order.filter((endpoint) => !wasSilent(endpoint));
    return alive.length === 0 ? [used] : alive;
  }

  function wasSilent(endpoint: string): boolean {
    return clock.now() - (deadSince.get(endpoint) ?? -Infinity) < DEAD_MS;
  }

  async function ask<T>(
    endpoint: string,
    call: Call,
    schema: z.ZodType<T>,
    callOptions?: CallOptions,
  ): Promise<T> {
    try {
      const data = await send(endpoint, call, schema, callOptions);
      deadSince.delete(endpoint);
      return data;
    } catch (error) {
      // Silence after the request was sent may be that of the node behind this endpoint: it isn't held against it.
      const peerMayHang =
        isNetworkFailure(error) &&
        error.failure === 'timeout' &&
        error.outcome === 'unknown' &&
        call.node !== null;
      if (isNetworkFailure(error) && !peerMayHang) deadSince.set(endpoint, clock.now());
      throw error;
    }
  }

  async function read<T>(call: Call, schema: z.ZodType<T>, callOptions?: CallOptions): Promise<T> {
    const failures: RequestError[] = [];
    for (const endpoint of candidates()) {
      try {
        return await ask(endpoint, call, schema, callOptions);
      } catch (error) {
        if (!isNetworkFailure(error)) throw error;
        failures.push(error);
      }
    }
    throw combined(cluster, call, failures);
  }

  function write<T>(call: Call, schema: z.ZodType<T>, callOptions?: CallOptions): Promise<T> {
    return ask(used, call, schema, callOptions);
  }

  return {
    use(endpoint) {
      if (!endpoints.includes(endpoint))
        throw new Error(`${endpoint} is not an endpoint of cluster ${cluster}`);
      used = endpoint;
      deadSince.delete(endpoint);
    },
    used: () => used,
    silentLately: (endpoint) => wasSilent(endpoint) && !endpoints.every(wasSilent),
    ask,
    read,
    write,
  };
}

/** One failure as it is; several in one sentence, each endpoint with its reason. */
function combined(cluster: string, call: Call, failures: readonly RequestError[]): RequestError {
  const [only, second] = failures;
  if (only === undefined) throw new Error(`no endpoint of cluster ${cluster} was asked`);
  if (second === undefined) return only;
  const reasons = failures.map((failure) => failure.message.slice(`${call.what}: `.length));
  return new RequestError(`${call.what}: no endpoint of cluster ${cluster} answers — ${reasons.join('; ')}`, {
    failure: only.failure,
    outcome: failures.every((failure) => failure.outcome === 'not-sent') ? 'not-sent' : 'unknown',
    hint: only.hint,
    cause: failures,
  });
}
