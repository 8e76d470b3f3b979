/**
 * Every request that the client can make, held against PVE's own API schema: a known method and path, known parameters
 * only, each with an allowed value, all required ones there. Nothing of it can be forgotten: every method of the client
 * must have been called, every `…Call` of calls.ts must have run, and every path in the sources must have been asked for.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as calls from '../../lib/pve/calls.ts';
import { client, json, serve, UPID, type TestServer } from '../pve/harness.ts';
import { password } from '../secrets.ts';
import { complaints, haveSchema, loadSchema, NOT_IN_EXTRACT, type Sent } from './api-schema.ts';
import { count } from './count.ts';
import { DRIVES, VOLID } from './drives.ts';
import { functionsThatRan, pathsInSources, recorded } from './seen-calls.ts';

const SKIP = { skip: haveSchema ? false : 'the API schema (../shared/pve) is not here' };

/** A server that takes whatever comes, and notes it. */
async function listener(sent: Sent[]): Promise<TestServer> {
  return serve((request, response, body) => {
    const url = request.url ?? '';
    sent.push({ method: request.method ?? '', url, body });
    // guestDetail asks for tasks only of a stopped container.
    if (url.endsWith('/cluster/backup')) return json(response, [{ id: 'nightly' }]);
    if (url.endsWith('/status/current')) return json(response, { status: 'stopped' });
    if (/\/(config|nodes\/pve2\/status)$/.test(url) && request.method === 'GET') return json(response, {});
    if (
      request.method === 'GET' &&
      /\/(tasks|resources|groups|rules|content|netstat|network)(\?|$)/.test(url)
    )
      return json(response, []);
    return json(response, UPID);
  });
}

/** What the schema says against what was sent; calls that the extract hasn't are left to their reason. */
function wrongWith(sent: readonly Sent[]): string[] {
  const schema = loadSchema();
  return sent
    .filter(({ method, url }) => !NOT_IN_EXTRACT.some(([call]) => call.test(`${method} ${url}`)))
    .flatMap((request) =>
      complaints(schema, request).map((text) => `${request.method} ${request.url}: ${text}`),
    );
}

/** Never, whatever the schema allows: what overwrites, and the next free vmid, which two runners would both take. */
function neverSent(sent: readonly Sent[]): void {
  for (const { method, url, body } of sent) {
    assert.doesNotMatch(
      `${url}&${body}`,
      /[?&](force|start=1|unique|skiplock|purge|destroy-unreferenced-disks)\b/,
      `${method} ${url} ${body}`,
    );
    assert.doesNotMatch(url, /nextid/, `${method} ${url}`);
  }
}

test('every request of the client is one that PVE’s schema allows', SKIP, async (t) => {
  const sent: Sent[] = [];
  const server = await listener(sent);
  t.after(() => server.close());
  const real = client([server.endpoint]);
  t.after(() => real.close());
  const { api, called, methods } = recorded(real);
  const ran = await functionsThatRan(async () => {
    for (const [method, drives] of Object.entries(DRIVES))
      for (const drive of drives) {
        const before = sent.length;
        // Some replies don't suit: only what was sent counts.
        await drive(api).catch(() => undefined);
        assert(sent.length > before, `${method} sent nothing`);
      }
  });
  const user = client([server.endpoint], {
    credentials: { kind: 'password', user: 'proxwarden@pve', password: password() },
  });
  await user.version().catch(() => undefined);
  await user.close();
  const add = 'add them to DRIVES (drives.ts)';
  const forgotten = methods.filter((name) => !called.has(name) && !/^(useEndpoint|close)$/.test(name));
  assert.deepEqual(forgotten, [], `methods of the client that were not called: ${add}`);
  const calls_ = Object.keys(calls).filter((name) => name.endsWith('Call'));
  assert(calls_.length > 5);
  assert.deepEqual(
    calls_.filter((name) => !ran.has(name)),
    [],
    `calls of lib/pve/calls.ts that no method made: ${add}`,
  );
  const asked = sent.map(({ url }) => (url.split('?')[0] ?? '').replace('/api2/json', ''));
  assert.deepEqual(
    pathsInSources()
      .filter(({ matches }) => !asked.some((path) => matches(path)))
      .map(({ text }) => text),
    [],
    `paths in the sources that were not asked for: ${add}`,
  );
  assert(sent.some(({ url }) => url.includes('/tasks?')));
  assert.deepEqual(wrongWith(sent), []);
  neverSent(sent);
  const different = new Set(sent.map(({ method, url }) => `${method} ${url.split('?')[0] ?? ''}`));
  count(
    t,
    `${sent.length} requests (${different.size} different calls) of ${methods.length} methods are allowed by the schema`,
  );
  for (const [call, reason] of NOT_IN_EXTRACT)
    count(
      t,
      `not checked, ${sent.filter(({ method, url }) => call.test(`${method} ${url}`)).length}: ${call.source} (${reason})`,
    );
});

/** Texts that look like something else: numbers, templates, escapes, other scripts, line breaks of all kinds. */
const HOSTILE = [
  '0',
  '1e3',
  '9',
  '007',
  '\\',
  '\\\\n',
  '{{guestname}} {{nosuch}}',
  'a\r\nb',
  '<b onclick="x()">HTML</b>',
  '%41%zz',
  '+1 &a=b;c',
  'Ünïcödé \u{1F4A5}',
  '\u202Etxt.exe',
];
const text = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'grapheme', maxLength: 3000 }),
  fc.array(fc.constantFrom(...HOSTILE), { maxLength: 200 }).map((parts) => parts.join(' ')),
);
const tag = fc.stringMatching(/^[a-z0-9_][a-z0-9_\-+.]{0,30}$/);

test('no text of a person makes a request that the schema forbids', SKIP, async (t) => {
  const sent: Sent[] = [];
  const server = await listener(sent);
  t.after(() => server.close());
  const api = client([server.endpoint]);
  t.after(() => api.close());
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(tag, { maxLength: 5 }),
      fc.integer({ min: 100, max: 999_999_999 }),
      async (words, tags, vmid) => {
        sent.length = 0;
        const description = words.slice(0, 8000);
        await api.vzdump('pve1', { vmid, storage: 'nas', mode: 'snapshot', notes: words });
        await api.setConfig('pve1', vmid, { tags, description });
        await api.restore('pve1', { vmid, volid: VOLID, storage: 'nas', description, tags, mounts: null });
        assert.deepEqual(wrongWith(sent), []);
        neverSent(sent);
        for (const { body } of sent) {
          const template = new URLSearchParams(body).get('notes-template');
          if (template !== null) assert.deepEqual(templateProblems(template), [], template);
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** What PVE::VZDump refuses in a template beyond what the schema says [source]. */
function templateProblems(template: string): string[] {
  const escapes = [...template.matchAll(/\\(.?)/gs)].filter(([, next]) => next !== 'n' && next !== '\\');
  const unknown = [...template.matchAll(/\{\{([^\s{}]+)\}\}/g)];
  return [
    ...(template.includes('\n') ? ['a line break'] : []),
    ...escapes.map(([found]) => `escape ${found}`),
    ...unknown.map(([found]) => `variable ${found}`),
  ];
}

test('the check itself finds what is wrong', SKIP, () => {
  const schema = loadSchema();
  const find = (method: string, url: string, body: Record<string, string> | string = ''): string[] =>
    complaints(schema, {
      method,
      url: `/api2/json${url}`,
      body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
    });
  const lxc = { vmid: '101', ostemplate: VOLID };
  const cases: readonly (readonly [found: string[], expected: RegExp])[] = [
    [find('GET', '/nodes/pve1/nonsense'), /^there is no such call$/],
    [find('POST', '/nodes/pve1/lxc/101/status/start', 'now=1'), /^now is no parameter of it$/],
    [find('POST', '/nodes/pve1/lxc/99/status/start'), /^vmid: 99 is out of range$/],
    [find('POST', '/nodes/pve1/lxc/1e3/status/start'), /^vmid: 1e3 is no integer$/],
    [find('PUT', '/nodes/pve1/lxc/101/config', 'onboot=true'), /^onboot: true is no form boolean$/],
    [find('PUT', '/nodes/pve1/lxc/101/config', 'onboot=1&onboot=0'), /^onboot is given twice$/],
    [find('POST', '/nodes/pve1/lxc', 'vmid=101'), /^ostemplate is missing$/],
    [find('POST', '/nodes/pve1/vzdump', 'mode=fast'), /^mode: fast is not in the list$/],
    [find('POST', '/nodes/pve1/vzdump', 'notes-template=x'), /^notes-template needs storage$/],
    [find('DELETE', '/nodes/pve1/lxc/101', 'purge=1'), /^a DELETE with a body is refused$/],
    [find('GET', '/nodes/pve%201/lxc'), /^node: "pve 1" is no pve-node$/],
    [find('PUT', '/nodes/pve1/lxc/101/config', { tags: 'a;ü' }), /^tags: .* is no pve-tag-list$/],
    [find('PUT', '/nodes/pve1/lxc/101/config', { delete: 'tags,-' }), /^delete: .* is no pve-configid-list$/],
    [find('POST', '/nodes/pve1/lxc', { ...lxc, net0: 'name=eth0,mtu=1' }), /^net0: mtu: 1 is out of range$/],
    [find('POST', '/nodes/pve1/lxc', { ...lxc, net0: 'bridge=vmbr0' }), /^net0: name is missing$/],
    [
      find('POST', '/nodes/pve1/lxc', { ...lxc, net0: 'name=eth0,ip=10.0.0.1' }),
      /^net0: ip: "10\.0\.0\.1" is no pve-ipv4-config$/,
    ],
    [
      find('POST', '/nodes/pve1/lxc', { ...lxc, rootfs: 'local-lvm:8,sise=8G' }),
      /^rootfs: sise is no parameter of it$/,
    ],
    [find('POST', '/nodes/pve1/lxc', { ...lxc, mp0: 'local-lvm:8' }), /^mp0: mp is missing$/],
    [
      find('POST', '/nodes/pve1/vzdump', { 'prune-backups': 'keep-all=1,keep-last=2' }),
      /^prune-backups: .* is no prune-backups$/,
    ],
    [
      find('POST', '/cluster/ha/rules', {
        rule: 'pw',
        type: 'resource-affinity',
        resources: 'ct:101',
        nodes: 'pve1',
      }),
      /^nodes is not for type resource-affinity$/,
    ],
    [
      find('POST', '/nodes/pve1/lxc', { ...lxc, description: 'x'.repeat(8193) }),
      /^description: it is too long/,
    ],
  ];
  for (const [found, expected] of cases) {
    assert.equal(found.length, 1, found.join('; '));
    assert.match(found[0] ?? '', expected);
  }
  assert.deepEqual(
    find('POST', '/nodes/pve1/lxc', {
      ...lxc,
      net0: 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:01:01,ip=10.0.0.1/24,ip6=auto,link_down=1,type=veth',
      rootfs: 'local-lvm:8',
      mp0: 'nas:8,mp=/data,backup=1',
      features: 'nesting=1,keyctl=1',
      nameserver: '10.0.0.1 fe80::1%eth0',
    }),
    [],
  );
});
