/**
 * Every request that the client can make, held against PVE's own API schema: a known method and path, known parameters
 * only, each with an allowed value, all required ones there.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as z from 'zod';
import type { PveApi } from '../../lib/pve/api.ts';
import { client, json, serve, UPID } from '../pve/harness.ts';

const FILE = '../shared/pve/api-schema.json';

const Parameter = z.looseObject({
  type: z.string().optional(),
  optional: z.union([z.boolean(), z.number()]).optional(),
  format: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.coerce.number().optional(),
  maximum: z.number().optional(),
  maxLength: z.number().optional(),
  requires: z.string().optional(),
});
type Parameter = z.infer<typeof Parameter>;
const Schema = z.array(
  z.looseObject({
    method: z.string(),
    path: z.string(),
    parameters: z.looseObject({ properties: z.record(z.string(), Parameter).optional() }),
  }),
);

const ID = /^[a-z][a-z0-9_-]+$/i;
const NODE = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
const VMID = /^[1-9]\d{2,8}$/;
/** The formats that our calls use, as PVE defines them. A call with another one fails until it is added. */
const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'pve-node': (value) => NODE.test(value),
  'pve-vmid': (value) => VMID.test(value),
  'pve-vmid-list': (value) => value.split(',').every((each) => VMID.test(each)),
  'pve-storage-id': (value) => /^[a-z][a-z0-9_.-]*[a-z0-9]$/i.test(value),
  'pve-storage-content': (value) =>
    ['backup', 'rootdir', 'vztmpl', 'images', 'iso', 'snippets'].includes(value),
  'pve-configid': (value) => ID.test(value),
  'pve-configid-list': (value) => value.split(',').every((each) => ID.test(each)),
  'pve-tag-list': (value) => value.split(';').every((each) => /^[a-z0-9_][a-z0-9_\-+.]*$/i.test(each)),
  'pve-ha-node-list': (value) => value.split(',').every((each) => NODE.test(each.split(':')[0] ?? '')),
  'pve-ha-resource-or-vm-id': (value) => /^(?:(?:vm|ct):)?[1-9]\d{2,8}$/.test(value),
};

function complaint(name: string, value: string, schema: Parameter): string | null {
  const { type = 'string' } = schema;
  if (type === 'boolean' && value !== '0' && value !== '1') return `${name}: ${value} is no form boolean`;
  if (type === 'integer') {
    if (!/^-?\d+$/.test(value)) return `${name}: ${value} is no integer`;
    if (Number(value) < (schema.minimum ?? -Infinity) || Number(value) > (schema.maximum ?? Infinity))
      return `${name}: ${value} is out of range`;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return `${name}: ${value} is not in the list`;
  if (value.length > (schema.maxLength ?? Infinity)) return `${name} is too long`;
  if (schema.format === undefined) return null;
  const check = typeof schema.format === 'string' ? FORMATS[schema.format] : undefined;
  if (check === undefined) return `${name}: no check for format ${JSON.stringify(schema.format)}`;
  return check(value) ? null : `${name}: ${value} is no ${JSON.stringify(schema.format)}`;
}

interface Sent {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

/** Everything that is wrong with a request. */
function complaints(schema: z.infer<typeof Schema>, { method, url, body }: Sent): string[] {
  const { pathname, searchParams } = new URL(url, 'http://x');
  const segments = pathname.replace('/api2/json', '').split('/');
  const found = schema
    .filter((entry) => entry.method === method)
    .map((entry) => ({ entry, template: entry.path.split('/') }))
    .filter(({ template }) => template.length === segments.length)
    // A fixed segment wins over a placeholder.
    .toSorted(
      (a, b) =>
        a.template.filter((part) => part.startsWith('{')).length -
        b.template.filter((part) => part.startsWith('{')).length,
    )
    .find(({ template }) =>
      template.every((part, index) => part.startsWith('{') || part === segments[index]),
    );
  if (found === undefined) return ['there is no such call'];
  if (method === 'DELETE' && body !== '') return ['a DELETE with a body is refused'];
  const values = new Map<string, string>([...searchParams, ...new URLSearchParams(body)]);
  found.template.forEach((part, index) => {
    if (part.startsWith('{')) values.set(part.slice(1, -1), decodeURIComponent(segments[index] ?? ''));
  });
  const properties = found.entry.parameters.properties ?? {};
  const wrong = [...values].flatMap(([name, value]) => {
    const parameter = properties[name];
    if (parameter === undefined) return [`${name} is no parameter of it`];
    if (parameter.requires !== undefined && !values.has(parameter.requires))
      return [`${name} needs ${parameter.requires}`];
    return complaint(name, value, parameter) ?? [];
  });
  const missing = Object.entries(properties)
    .filter(([name, { optional }]) => !optional && !values.has(name))
    .map(([name]) => `${name} is missing`);
  return [...wrong, ...missing];
}

const VOLID = 'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst';
const TOKEN_UPID = 'UPID:pve1:000032D1:00062E73:6B0352A7:vzdump:401:proxwarden@pve!ha:';
/** Each method with every shape of its arguments. A method that is missing here does not compile. */
const DRIVES: {
  readonly [M in Exclude<keyof PveApi, 'cluster' | 'endpoints' | 'useEndpoint' | 'close'>]: readonly ((
    api: PveApi,
  ) => Promise<unknown>)[];
} = {
  endpointView: [(api) => api.endpointView(api.endpoints[0] ?? '')],
  version: [(api) => api.version()],
  resources: [(api) => api.resources()],
  nodeAnswers: [(api) => api.nodeAnswers('pve1')],
  netstat: [(api) => api.netstat('pve-1')],
  guestDetail: [(api) => api.guestDetail('pve1', 101)],
  permissions: [(api) => api.permissions()],
  haResources: [(api) => api.haResources()],
  haGroups: [(api) => api.haGroups()],
  createHaGroup: [(api) => api.createHaGroup('pw-guard-pve3', ['pve3', 'pve2'])],
  createHaResource: [
    (api) =>
      api.createHaResource('ct:101', { state: 'disabled', group: 'pw-guard-pve3', comment: 'by ProxWarden' }),
  ],
  deleteHaResource: [(api) => api.deleteHaResource('ct:101')],
  deleteHaGroup: [(api) => api.deleteHaGroup('pw-guard-pve3')],
  backups: [(api) => api.backups('pve1', 'nas'), (api) => api.backups('pve1', 'nas', { vmid: 101 })],
  archivedConfig: [(api) => api.archivedConfig('pve1', VOLID)],
  protectBackup: [
    (api) => api.protectBackup('pve1', VOLID, true),
    (api) => api.protectBackup('pve1', 'pbs:backup/ct/101/2026-11-22T20:16:47Z', false),
  ],
  vzdump: (['snapshot', 'suspend', 'stop'] as const).map(
    (mode) => (api) =>
      api.vzdump('pve1', { vmid: 101, storage: 'nas', mode, notes: 'dns\nüö \\'.repeat(300) }),
  ),
  restore: [
    (api) =>
      api.restore('pve2', {
        vmid: 1000101,
        volid: VOLID,
        storage: 'local-lvm',
        description: 'x'.repeat(8000),
        tags: ['proxwarden', 'a'],
      }),
  ],
  start: [(api) => api.start('pve1', 101)],
  stop: [(api) => api.stop('pve1', 999999999)],
  shutdown: [(api) => api.shutdown('pve1', 101, 60)],
  destroy: [(api) => api.destroy('pve1', 101)],
  setConfig: [
    (api) => api.setConfig('pve1', 101, { onboot: true }),
    (api) => api.setConfig('pve1', 101, { onboot: false, tags: ['a', 'proxwarden'], description: 'ß\n' }),
    (api) => api.setConfig('pve1', 101, { tags: [], description: '' }),
  ],
  taskStatus: [(api) => api.taskStatus(TOKEN_UPID)],
  taskLog: [(api) => api.taskLog(TOKEN_UPID), (api) => api.taskLog(TOKEN_UPID, { start: 700 })],
  tasks: [
    (api) => api.tasks('pve1', { vmid: 101, since: 1_795_378_607_123 }),
    (api) => api.tasks('pve1', { vmid: 101, since: 0, type: 'vzdump' }),
  ],
};

test('every request of the client is one that PVE’s schema allows', async (t) => {
  if (!existsSync(FILE)) return t.skip(`${FILE} is not here`);
  const schema = Schema.parse(JSON.parse(readFileSync(FILE, 'utf8')));
  const sent: Sent[] = [];
  const server = await serve((request, response, body) => {
    sent.push({ method: request.method ?? '', url: request.url ?? '', body });
    const path = request.url ?? '';
    // guestDetail asks for tasks only of a stopped container.
    if (path.endsWith('/status/current')) return json(response, { status: 'stopped' });
    if (path.endsWith('/config') && request.method === 'GET') return json(response, {});
    if (request.method === 'GET' && /\/(tasks|resources|groups|content|netstat)(\?|$)/.test(path))
      return json(response, []);
    return json(response, UPID);
  });
  t.after(() => server.close());
  const api = client([server.endpoint]);
  t.after(() => api.close());
  for (const [method, drives] of Object.entries(DRIVES))
    for (const drive of drives) {
      const before = sent.length;
      // Some replies don't suit: only what was sent counts.
      await drive(api).catch(() => undefined);
      assert(sent.length > before, `${method} sent nothing`);
    }
  assert(sent.some(({ url }) => url.includes('/tasks?')));
  const wrong = sent.flatMap((request) =>
    complaints(schema, request).map((text) => `${request.method} ${request.url}: ${text}`),
  );
  assert.deepEqual(wrong, []);
  const calls = new Set(sent.map(({ method, url }) => `${method} ${url.split('?')[0] ?? ''}`));
  t.diagnostic(
    `${sent.length} requests (${calls.size} different calls) of ${Object.keys(DRIVES).length} methods are allowed by the schema`,
  );
  // Never, whatever the schema allows.
  for (const { method, url, body } of sent)
    assert.doesNotMatch(
      `${url}&${body}`,
      /[?&](force|start=1|unique|skiplock|purge|destroy-unreferenced-disks)\b/,
      `${method} ${url} ${body}`,
    );
});

test('the check itself finds what is wrong', (t) => {
  if (!existsSync(FILE)) return t.skip(`${FILE} is not here`);
  const schema = Schema.parse(JSON.parse(readFileSync(FILE, 'utf8')));
  const find = (method: string, url: string, body = ''): string[] =>
    complaints(schema, { method, url: `/api2/json${url}`, body });
  assert.deepEqual(find('GET', '/nodes/pve1/nonsense'), ['there is no such call']);
  assert.deepEqual(find('POST', '/nodes/pve1/lxc/101/status/start', 'now=1'), ['now is no parameter of it']);
  assert.deepEqual(find('POST', '/nodes/pve1/lxc/99/status/start'), ['vmid: 99 is out of range']);
  assert.deepEqual(find('PUT', '/nodes/pve1/lxc/101/config', 'onboot=true'), [
    'onboot: true is no form boolean',
  ]);
  assert.deepEqual(find('POST', '/nodes/pve1/lxc', 'vmid=101'), ['ostemplate is missing']);
  assert.deepEqual(find('POST', '/nodes/pve1/vzdump', 'mode=fast'), ['mode: fast is not in the list']);
});
