/** How the certificate of an API or of a management controller is checked. */
import * as z from 'zod';
import { parseFingerprint } from './addresses.ts';
import * as f from './fields.ts';
import type { Tls } from './types.ts';

const fingerprint = z
  .string()
  .meta({ pattern: '^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$' })
  .transform((value, context): string => {
    const fix = 'write its 64 hexadecimal digits, with or without colons';
    return parseFingerprint(value) ?? f.refuse(context, 'is not a SHA-256 fingerprint', fix);
  });

const fingerprints = z.union([
  fingerprint.transform((one): string[] => [one]),
  z.array(fingerprint).min(1).max(64),
]);

/** How a certificate is checked, as it is written. */
export const tls = f
  .strict({
    fingerprint: fingerprints
      .optional()
      .describe(
        'SHA-256 of the certificate, or a list with that of each node: an endpoint must show one of them. The safest choice.',
      ),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file: inside the inventory folder, or an absolute path on the runner.')
      .meta({ written: ['/etc/proxwarden/pve-root-ca.pem'] }),
    insecure: z
      .boolean()
      .optional()
      .describe('true: any certificate is accepted, and anyone in between gets the token or password.'),
  })
  .transform((given, context): Tls => {
    const ways: Tls[] = [];
    if (given.fingerprint !== undefined) ways.push({ kind: 'fingerprint', sha256: given.fingerprint });
    if (given.ca !== undefined) ways.push({ kind: 'ca', path: given.ca });
    if (given.insecure === true) ways.push({ kind: 'insecure' });
    if (ways.length > 1)
      return f.refuse(
        context,
        'says several ways to check the certificate',
        'keep one of fingerprint, ca, insecure',
      );
    return ways[0] ?? { kind: 'system' };
  });
