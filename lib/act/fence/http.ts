/** Smart plugs and power strips with an HTTP interface: one call switches off, another one reads back. */
import type { Dispatcher } from 'undici';
import * as z from 'zod';
import { withDeadline } from '../../clock.ts';
import { fenceName } from '../../decide/power.ts';
import { FailedError, messageOf } from '../../errors.ts';
import { readSecret } from '../../inventory/secrets.ts';
import type { HttpCall, SwitchConfig } from '../../inventory/types.ts';
import type { Runtime } from '../../runtime.ts';
import { plainText } from '../../text.ts';
import { digestAuthorization } from './digest.ts';
import type { PowerSwitch } from './driver.ts';

type HttpFence = Extract<SwitchConfig, { driver: 'http' }>;

/** An answer longer than this is no answer of a plug. */
const BODY_MAX = 65_536;

/** A driver for one plug. Its answers must be JSON; `status.field` says where the power state is in them. */
export function createHttpFence(
  config: HttpFence,
  runtime: Pick<Runtime, 'clock' | 'env' | 'httpDispatcher' | 'randomHex'>,
): PowerSwitch {
  async function call(what: HttpCall, signal: AbortSignal | undefined): Promise<string> {
    // Loaded and made before the clock runs.
    const { request } = await import('../../undici.ts');
    const dispatcher = await runtime.httpDispatcher();
    const send: Send = (authorization, inner) =>
      request(what.url, {
        dispatcher,
        method: what.method,
        headers: {
          ...(authorization === null ? {} : { authorization }),
          ...(what.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: what.body ?? null,
        signal: inner,
      });
    return withDeadline(runtime.clock, config.timeoutMs, signal, async (inner) => {
      const login = loginOf(config, runtime.env);
      const basic = login === null || config.auth === 'digest' ? null : basicAuthorization(login);
      let answer = await answerOf(send(basic, inner));
      // What it has refused it has not done: asked once more, with the answer to its challenge.
      if (answer.status === 401 && login !== null && config.auth === 'digest') {
        const { pathname, search } = new URL(what.url);
        const proof = digestAuthorization({
          challenge: String(answer.headers['www-authenticate'] ?? ''),
          method: what.method,
          uri: `${pathname}${search}`,
          ...login,
          cnonce: runtime.randomHex(8),
        });
        if (proof === null) throw new FailedError('it asks for a login of another kind than digest');
        answer = await answerOf(send(proof, inner));
      }
      if (answer.status === 401)
        throw new FailedError(
          login === null ? 'it wants a password (401)' : `it refuses user ${login.user} (401)`,
        );
      if (answer.status >= 300) throw new FailedError(`it answers ${answer.status}`);
      return answer.text;
    });
  }

  async function order(what: HttpCall, signal: AbortSignal | undefined): Promise<void> {
    try {
      await call(what, signal);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new FailedError(
        `the plug at ${new URL(what.url).host} does not take the order: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  const { on } = config;
  return {
    name: fenceName(config),
    async status(signal) {
      let text: string;
      try {
        text = await call(config.status, signal);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        return { power: 'unknown', detail: `${new URL(config.status.url).host}: ${messageOf(error)}` };
      }
      const value = fieldOf(text, config.status.field);
      if (value === undefined)
        return { power: 'unknown', detail: `its answer has no field ${config.status.field}` };
      return {
        power: value === config.status.off ? 'off' : 'on',
        detail: `${config.status.field}=${plainText(String(value))}`,
      };
    },
    off: (signal) => order(config.off, signal),
    on: on === undefined ? null : (signal) => order(on, signal),
  };
}

type Send = (authorization: string | null, signal: AbortSignal) => Promise<Dispatcher.ResponseData>;

async function answerOf(request: ReturnType<Send>) {
  const response = await request;
  let text = '';
  for await (const chunk of response.body) {
    text += String(chunk);
    if (text.length > BODY_MAX) throw new FailedError('the answer is too long for a plug');
  }
  return { status: response.statusCode, headers: response.headers, text };
}

interface Login {
  readonly user: string;
  readonly password: string;
}

function loginOf(config: HttpFence, env: Runtime['env']): Login | null {
  if (config.user === undefined || config.password === undefined) return null;
  return { user: config.user, password: readSecret(config.password, env) };
}

function basicAuthorization({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
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
