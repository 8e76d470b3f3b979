/** Ways to make a node provably off, as they are written in the inventory. */
import * as z from 'zod';
import { agent } from './fence-agent.ts';
import * as f from './fields.ts';
import { tls } from './tls.ts';
import type { FenceConfig } from './types.ts';

const MANUAL_MS = 1_800_000;
const HTTP_MS = 10_000;

const timeout = f.duration({ maxMs: 600_000 }).optional();

const http = f
  .strict({
    off: f.httpCall.describe(
      'The call that switches the node off: a URL, or a mapping with method and body.',
    ),
    status: f.httpStatusCall.describe('The call that reads the state back.'),
    user: z.string().min(1).max(200).optional().describe('User for HTTP basic authentication.'),
    password: f.secretRef
      .optional()
      .describe('Its password: env:NAME or file:PATH, never the password itself.'),
    timeout: timeout.describe('Of one call. Default 10s.'),
  })
  .transform(({ off, status, user, password, timeout: timeoutMs }): FenceConfig => ({
    driver: 'http',
    off,
    status,
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
    url: controller.describe('https address of the management controller (iDRAC, iLO, XCC …).'),
    system: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('Id of the machine below /redfish/v1/Systems. Default: the only one.'),
    user: z.string().min(1).max(200).describe('Its user; the role Operator is enough.'),
    password: f.secretRef.describe('Its password: env:NAME or file:PATH, never the password itself.'),
    tls: tls.optional().describe('How its certificate is checked.'),
    timeout: timeout.describe('Of one question. Default 10s.'),
  })
  .transform(({ url, system, user, password, tls: how, timeout: timeoutMs }): FenceConfig => ({
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
      .describe('How long a `fence confirm` holds. Default 30m.'),
  })
  .transform(({ valid }): FenceConfig => ({ driver: 'manual', validMs: valid ?? MANUAL_MS }));

/** One fence driver: the word `manual`, or a mapping with the name of one. */
export const fence = z.union([
  // No enum: its issue would not tell a wrong word from a mapping.
  z
    .string()
    .meta({ enum: ['manual'] })
    .transform((value, context): FenceConfig => {
      if (value === 'manual') return { driver: 'manual', validMs: MANUAL_MS };
      return f.refuse(
        context,
        'is not a fence driver',
        'use manual, { http: … }, { agent: … } or { redfish: … }',
      );
    }),
  f
    .strict({
      http: http.optional().describe('A smart plug or the like with an HTTP API.'),
      agent: agent.optional().describe('A program of the fence-agents packages: IPMI, PDUs, libvirt …'),
      redfish: redfish.optional().describe('A management controller with Redfish.'),
      manual: manual.optional().describe('A person says `fence confirm NODE`.'),
    })
    .transform((given, context): FenceConfig => {
      const named = Object.values(given).filter((one) => one !== undefined);
      const [only, second] = named;
      if (only !== undefined && second === undefined) return only;
      return f.refuse(
        context,
        'must name one fence driver',
        'give exactly one of http, agent, redfish, manual per list entry',
      );
    }),
]);
