/** The log of a scenario: who said what when, without what differs from one machine to the next. */
import type { LabEvent } from '../../../lib/lab/types.ts';

const START = Date.UTC(2026, 10, 22, 12, 0, 0);

export class Log {
  readonly #lines: string[] = [];
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #folder: string;
  #plan: string | null = null;
  /** By lab, how many of its events. */
  readonly #shown = new Map<string, number>();
  /** Where the present command began. */
  #mark = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds what was said at `at` (epoch ms of the lab); several lines are aligned. */
  add(at: number, who: string, text: string): void {
    this.#plan = /^plan ([0-9a-f]{12}), holds/.exec(text)?.[1] ?? this.#plan;
    const lines = this.#normal(text).split('\n');
    lines.forEach((line, index) => {
      const head = index === 0 ? `${since(at).padEnd(9)} ${who.padEnd(5)}` : ' '.repeat(15);
      this.#lines.push(`${head} ${line}`.trimEnd());
    });
  }

  blank(): void {
    if (this.#lines.length > 0) this.#lines.push('');
  }

  /** Adds a lab's events that haven't been shown. */
  events(events: readonly LabEvent[], who = 'lab'): void {
    for (const event of events.slice(this.#shown.get(who) ?? 0)) this.add(event.at, who, event.text);
    this.#shown.set(who, events.length);
  }

  mark(): void {
    this.#mark = this.#lines.length;
  }

  /** What has been said since the last mark. */
  recent(): string {
    return this.#lines.slice(this.#mark).join('\n');
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  /** The plan's id that was printed last, as it really is. */
  lastPlan(): string | null {
    return this.#plan;
  }

  #normal(text: string): string {
    return text
      .replaceAll(this.#folder, '')
      .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, '')
      .replaceAll(/op-\d{8}T\d{6}-[0-9a-f]{6}/g, (id) => this.#name('op', id))
      .replaceAll(/(?<=plan )[0-9a-f]{12}/g, (id) => this.#name('plan', id))
      .replaceAll(/(?<=--plan )[0-9a-f]{12}/g, (id) => this.#name('plan', id))
      .replaceAll(/UPID:(\w+):[0-9A-F]+:[0-9A-F]+:[0-9A-F]+:(\w+):(\d*):[^:\s]+:/g, 'UPID:$1:$2:$3')
      .replaceAll(/vzdump-lxc-(\d+)-(\d{4})_(\d\d)_(\d\d)-(\d\d)_(\d\d)_(\d\d)\.tar\.zst/g, archiveName)
      .replaceAll(/(noted: |confirmed by )\S+(?= says|\)| )/g, '$1SOMEBODY')
      .replaceAll(/\b(process|pid) \d+ on \S+/g, '$1 N on HOST');
  }

  /** `op#1`, `op#2` … in the order of their appearance. */
  #name(kind: string, id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#names.set(id, `${kind}#${count}`);
    return `${kind}#${count}`;
  }
}

/** `+1m05s` since the scenario began. */
export function since(at: number): string {
  const seconds = Math.floor(Math.abs(at - START) / 1000);
  const sign = at < START ? '-' : '+';
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${sign}${hours > 0 ? `${hours}h` : ''}${rest}`;
}

/** A backup's name tells its time; here, when it was made relative to the start. */
function archiveName(_: string, vmid: string, ...parts: string[]): string {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.slice(0, 6).map(Number);
  return `backup-of-${vmid}(${since(Date.UTC(year, month - 1, day, hour, minute, second))})`;
}
