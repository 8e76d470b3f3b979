/** Smart plugs and power strips with an HTTP interface: one call switches off, another one reads back. */
import * as z from 'zod';
import { withDeadline } from '../../clock.ts';
import { FailedError, messageOf } from '../../errors.ts';
import { readSecret } from '../../inventory/secrets.ts';
import type { FenceConfig, HttpCall } from '../../inventory/types.ts';
import type { Runtime } from '../../runtime.ts';
import type { FenceDriver } from './driver.ts';

type HttpFence = Extract<FenceConfig, { driver: 'http' }>;

/** An answer longer than this is no answer of a plug. */
const BODY_MAX = 65_536;

/** A driver for one plug. Its answers must be JSON; `status.field` says where the power state is in them. */
export function createHttpFence(
  config: HttpFence,
  runtime: Pick<Runtime, 'clock' | 'env' | 'httpDispatcher'>,
): FenceDriver {
  async function call(what: HttpCall, signal: AbortSignal | undefined): Promise<string> {
    const { request } = await import('../../undici.ts');
    const dispatcher = await runtime.httpDispatcher();
    return withDeadline(runtime.clock, config.timeoutMs, signal, async (inner) => {
      const response = await request(what.url, {
        dispatcher,
        method: what.method,
        headers: {
          ...authorization(config, runtime.env),
          ...(what.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: what.body ?? null,
        signal: inner,
      });
      let text = '';
      for await (const chunk of response.body) {
        text += String(chunk);
        if (text.length > BODY_MAX) throw new FailedError('the answer is too long for a plug');
      }
      if (response.statusCode >= 300) throw new FailedError(`it answers ${response.statusCode}`);
      return text;
    });
  }

  return {
    name: 'http',
    async status(signal) {
      let text: string;
      try {
        text = await call(config.status, signal);
      } catch (error) {
        return { power: 'unknown', detail: `${new URL(config.status.url).host}: ${messageOf(error)}` };
      }
      const value = fieldOf(text, config.status.field);
      if (value === undefined)
        return { power: 'unknown', detail: `its answer has no field ${config.status.field}` };
      return {
        power: value === config.status.off ? 'off' : 'on',
        detail: `${config.status.field}=${String(value)}`,
      };
    },
    async off(signal) {
      try {
        await call(config.off, signal);
      } catch (error) {
        throw new FailedError(
          `the plug at ${new URL(config.off.url).host} does not take the order: ${messageOf(error)}`,
          { cause: error },
        );
      }
    },
  };
}

function authorization(config: HttpFence, env: Runtime['env']): Record<string, string> {
  if (config.user === undefined || config.password === undefined) return {};
  const pair = `${config.user}:${readSecret(config.password, env)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

const Scalar = z.union([z.string(), z.number(), z.boolean()]);
const Node = z.record(z.string(), z.unknown());

/** The value at `path` (dots go deeper) of a JSON text, or undefined. */
function fieldOf(text: string, path: string): string | number | boolean | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  for (const name of path.split('.')) {
    const node = Node.safeParse(value);
    if (!node.success || !Object.hasOwn(node.data, name)) return undefined;
    value = node.data[name];
  }
  const scalar = Scalar.safeParse(value);
  return scalar.success ? scalar.data : undefined;
}
