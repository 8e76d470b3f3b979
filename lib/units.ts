/** Durations and sizes as people write and read them. Inside the program: milliseconds and bytes. */
import { InputError } from './errors.ts';

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Ten years: more is a typing mistake, and sums of such numbers stay exact. */
const LONGEST_MS = 3650 * MS.d;
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** What `parseDuration` accepts, for the JSON Schema. */
export const DURATION_PATTERN = '^[0-9]+(ms|s|m|h|d)$';

function has<T extends object>(table: T, key: string | undefined): key is keyof T & string {
  return key !== undefined && Object.hasOwn(table, key);
}

/** `500ms`, `90s`, `15m`, `24h` or `7d` as milliseconds. Throws InputError for anything else, a missing unit included. */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d+)([a-z]+)$/.exec(text) ?? [];
  if (digits === undefined || !has(MS, unit)) {
    throw new InputError('is not a duration', {
      hint: 'write a whole number with a unit: 500ms, 90s, 15m, 24h, 7d',
    });
  }
  const ms = Number(digits) * MS[unit];
  if (ms > LONGEST_MS) throw new InputError('is longer than ten years', { hint: 'write a shorter duration' });
  return ms;
}

/** Milliseconds for people, two units at most: `500 ms`, `1.5 s`, `1 min 30 s`, `4 h 2 min`, `2 d 3 h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (Math.round(ms) === 0) return '0 s';
  if (Math.round(ms) < MS.s) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${Number((ms / MS.s).toFixed(1))} s`;
  // Rounded to the smaller of the two units first, so that 119.9 s is `2 min` and never `1 min 60 s`.
  const seconds = Math.round(ms / MS.s);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(seconds, 60, 'min', 's');
  const minutes = Math.round(ms / MS.m);
  if (minutes < 1440) return pair(minutes, 60, 'h', 'min');
  return pair(Math.round(ms / MS.h), 24, 'd', 'h');
}

function pair(amount: number, base: number, large: string, small: string): string {
  const rest = amount % base;
  const whole = `${Math.floor(amount / base)} ${large}`;
  return rest === 0 ? whole : `${whole} ${rest} ${small}`;
}

/** `512B`, `64KiB`, `10GiB`, `1.5 GiB` as bytes. Throws InputError for anything else. */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text) ?? [];
  if (digits === undefined || !has(BYTES, unit)) {
    throw new InputError('is not a size', {
      hint: 'write a number with a unit: 512B, 64KiB, 100MiB, 10GiB, 2TiB',
    });
  }
  const bytes = Math.round(Number(digits) * BYTES[unit]);
  if (!Number.isSafeInteger(bytes))
    throw new InputError('is too large a size', { hint: 'write a smaller size' });
  return bytes;
}

/** Bytes for people: `0 B`, `512 B`, `1.5 GiB`, `120 GiB`. */
export function formatSize(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'unknown';
  if (bytes < 0) return `-${formatSize(-bytes)}`;
  let value = Math.round(bytes);
  let unit = 'B';
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (shorten(value) < 1024) break;
    value /= 1024;
    unit = larger;
  }
  return `${shorten(value)} ${unit}`;
}

function shorten(value: number): number {
  return value < 100 ? Number(value.toFixed(1)) : Math.round(value);
}
