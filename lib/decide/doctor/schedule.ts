/**
 * How long a calendar event of Proxmox VE (a subset of systemd's) can be between two runs. Pure. Weekdays and times of
 * day are understood; for a date (`*-*-01`) the answer is null.
 */
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const WORDS: Readonly<Record<string, number>> = {
  minutely: 60_000,
  hourly: HOUR_MS,
  daily: DAY_MS,
  weekly: 7 * DAY_MS,
  monthly: 31 * DAY_MS,
  quarterly: 92 * DAY_MS,
  semiannually: 184 * DAY_MS,
  'semi-annually': 184 * DAY_MS,
  yearly: 366 * DAY_MS,
  annually: 366 * DAY_MS,
};

/** The longest time between two runs, milliseconds; null: it can't be told. */
export function longestGap(schedule: string): number | null {
  const words = schedule.trim().toLowerCase().split(/\s+/);
  const [only] = words;
  if (words.length === 1 && only !== undefined && Object.hasOwn(WORDS, only)) return WORDS[only] ?? null;
  const times = words.filter((word) => word.includes(':') || /^[*\d]/.test(word));
  const days = words.filter((word) => !times.includes(word));
  const [time = '0:0', second] = times;
  if (second !== undefined || days.length > 1 || /-/.test(time)) return null;
  const minutes = minutesOfDay(time);
  const weekdays = weekdaysOf(days[0] ?? 'mon..sun');
  if (minutes === null || weekdays === null) return null;
  const moments = weekdays
    .flatMap((day) => minutes.map((minute) => day * 1440 + minute))
    .toSorted((a, b) => a - b);
  const [first] = moments;
  if (first === undefined) return null;
  const next = [...moments.slice(1), first + 7 * 1440];
  return Math.max(...moments.map((moment, index) => (next[index] ?? moment) - moment)) * 60_000;
}

function weekdaysOf(text: string): number[] | null {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const [from = '', to = from] = part.split(/\.\.|-/).map((day) => day.slice(0, 3));
    const [a, b] = [DAYS.indexOf(from), DAYS.indexOf(to)];
    if (a < 0 || b < 0) return null;
    for (let day = a; day !== (b + 1) % 7 || found.size === 0; day = (day + 1) % 7) {
      found.add(day);
      if (day === b) break;
    }
  }
  return [...found];
}

/** `22:30`, `2,14:00`, `0/6:00`; a lone number or pattern counts minutes of each hour (the step of `*` + `/15`). */
function minutesOfDay(text: string): number[] | null {
  const parts = text.split(':');
  const [hourText, minuteText] =
    parts.length === 1 ? ['*', parts[0] ?? ''] : [parts[0] ?? '', parts[1] ?? ''];
  const hours = valuesOf(hourText, 24);
  const minutes = valuesOf(minuteText, 60);
  if (hours === null || minutes === null) return null;
  return hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
}

function valuesOf(text: string, end: number): number[] | null {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const [, range = '', step] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(range) ?? [];
    if (range !== '*' && from === undefined) return null;
    const first = range === '*' ? 0 : Number(from);
    const last = range === '*' || (step !== undefined && to === undefined) ? end - 1 : Number(to ?? from);
    const by = Number(step ?? 1);
    if (by < 1 || first >= end || last >= end) return null;
    for (let value = first; value <= last; value += by) found.add(value);
  }
  return [...found];
}
