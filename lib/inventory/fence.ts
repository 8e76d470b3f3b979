/** Ways to make a node provably off, as they are written in the inventory. */
import * as z from 'zod';
import * as f from './fields.ts';
import type { FenceConfig } from './types.ts';

const MANUAL_MS = 1_800_000;

/** One fence driver: `manual`, `{ manual: … }` or `{ http: … }`. */
export const fence = z.union([
  // No enum: its issue would not tell a wrong word from a mapping.
  z
    .string()
    .meta({ enum: ['manual'] })
    .transform((value, context): FenceConfig => {
      if (value === 'manual') return { driver: 'manual', validMs: MANUAL_MS };
      return f.refuse(context, 'is not a fence driver', 'use manual, { manual: … } or { http: … }');
    }),
  f
    .strict({
      http: f
        .strict({
          off: f.httpCall.describe(
            'The call that switches the node off: a URL, or a mapping with method and body.',
          ),
          status: f.httpStatusCall.describe('The call that reads the state back.'),
          user: z.string().min(1).max(200).optional().describe('User for HTTP basic authentication.'),
          password: f.secretRef
            .optional()
            .describe('Its password: env:NAME or file:PATH, never the password itself.'),
          timeout: f.duration({ maxMs: 600_000 }).optional().describe('Of one call. Default 10s.'),
        })
        .optional()
        .describe('A smart plug or the like with an HTTP API.'),
      manual: f
        .strict({
          valid: f
            .duration({ maxMs: 86_400_000 })
            .optional()
            .describe('How long a `fence confirm` holds. Default 30m.'),
        })
        .optional()
        .describe('A person says `fence confirm NODE`.'),
    })
    .transform((given, context): FenceConfig => {
      if ((given.http === undefined) === (given.manual === undefined)) {
        return f.refuse(
          context,
          'must name one fence driver',
          'give exactly one of http, manual per list entry',
        );
      }
      if (given.http === undefined) return { driver: 'manual', validMs: given.manual?.valid ?? MANUAL_MS };
      const { off, status, user, password, timeout } = given.http;
      return {
        driver: 'http',
        off,
        status,
        timeoutMs: timeout ?? 10_000,
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { password }),
      };
    }),
]);
