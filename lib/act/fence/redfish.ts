/**
 * Management controllers that speak Redfish (iDRAC, iLO 5, XCC, Supermicro …), DMTF DSP0266: `PowerState` of a
 * ComputerSystem is read, `ComputerSystem.Reset` with ForceOff switches off.
 */
import * as z from 'zod';
import { withDeadline } from '../../clock.ts';
import { FailedError, messageOf } from '../../errors.ts';
import { readSecret } from '../../inventory/secrets.ts';
import type { SwitchConfig } from '../../inventory/types.ts';
import type { Runtime } from '../../runtime.ts';
import { plainText } from '../../text.ts';
import type { PowerSwitch } from './driver.ts';

type RedfishFence = Extract<SwitchConfig, { driver: 'redfish' }>;

/** The answers that are read here are a few KiB. */
const BODY_MAX = 1_048_576;
const SYSTEMS = '/redfish/v1/Systems';

const Collection = z.looseObject({ Members: z.array(z.looseObject({ '@odata.id': z.string() })) });
const System = z.looseObject({
  PowerState: z.string().nullish(),
  Actions: z
    .looseObject({ '#ComputerSystem.Reset': z.looseObject({ target: z.string() }).optional() })
    .optional(),
});

/** A driver for one machine behind one controller. */
export function createRedfishFence(
  config: RedfishFence,
  runtime: Pick<Runtime, 'clock' | 'env' | 'dispatcher'>,
): PowerSwitch {
  async function call(path: string, body: object | null, signal: AbortSignal): Promise<string> {
    const { request } = await import('../../undici.ts');
    const pair = `${config.user}:${readSecret(config.password, runtime.env)}`;
    const response = await request(`${config.url}${path}`, {
      dispatcher: await runtime.dispatcher(config.url, config.tls),
      method: body === null ? 'GET' : 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
        accept: 'application/json',
        ...(body === null ? {} : { 'content-type': 'application/json' }),
      },
      body: body === null ? null : JSON.stringify(body),
      signal,
    });
    let text = '';
    for await (const chunk of response.body) {
      text += String(chunk);
      if (text.length > BODY_MAX) throw new FailedError('the answer is too long');
    }
    if (response.statusCode === 401 || response.statusCode === 403)
      throw new FailedError(`it refuses user ${config.user} (${response.statusCode})`);
    if (response.statusCode >= 300) throw new FailedError(`it answers ${response.statusCode} to ${path}`);
    return text;
  }

  /** The machine's own resource: the one that is named, or the only one there is. */
  async function systemPath(signal: AbortSignal): Promise<string> {
    if (config.system !== undefined) return `${SYSTEMS}/${encodeURIComponent(config.system)}`;
    const { Members: members } = parsed(Collection, await call(SYSTEMS, null, signal), SYSTEMS);
    const [only, second] = members;
    if (only === undefined) throw new FailedError('it knows no machine');
    if (second !== undefined)
      throw new FailedError(
        `it knows ${members.length} machines: name one with \`system\` (${plainText(members.map((m) => m['@odata.id'].split('/').at(-1) ?? '').join(', '))})`,
      );
    return ownPath(only['@odata.id']);
  }

  function within<T>(signal: AbortSignal | undefined, work: (inner: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(runtime.clock, config.timeoutMs, signal, work);
  }

  async function reset(
    { turn, type }: { turn: 'off' | 'on'; type: 'ForceOff' | 'On' },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await within(signal, async (inner) => {
        const path = await systemPath(inner);
        const system = parsed(System, await call(path, null, inner), path);
        // Many answer an error to the order when it is so already.
        if (system.PowerState === (turn === 'off' ? 'Off' : 'On')) return;
        const target = system.Actions?.['#ComputerSystem.Reset']?.target;
        await call(ownPath(target ?? `${path}/Actions/ComputerSystem.Reset`), { ResetType: type }, inner);
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new FailedError(
        `the controller at ${new URL(config.url).host} does not switch ${turn}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  return {
    name: 'redfish',
    async status(signal) {
      try {
        return await within(signal, async (inner) => {
          const path = await systemPath(inner);
          const state = parsed(System, await call(path, null, inner), path).PowerState ?? null;
          if (state === null) return { power: 'unknown', detail: `${path} has no PowerState` };
          // PoweringOff, Paused and what a vendor may add are not off.
          return { power: state === 'Off' ? 'off' : 'on', detail: `PowerState=${plainText(state)}` };
        });
      } catch (error) {
        if (signal?.aborted === true) throw error;
        return { power: 'unknown', detail: `${new URL(config.url).host}: ${messageOf(error)}` };
      }
    },
    off: (signal) => reset({ turn: 'off', type: 'ForceOff' }, signal),
    on: (signal) => reset({ turn: 'on', type: 'On' }, signal),
  };
}

/** A link in an answer must stay on the controller: the password goes with the request. */
function ownPath(link: string): string {
  if (!/^\/[^/]/.test(link)) throw new FailedError('its answer points to another machine');
  if (!/^[!-~]{1,300}$/.test(link)) throw new FailedError('its answer has a link that is none');
  return link.replace(/\/$/, '');
}

function parsed<T>(schema: z.ZodType<T>, text: string, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FailedError(`its answer to ${path} is not JSON`);
  }
  const found = schema.safeParse(value);
  if (!found.success) throw new FailedError(`its answer to ${path} is not Redfish`);
  return found.data;
}
