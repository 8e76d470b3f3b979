/** Perl doesn't keep numbers and strings apart: both are accepted where either may come. */
import * as z from 'zod';
import { isReserved, plainText } from '../text.ts';
import { parseUpid } from './upid.ts';

/** A number that can be reckoned with: what is larger than any size in bytes is none. */
export const number = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^-?\d+(?:\.\d+)?$/)
      .transform(Number),
  ])
  .refine((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER);
/** vmids and the like. */
export const whole = number.refine(Number.isInteger);
/** A moment as PVE writes it, seconds since the epoch: before the year 10000, so that dates can be made of it. */
export const seconds = number.refine((value) => value >= 0 && value < 253_402_300_800);
export const text = z.union([z.string(), z.number()]).transform(String);
/** A line that programs have written; it is shown to people. */
export const line = z.string().transform((written) => plainText(written, 1000));
export const flag = z
  .union([z.boolean(), z.number(), z.string()])
  .transform((value) => value === true || Number(value) === 1);

/** Names as Proxmox VE makes them. They become parts of requests, of file names and of what a shell is given. */
export const nodeName = named(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/);
export const storageId = named(/^[a-zA-Z][a-zA-Z0-9_.-]{0,98}[a-zA-Z0-9]$/);
/** A UPID. */
export const taskId = z.string().refine((upid) => parseUpid(upid) !== null, { error: 'is no UPID' });

function named(pattern: RegExp) {
  return text.refine((name) => pattern.test(name) && !isReserved(name), {
    error: 'is no name that it can have',
  });
}
