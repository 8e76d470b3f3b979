/** Ways to make a node provably off, as they are written in the inventory. */
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { agent } from './fence-agent.ts';
import { shelly, tasmota } from './fence-plugs.ts';
import * as f from './fields.ts';
import { tls } from './tls.ts';
import type { FenceConfig, SwitchConfig } from './types.ts';

const MANUAL_MS = 1_800_000;
const HTTP_MS = 10_000;

const timeout = f.duration({ maxMs: 600_000 }).optional();

const http = f
  .strict({
    off: f.httpCall.describe(
      'The call that switches the node off: a URL, or a mapping with method and body.',
    ),
    status: f.httpStatusCall.describe('The call that reads the state back.'),
    on: f.httpCall.optional().describe('The call that switches it on: for `fence on NODE`, a person.'),
    auth: z
      .enum(['basic', 'digest'])
      .optional()
      .describe('How user and password are shown to it. Default basic.'),
    user: z.string().min(1).max(200).optional().describe('User for HTTP authentication.'),
    password: f.secretRef
      .optional()
      .describe('Its password: env:NAME or file:PATH, never the password itself.'),
    timeout: timeout.describe('How long one call may take. Default 10s.'),
  })
  .transform(({ off, on, status, auth, user, password, timeout: timeoutMs }): SwitchConfig => ({
    driver: 'http',
    off,
    status,
    ...(on === undefined ? {} : { on }),
    ...(auth === undefined ? {} : { auth }),
    timeoutMs: timeoutMs ?? HTTP_MS,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
  }));

const controller = f.httpUrl.transform((value, context): string => {
  const url = new URL(value);
  if (url.protocol === 'https:' && url.pathname === '/' && url.search === '') return url.origin;
  return f.refuse(context, 'is not the address of a controller', 'write https://host, nothing after it');
});

const redfish = f
  .strict({
    url: controller
      .describe('https address of the management controller (iDRAC, iLO, XCC …).')
      .meta({ written: ['https://10.0.0.9'] }),
    system: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('Id of the machine below /redfish/v1/Systems. Default: the only one.'),
    user: z.string().min(1).max(200).describe('Its user; the role Operator is enough.'),
    password: f.secretRef.describe('Its password: env:NAME or file:PATH, never the password itself.'),
    tls: tls.optional().describe('How its certificate is checked.'),
    timeout: timeout.describe('How long one question may take. Default 10s.'),
  })
  .transform(({ url, system, user, password, tls: how, timeout: timeoutMs }): SwitchConfig => ({
    driver: 'redfish',
    url,
    user,
    password,
    tls: how ?? { kind: 'system' },
    timeoutMs: timeoutMs ?? HTTP_MS,
    ...(system === undefined ? {} : { system }),
  }));

const manual = f
  .strict({
    valid: f
      .duration({ maxMs: 86_400_000 })
      .optional()
      .describe('How long a `fence confirm` holds. Default 30m.')
      .meta({ written: ['30m'] }),
  })
  .transform(({ valid }): FenceConfig => ({ driver: 'manual', validMs: valid ?? MANUAL_MS }));

const switchShape = {
  http: http.optional().describe('A smart plug or the like with an HTTP API.'),
  shelly: shelly.optional().describe('A Shelly plug or relay.'),
  tasmota: tasmota.optional().describe('A plug or relay with Tasmota.'),
  agent: agent.optional().describe('A program of the fence-agents packages: IPMI, PDUs, libvirt …'),
  redfish: redfish.optional().describe('A management controller with Redfish.'),
};

/** The only driver that a mapping names. */
function onlyOne<T>(
  given: Readonly<Record<string, T | undefined>>,
  names: readonly string[],
  context: Parameters<typeof f.refuse>[0],
): T {
  const [only, second] = Object.values(given).filter((one) => one !== undefined);
  if (only !== undefined && second === undefined) return only;
  return f.refuse(
    context,
    'must name one fence driver',
    `give exactly one of ${names.join(', ')} per list entry`,
  );
}

/** Every one of them has to be off. */
const all = z
  .array(
    f.strict(switchShape).transform((given, context) => onlyOne(given, Object.keys(switchShape), context)),
  )
  .min(2)
  .max(8)
  .transform((of, context): FenceConfig => {
    const twice = of.findIndex((one, index) =>
      of.slice(0, index).some((other) => isDeepStrictEqual(one, other)),
    );
    return twice < 0
      ? { driver: 'all', of }
      : f.refuse(context, 'names the same switch twice', 'give each power supply its own', [twice]);
  });

const fenceShape = {
  ...switchShape,
  all: all.optional().describe('Several power supplies: off only when each of these says off.'),
  manual: manual.optional().describe('A person says `fence confirm NODE`.'),
};

/** Drivers without anything to say about them. */
const WORDS = ['ha-watchdog', 'pve', 'ssh'] as const;

/** One fence driver: a word, or a mapping with the name of one. */
export const fence = z.union([
  // No enum: its issue would not tell a wrong word from a mapping.
  z
    .string()
    .meta({ enum: ['manual', ...WORDS] })
    .transform((value, context): FenceConfig => {
      if (value === 'manual') return { driver: 'manual', validMs: MANUAL_MS };
      const word = WORDS.find((one) => one === value);
      if (word !== undefined) return { driver: word };
      return f.refuse(
        context,
        'is not a fence driver',
        `use manual, ${WORDS.join(', ')}, or a mapping with ${Object.keys(fenceShape).slice(0, -1).join(', ')}`,
      );
    }),
  f
    .strict(fenceShape)
    .transform((given, context): FenceConfig =>
      onlyOne<FenceConfig>(given, Object.keys(fenceShape), context),
    ),
]);
