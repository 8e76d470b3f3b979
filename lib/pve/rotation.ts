/**
 * Which endpoint is asked. Reads go to the used one and, when no complete answer comes, to the others in order; an
 * answer, whatever it says, is never asked for elsewhere. Writes go to the used one only, once.
 */
import type * as z from 'zod';
import type { Clock } from '../clock.ts';
import { InputError } from '../errors.ts';
import type { CallOptions } from './api.ts';
import { isNetworkFailure, RequestError } from './failure.ts';
import type { Call, Transport } from './transport.ts';

/** An endpoint that gave no answer is left out for so long, so that a dead one costs its deadline once, not per call. */
const DEAD_MS = 60_000;

export interface Rotation {
  readonly use: (endpoint: string) => void;
  readonly used: () => string;
  readonly read: <T>(call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
  readonly write: <T>(call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
}

export function createRotation(options: {
  cluster: string;
  endpoints: readonly string[];
  transport: Transport;
  clock: Clock;
}): Rotation {
  const { cluster, endpoints, transport, clock } = options;
  const [first] = endpoints;
  if (first === undefined)
    throw new InputError(`cluster ${cluster} has no API endpoint: give at least one in api.endpoints`);
  let used = first;
  const deadSince = new Map<string, number>();

  /** The used one first; those that were silent lately are left out, unless all were: then the used one is tried. */
  function candidates(): string[] {
    const now = clock.now();
    const order = [used, ...endpoints.filter((endpoint) => endpoint !== used)];
    const alive = order.filter((endpoint) => now - (deadSince.get(endpoint) ?? -Infinity) >= DEAD_MS);
    return alive.length === 0 ? [used] : alive;
  }

  async function read<T>(call: Call, schema: z.ZodType<T>, callOptions?: CallOptions): Promise<T> {
    const failures: RequestError[] = [];
    for (const endpoint of candidates()) {
      try {
        const data = await transport.send(endpoint, call, schema, callOptions);
        deadSince.delete(endpoint);
        return data;
      } catch (error) {
        if (!isNetworkFailure(error)) throw error;
        failures.push(error);
        // Silence after the request was sent may be that of the node behind this endpoint: it isn't held against it.
        const peerMayHang = error.failure === 'timeout' && error.outcome === 'unknown' && call.node !== null;
        if (!peerMayHang) deadSince.set(endpoint, clock.now());
      }
    }
    throw combined(cluster, call, failures);
  }

  function write<T>(call: Call, schema: z.ZodType<T>, callOptions?: CallOptions): Promise<T> {
    return transport.send(used, call, schema, callOptions);
  }

  return {
    use(endpoint) {
      if (!endpoints.includes(endpoint))
        throw new Error(`${endpoint} is not an endpoint of cluster ${cluster}`);
      used = endpoint;
      deadSince.delete(endpoint);
    },
    used: () => used,
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
