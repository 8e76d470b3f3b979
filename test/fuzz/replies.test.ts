/**
 * Answers of an API that make no sense, to every call of the client: one clear error, or a value of the promised shape.
 * Genuine answers of a recorded cluster and of the lab are what is mutated, the bytes on the wire included. A request
 * that changes something is sent once, whatever comes back.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import {
  BackupView,
  EndpointView,
  GuestDetail,
  GuestView,
  HaEntry,
  HaGroup,
  HaRule,
  LrmWord,
  PowerTask,
  StorageView,
} from '../../lib/decide/model.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { DRIVES } from '../contract/drives.ts';
import { rawServer } from '../contract/raw-server.ts';
import { haveRecordings, replies } from '../contract/recordings.ts';
import { client, UPID } from '../pve/harness.ts';
import { assertClear } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';
import { mutatedBytes, mutatedJson } from './mutate.ts';

if (!haveRecordings) console.log('# the recordings are not here: only answers of the lab are mutated');

/** What `data` is in the model: it goes into an observation, which is written to disk. */
const SHAPES: Readonly<Record<string, z.ZodType>> = {
  endpointView: EndpointView,
  resources: z.object({ guests: z.array(GuestView), storages: z.array(StorageView) }),
  netstat: z.array(z.int()),
  guestDetail: GuestDetail,
  backups: z.array(BackupView),
  archivedConfig: BackupView.shape.archived,
  haResources: z.array(HaEntry),
  haGroups: z.array(HaGroup),
  haRules: z.array(HaRule),
  haLrms: z.object({ masterAt: z.number().nullable(), words: z.array(LrmWord) }),
  powerTasks: z.array(PowerTask),
  nodePowerTasks: z.array(PowerTask),
  version: z.string(),
  taskLog: z.array(z.string()),
};

interface Drive {
  readonly method: string;
  readonly run: (api: PveApi) => Promise<unknown>;
}
const drives: Drive[] = Object.entries(DRIVES).flatMap(([method, all]) =>
  all.map((run): Drive => ({ method, run })),
);

/** The same for all nodes, guests, storages and tasks. */
function kindOf(method: string, path: string): string {
  const [bare = ''] = path.replace('/api2/json', '').split('?');
  return `${method} ${bare
    .replace(/^\/nodes\/[^/]+/, '/nodes/N')
    .replace(/\/lxc\/\d+/, '/lxc/V')
    .replace(/\/storage\/[^/]+/, '/storage/S')
    .replace(/\/(tasks|content|groups|rules|resources)\/[^/]+/, '/$1/X')}`;
}

const List = z.looseObject({ data: z.array(z.unknown()) });

/** Of a long list some entries are enough: else most mutations meet the same key. */
function shortened(body: unknown): unknown {
  const list = List.safeParse(body);
  return list.success ? { ...list.data, data: list.data.data.slice(0, 6) } : body;
}

/** What was answered, or is answered by the lab: bodies by kind of request. */
const known = new Map<string, string[]>();
for (const reply of haveRecordings ? replies() : []) {
  const kind = kindOf(reply.method, reply.path);
  const body = JSON.stringify(shortened(reply.body)) ?? 'null';
  const held = known.get(kind) ?? [];
  if (held.length < 12 && !held.includes(body)) known.set(kind, [...held, body]);
}

interface Answering {
  bytes: (kind: string) => Buffer;
  readonly kinds: string[];
}
const answering: Answering = { bytes: () => Buffer.alloc(0), kinds: [] };
const server = await rawServer((socket) => {
  let heard = '';
  socket.on('data', (data: Buffer) => {
    heard += data.toString('latin1');
    const [, method, path, length] =
      /^(\w+) (\S+) HTTP\/1\.1\r\n(?:.*\r\n)*?(?:content-length: (\d+)\r\n(?:.*\r\n)*?)?\r\n/i.exec(heard) ??
      [];
    if (method === undefined || path === undefined) return;
    const [, body = ''] = heard.split('\r\n\r\n', 2);
    if (body.length < Number(length ?? '0')) return;
    const kind = kindOf(method, path);
    answering.kinds.push(kind);
    socket.end(answering.bytes(kind));
  });
});
after(() => server.close());

function http(body: Buffer | string, status = '200 OK', type = 'application/json;charset=UTF-8'): Buffer {
  const head = `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

/** What is answered beside the mutated one: what the call needs to go on. */
function plain(kind: string): string {
  const held = known.get(kind)?.find((text) => text.startsWith('{"data":'));
  return held ?? (kind.startsWith('GET') ? '{"data":[]}' : JSON.stringify({ data: UPID }));
}

/** The call and everything that comes of it; returns the requests that it has made. */
async function ask({ method, run }: Drive): Promise<readonly string[]> {
  answering.kinds.length = 0;
  const api = client([server.endpoint], { timeoutMs: 30_000 });
  try {
    let value: unknown;
    try {
      value = await run(api);
    } catch (error) {
      assertClear(error);
      return answering.kinds;
    }
    if (value instanceof Map || value === undefined) return answering.kinds;
    SHAPES[method]?.parse(value);
    // What JSON can't hold would be refused, or changed, on its way to the disk.
    assert.deepEqual(JSON.parse(JSON.stringify(value)), value, `${method}: not what JSON can hold`);
    return answering.kinds;
  } finally {
    await api.close();
  }
}

/** Which requests each call makes, by asking once with plain answers. */
answering.bytes = (kind) => http(plain(kind));
const made: { drive: Drive; kinds: readonly string[] }[] = [];
for (const drive of drives) made.push({ drive, kinds: [...new Set(await ask(drive))] });

/** For a kind without a recording, as the schema has it. */
const UNRECORDED: Readonly<Record<string, unknown>> = {
  'GET /cluster/backup': [{ id: 'nightly', enabled: 1, storage: 'nas', schedule: '21:00', vmid: '101,102' }],
  'GET /cluster/ha/rules': [
    { rule: 'pw', type: 'node-affinity', nodes: 'pve1,pve2', resources: 'ct:101', strict: 1 },
  ],
  'GET /cluster/replication': [{ id: '101-0', guest: 101, disable: 0 }],
  'GET /cluster/config/qdevice': { Model: 'Net', State: 'Connected', 'QNetd host': '10.0.0.9:5403' },
};

function samplesOf(kind: string): string[] {
  const held = known.get(kind) ?? [];
  const unrecorded = UNRECORDED[kind];
  const own = unrecorded === undefined ? [] : [JSON.stringify({ data: unrecorded })];
  return [...held, ...own, plain(kind)];
}

interface Input {
  readonly call: (typeof made)[number];
  readonly kind: string;
  readonly bytes: Buffer;
}

function answers(of: (kind: string) => fc.Arbitrary<Buffer>): fc.Arbitrary<Input> {
  return fc.oneof(
    ...made.flatMap((call) =>
      call.kinds.map((kind) => of(kind).map((bytes): Input => ({ call, kind, bytes }))),
    ),
  );
}

async function used({ call, kind, bytes }: Input): Promise<void> {
  answering.bytes = (asked) => (asked === kind ? bytes : http(plain(asked)));
  const asked = await ask(call.drive);
  const writes = asked.filter((one) => !one.startsWith('GET'));
  assert.ok(writes.length <= 1, `it was asked for more than once: ${writes.join(', ')}`);
}

const STATUSES = [
  '200 OK',
  '200 OK',
  '200 OK',
  '200 OK',
  '200 OK',
  '500 oops',
  '500 ',
  '403 Permission check failed (/x, Y)',
  '401 No ticket',
  '595 x',
  '596 y',
  '400 Parameter verification failed.',
  '302 Found',
  '204 No Content',
  '201 Created',
];

fuzz(
  'bodies of API answers',
  { runs: 75 },
  answers((kind) =>
    fc
      .tuple(mutatedJson(samplesOf(kind)), fc.constantFrom(...STATUSES))
      .map(([body, status]) => http(body, status)),
  ),
  used,
);

fuzz(
  'bytes of API answers',
  { runs: 75 },
  answers((kind) => mutatedBytes(samplesOf(kind).map((body) => http(body)))),
  used,
);

fuzzCounted('API answers');
