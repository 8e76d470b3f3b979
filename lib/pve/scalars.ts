/** Perl doesn't keep numbers and strings apart: both are accepted where either may come. */
import * as z from 'zod';

export const number = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+(?:\.\d+)?$/)
    .transform(Number),
]);
export const text = z.union([z.string(), z.number()]).transform(String);
export const flag = z
  .union([z.boolean(), z.number(), z.string()])
  .transform((value) => value === true || Number(value) === 1);
