import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabRequest, LabResponse, WorldSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { countingHex } from '../lab/world.ts';
import { Normaliser } from './normalise.ts';
import { recorded, type Entry } from './recordings.ts';

type Form = NonNullable<NonNullable<Entry['request']>['form']>;

/** A stretch of recordings that is replayed in one lab. */
export interface Part {
  readonly files: readonly string[];
  readonly world: WorldSpec;
  /** Epoch seconds at which the lab starts. */
  readonly start: number;
  /** What happened on the genuine cluster outside of the API, before the entry of that name (or `#index`). */
  readonly before?: Readonly<Record<string, (replay: Replay) => Promise<void> | void>>;
  /** Entries that can't be replayed, by a pattern of `file: name` or of `file#index`, each with the reason. */
  readonly skip: readonly (readonly [pattern: RegExp, reason: string])[];
  /** The authorization header of an entry, or TICKET; default: as recorded. */
  readonly auth?: (file: string, entry: Entry) => string | undefined;
  /** Where calls arrive; default pve1. */
  readonly arrival?: string;
}

export interface Outcome {
  readonly where: string;
  readonly result: 'equal' | 'different' | 'skipped';
  /** Why it was skipped, or both answers. */
  readonly detail: string;
}

/** Ten times faster than life: what takes the lab longer than the genuine cluster does no harm. */
const SPEED = 10;

/** A part may last longer than a ticket does. */
const TICKET_MS = 3_600_000 / SPEED;
export const TICKET = 'ticket root@pam';
const LoggedIn = z.object({ data: z.object({ ticket: z.string(), CSRFPreventionToken: z.string() }) });
/** Headers that entries are about, and that were not recorded. */
const SPOILT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'bad cookie': { cookie: 'PVEAuthCookie=PVE:root@pam:6B034E70::bad' },
  'ticket with bad CSRF token': { csrfpreventiontoken: '6B034E70:bad' },
};

export class Replay {
  readonly part: Part;
  readonly clock: VirtualClock;
  readonly lab: Lab;
  readonly #normal = new Normaliser();
  /** Recorded UPIDs and archive names, and what they are in the lab. */
  readonly #names = new Map<string, string>();
  readonly outcomes: Outcome[] = [];
  #headers: Record<string, string> = {};
  #loggedInAt = -Infinity;
  /** The lab's /etc/pve: what a shell on a node did there, a part does here. */
  readonly configDir = mkdtempSync(join(tmpdir(), 'replay-'));

  constructor(part: Part) {
    this.part = part;
    this.clock = new VirtualClock(part.start * 1000);
    this.lab = new Lab({
      clock: this.clock,
      world: part.world,
      randomHex: countingHex(),
      speed: SPEED,
      configDir: this.configDir,
    });
  }

  /** Lets simulated seconds pass. */
  async pass(seconds: number): Promise<void> {
    await this.clock.advance((seconds * 1000) / SPEED);
  }

  /** Does what the recordings' tools did without recording it, and waits until its task is over. */
  async does(method: string, path: string, arrival = 'pve1'): Promise<void> {
    const headers = await this.#ticket(arrival);
    const answer = await this.#ask(arrival, { method, path: `/api2/json${path}`, headers, body: '' });
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.statusText}`);
    await this.pass(10);
  }

  async run(): Promise<readonly Outcome[]> {
    for (const file of this.part.files)
      for (const [index, entry] of recorded(file).entries()) await this.#entry(file, index, entry);
    this.lab.close();
    rmSync(this.configDir, { recursive: true });
    return this.outcomes;
  }

  async #entry(file: string, index: number, entry: Entry): Promise<void> {
    const where = `${file}: ${entry.name}`;
    await this.part.before?.[entry.name]?.(this);
    await this.part.before?.[`#${index}`]?.(this);
    if (entry.request === undefined) return this.#skip(where, 'a shell step or a timeline, no request');
    const reason = this.part.skip.find(
      ([pattern]) => pattern.test(where) || pattern.test(`${file}#${index}`),
    )?.[1];
    if (reason !== undefined) return this.#skip(where, reason);
    if (/\/status-poll-\d+$/.test(entry.name))
      return this.#skip(where, 'a poll of a running task: chance decides what it sees');
    await this.#catchUp(entry);
    let answer = await this.#send(file, entry);
    // A final status is what the poll after the end saw.
    for (
      let round = 0;
      entry.name.endsWith('/status-final') && stillRunning(answer) && round < 2_000;
      round += 1
    ) {
      await this.clock.advance(500);
      answer = await this.#send(file, entry);
    }
    this.#learn(entry, answer);
    const expected = this.#normal.genuine({
      status: entry.status,
      statusText: entry.statusText,
      body: entry.body,
    });
    const actual = this.#normal.lab({
      status: answer.status,
      statusText: answer.statusText,
      body: bodyOf(answer),
    });
    const equal = expected === actual;
    this.outcomes.push({
      where,
      result: equal ? 'equal' : 'different',
      detail: equal ? '' : `\n  genuine ${expected}\n  lab     ${actual}`,
    });
  }

  #skip(where: string, reason: string): void {
    this.outcomes.push({ where, result: 'skipped', detail: reason });
  }

  /** Brings the lab's clock to the second in which the recorded task was started. */
  async #catchUp(entry: Entry): Promise<void> {
    const upid = upidIn(entry.body);
    if (upid === null) return;
    const at = Number.parseInt(upid.split(':')[4] ?? '0', 16) * 1000;
    if (at > this.clock.now()) await this.clock.advanceTo(at);
  }

  async #send(file: string, entry: Entry): Promise<LabResponse> {
    const { request } = entry;
    assert.ok(request !== undefined);
    const { body, type } = bodyText(entry.name, request.form);
    const query = request.query === undefined || request.query === '' ? '' : `?${encode(request.query)}`;
    const arrival = this.part.arrival ?? 'pve1';
    const auth = this.part.auth === undefined ? authOf(entry) : this.part.auth(file, entry);
    const headers = auth === TICKET ? await this.#ticket(arrival) : { authorization: auth };
    return this.#ask(arrival, {
      method: request.method,
      path: this.#renamed(`${request.path}${query}`),
      headers: { ...headers, 'content-type': type, ...SPOILT[entry.name] },
      body: this.#renamed(body),
    });
  }

  #ask(arrival: string, request: LabRequest): Promise<LabResponse> {
    return this.clock.run(this.lab.handle(arrival, request));
  }

  /** What the recorder's ticket of root@pam brings with it. */
  async #ticket(arrival: string): Promise<Record<string, string>> {
    if (this.clock.now() - this.#loggedInAt < TICKET_MS) return this.#headers;
    this.#loggedInAt = this.clock.now();
    const answer = await this.#ask(arrival, {
      method: 'POST',
      path: '/api2/json/access/ticket',
      headers: {},
      body: encode({ username: 'root@pam', password: 'the-recorder' }),
    });
    const { ticket, CSRFPreventionToken } = LoggedIn.parse(bodyOf(answer)).data;
    this.#headers = {
      cookie: `PVEAuthCookie=${encodeURIComponent(ticket)}`,
      csrfpreventiontoken: CSRFPreventionToken,
    };
    return this.#headers;
  }

  /** Notes which of the lab's tasks and archives correspond to which recorded ones. */
  #learn(entry: Entry, answer: LabResponse): void {
    const genuine = upidIn(entry.body);
    const ours = upidIn(bodyOf(answer));
    if (genuine !== null && ours !== null) this.#names.set(genuine, ours);
    const archives = (body: unknown): string[] =>
      [...(JSON.stringify(body) ?? '').matchAll(/creating vzdump archive '[^']*\/([^'/]+)'/g)].map(
        (match) => match[1] ?? '',
      );
    const digests = [digestIn(entry.body), digestIn(bodyOf(answer))] as const;
    if (digests[0] !== null && digests[1] !== null) this.#names.set(digests[0], digests[1]);
    const theirs = archives(entry.body);
    for (const [index, name] of archives(bodyOf(answer)).entries()) {
      const original = theirs[index];
      if (original !== undefined) this.#names.set(original, name);
    }
  }

  #renamed(text: string): string {
    let result = text;
    for (const [theirs, ours] of this.#names)
      result = result.replaceAll(theirs, ours).replaceAll(escaped(theirs), escaped(ours));
    return result;
  }
}

function stillRunning(answer: LabResponse): boolean {
  return answer.body.includes('"status":"running"');
}

function upidIn(body: unknown): string | null {
  const found = z.object({ data: z.string().startsWith('UPID:') }).safeParse(body);
  return found.success ? found.data.data : null;
}

/** As Perl escapes a path's part: an exclamation mark, too. */
function escaped(name: string): string {
  return encodeURIComponent(name).replaceAll('!', '%21');
}

function digestIn(body: unknown): string | null {
  const found = z.object({ data: z.object({ digest: z.string() }) }).safeParse(body);
  return found.success ? found.data.data.digest : null;
}

function bodyOf(answer: LabResponse): unknown {
  if (answer.body === '') return '';
  try {
    return JSON.parse(answer.body);
  } catch {
    return answer.body; // plain text
  }
}

function encode(fields: Form): string {
  if (typeof fields === 'string') return fields;
  return new URLSearchParams(
    Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
}

function bodyText(name: string, form: Form | undefined): { body: string; type: string } {
  const body = form === undefined ? '' : encode(form);
  if (name === 'text/plain body') return { body, type: 'text/plain' };
  // A form that is one text is a body of another kind: JSON, good or broken.
  return {
    body,
    type: typeof form === 'string' && form !== '' ? 'application/json' : 'application/x-www-form-urlencoded',
  };
}

function authOf(entry: Entry): string | undefined {
  const auth = entry.request?.auth ?? TICKET;
  return auth === 'none' ? undefined : auth.replace('<secret>', 'secret');
}
