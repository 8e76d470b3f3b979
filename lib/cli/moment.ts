/** When something ends that a person begins: `--for 2h`, `--until 06:00`. */
import { InputError } from '../errors.ts';
import { parseDuration } from '../units.ts';

const DAY_MS = 86_400_000;

export interface EndFlags {
  readonly for?: string | undefined;
  readonly until?: string | undefined;
}

/** The moment (epoch ms) that the flags name; null: they name none. Throws InputError for one that isn't in the future. */
export function endOf(flags: EndFlags, now: number): number | null {
  if (flags.for !== undefined && flags.until !== undefined)
    throw new InputError("--for and --until don't go together");
  const named = flags.for === undefined ? '--until' : '--for';
  const text = flags.for ?? flags.until;
  if (text === undefined) return null;
  const end = flags.for === undefined ? parseMoment(text, now) : now + durationOf(text);
  if (end <= now) throw new InputError(`${named} ${text} is over already`);
  return end;
}

function durationOf(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`--for ${text} ${error.message}`, { hint: error.hint });
  }
}

/** `06:00` is the next one on this machine's clock; a date without a zone is meant in this machine's, too. */
function parseMoment(text: string, now: number): number {
  const [, hours, minutes] = /^(\d{1,2}):(\d\d)$/.exec(text) ?? [];
  if (hours !== undefined && minutes !== undefined && Number(hours) < 24 && Number(minutes) < 60) {
    const today = new Date(now).setHours(Number(hours), Number(minutes), 0, 0);
    // Not 24 hours later: a night may have 23 or 25.
    return today > now ? today : new Date(now + DAY_MS).setHours(Number(hours), Number(minutes), 0, 0);
  }
  const written = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/.test(text);
  const at = written ? Date.parse(text.replace(' ', 'T')) : Number.NaN;
  if (Number.isNaN(at))
    throw new InputError(`--until ${text} is no time`, {
      hint: "write 06:00, or 2026-12-01T06:00 (this machine's time), or 2026-12-01T06:00Z",
    });
  return at;
}
