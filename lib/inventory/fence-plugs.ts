/** Smart plugs that need no calls spelled out: each becomes what `http:` would have said. */
import * as z from 'zod';
import * as f from './fields.ts';
import type { HttpCall, SecretRef, SwitchConfig } from './types.ts';

type Plug = Extract<SwitchConfig, { driver: 'http' }>;

const PLUG_MS = 10_000;

const host = z
  .string()
  .max(260)
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?)(:[0-9]{1,5})?$/, {
    error: f.said('must be an address or a name, with a port if it is not 80', 'for example 10.0.0.71'),
  });

const common = {
  host: host.describe('Its address, `10.0.0.71` (or with a port).').meta({ written: ['10.0.0.71'] }),
  password: f.secretRef
    .optional()
    .describe('If it is protected: env:NAME or file:PATH, never the password itself.'),
  timeout: f.duration({ maxMs: 600_000 }).optional().describe('How long one call may take. Default 10s.'),
};

function get(address: string, path: string): HttpCall {
  return { url: `http://${address}${path}`, method: 'GET' };
}

function login(user: string, password: SecretRef | undefined): Pick<Plug, 'user' | 'password'> {
  return password === undefined ? {} : { user, password };
}

/** Gen1: Shelly's REST API and basic authentication. Gen2 and later: its RPC and digest authentication, always as `admin`. */
export const shelly = f
  .strict({
    ...common,
    gen: f.count(1, 9).describe('Its generation: 1 (Plug S), 2 (Plus), 3, 4. `http://HOST/shelly` says it.'),
    relay: f.count(0, 15).optional().describe('Which of its relays, from 0. Default 0.'),
    user: z.string().min(1).max(200).optional().describe('User name, for generation 1 only. Default admin.'),
  })
  .transform(({ host: at, gen, relay = 0, user, password, timeout }, context): Plug => {
    const base = { driver: 'http', device: 'shelly', timeoutMs: timeout ?? PLUG_MS } as const;
    if (gen === 1)
      return {
        ...base,
        ...login(user ?? 'admin', password),
        off: get(at, `/relay/${relay}?turn=off`),
        on: get(at, `/relay/${relay}?turn=on`),
        status: { ...get(at, `/relay/${relay}`), field: 'ison', off: false },
      };
    if (user !== undefined)
      return f.refuse(context, 'has no user but admin from generation 2 on', 'leave user out', ['user']);
    return {
      ...base,
      ...login('admin', password),
      auth: 'digest',
      off: get(at, `/rpc/Switch.Set?id=${relay}&on=false`),
      on: get(at, `/rpc/Switch.Set?id=${relay}&on=true`),
      status: { ...get(at, `/rpc/Switch.GetStatus?id=${relay}`), field: 'output', off: false },
    };
  });

/** Tasmota's commands over HTTP. Its web password is taken as basic authentication (from 9.x on). */
export const tasmota = f
  .strict({
    ...common,
    relay: f
      .count(1, 32)
      .optional()
      .describe('Which of its relays, from 1, on a device with several: POWER1, POWER2 …'),
  })
  .transform(({ host: at, relay, password, timeout }): Plug => {
    const power = `Power${relay ?? ''}`;
    return {
      driver: 'http',
      device: 'tasmota',
      timeoutMs: timeout ?? PLUG_MS,
      ...login('admin', password),
      off: get(at, `/cm?cmnd=${power}%20Off`),
      on: get(at, `/cm?cmnd=${power}%20On`),
      status: { ...get(at, `/cm?cmnd=${power}`), field: power.toUpperCase(), off: 'OFF' },
    };
  });
