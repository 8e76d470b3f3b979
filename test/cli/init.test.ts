/** What `init` decides, in this process: whom it trusts, which endpoints and containers it lists, what it never writes. */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Asker } from '../../lib/cli/ask.ts';
import { init, type InitResult } from '../../lib/cli/init/init.ts';
import type { InitFlags } from '../../lib/cli/init/types.ts';
import { FailedError, InputError, PveError } from '../../lib/errors.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { identity, tempFolder } from '../observe/probe-helpers.ts';
import { cluster, listener, SECRET, TOKEN } from './init-cluster.ts';

/** Answers in order; a question too many fails. */
function person(...answers: (string | boolean)[]): Asker & { readonly questions: string[] } {
  const questions: string[] = [];
  const next = (question: string): string | boolean => {
    questions.push(question);
    const answer = answers.shift();
    assert.ok(answer !== undefined, `nobody expected: ${question}`);
    return answer;
  };
  return {
    questions,
    ask: (question, fallback) => Promise.resolve(String(next(question)) || (fallback ?? '')),
    secret: (question) => Promise.resolve(String(next(question))),
    confirm: (question) => Promise.resolve(next(question) === true),
  };
}

const FLAGS: InitFlags = {
  endpoint: [],
  token: 'env:TOKEN',
  fingerprint: undefined,
  ca: undefined,
  systemRoots: false,
  cluster: undefined,
  backupStorage: undefined,
  restoreStorage: undefined,
  ports: [],
  skipPorts: true,
  dryRun: false,
};

interface Ran {
  readonly result: InitResult;
  readonly told: string;
}

async function run(
  dir: string,
  flags: Partial<InitFlags>,
  asker: Asker | null = null,
  env: Record<string, string> = { TOKEN },
): Promise<Ran> {
  let told = '';
  const io = { out: () => undefined, err: () => undefined, tty: false, columns: 100 };
  const runtime = { ...systemRuntime(), env };
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const result = await init({
    flags: { ...FLAGS, ...flags },
    dir,
    invocation: { runtime, io, signal, cwd: dir },
    asker,
    tell: (text) => void (told += `${text}\n`),
  });
  assert.ok(!told.includes(SECRET) && !result.text.includes(SECRET));
  return { result, told };
}

test('one confirmation is enough: the trusted node knows the certificates of the others', async (t) => {
  const { endpoint, pins, at } = await cluster(t);
  const dir = join(tempFolder(t), 'inventory');
  const asker = person(true);
  const { result, told } = await run(
    dir,
    { endpoint: [endpoint('pve1'), endpoint('pve2')], skipPorts: false },
    asker,
  );
  assert.deepEqual(asker.questions, ['Is it the same there?']);
  assert.ok(told.replaceAll(/\s+/g, '').includes(pins['pve1'] ?? ''), told);
  const inventory = loadInventory(dir, { env: {} });
  const home = inventory.clusters['home'];
  // pve3 is silent at the cluster's own address; it is listed, and known by its certificate when it comes back.
  assert.deepEqual(home?.endpoints, [endpoint('pve1'), endpoint('pve2'), `https://${at(202)}:8006`]);
  assert.deepEqual(home.tls, { kind: 'fingerprint', sha256: [pins['pve1'], pins['pve2'], pins['pve3']] });
  assert.match(result.text, /# confirmed by you, pve1\n.* # pve2\n.* # pve3\n/);
  assert.match(result.text, /8006 # pve3, which did not answer this machine\n/);
  const checks = Object.values(inventory.containers).map(
    (one) =>
      `${one.name} ${one.mode} ${one.nodes.map((n) => n.node).join()}: ${one.checks.map((c) => c.label).join(', ')}`,
  );
  assert.deepEqual(checks, [
    `web protect pve2,pve3: http http://${at(11)}:8080/`,
    `db protect pve1,pve3: tcp ${at(12)}:3306, tcp ${at(12)}:6379`,
    `mqtt protect pve1,pve2: tcp ${at(13)}:1883`,
    `quiet protect pve1,pve2: ping ${at(14)}`,
    `resting off pve2,pve3: ping ${at(16)}`,
    `web-108 protect pve1,pve3: http http://${at(18)}:3000/`,
    'nowhere off pve1,pve3: ',
  ]);
  assert.match(result.text, /105 template: it is a template\n.*107 locked: it is locked \(backup\)/);
  assert.match(result.text, /# REVIEW: [^\n]*keyctl[^\n]*\n {2}web-108:/);
  assert.match(result.text, /mqtt on pve3.*\n {2}# REVIEW: it gets an address by DHCP/);
  assert.ok(result.text.includes(`# Not listed: tcp:${at(60)}:2049, storage nas: connection refused`));
});

test('an endpoint that shows a certificate of no node is refused, and gets nothing', async (t) => {
  const { endpoint, pins } = await cluster(t);
  const stranger = await listener(t);
  const dir = tempFolder(t);
  await assert.rejects(
    run(dir, { endpoint: [endpoint('pve1'), stranger.endpoint], fingerprint: pins['pve1'] }),
    (error) =>
      error instanceof FailedError &&
      /is not used: it shows a certificate that no node of the cluster has; nothing was sent/.test(
        error.message,
      ),
  );
  assert.equal(stranger.bytes(), 0);
  assert.deepEqual(readdirSync(dir), []);
});

test('a certificate that is not confirmed, or not the given one, gets no byte of a request', async (t) => {
  const server = await listener(t);
  const dir = tempFolder(t);
  const endpoint = [server.endpoint];
  const ca = join(tempFolder(t), 'ca.pem');
  writeFileSync(ca, (await identity({ isCa: true, common: 'other' })).cert);
  const refused = /is not trusted: .*; nothing was sent to it, nothing was written$/;
  for (const [flags, asker] of [
    [{ endpoint }, person(false)],
    [{ endpoint, fingerprint: 'AB'.repeat(32) }, null],
    [{ endpoint, ca }, null],
    [{ endpoint, systemRoots: true }, null],
  ] as const)
    await assert.rejects(run(dir, flags, asker), (error) => {
      assert.ok(error instanceof FailedError && refused.test(error.message), String(error));
      assert.ok(error.hint?.includes(server.pin) === true && error.hint.includes('pvenode cert info'));
      return true;
    });
  assert.equal(server.bytes(), 0);
  await assert.rejects(run(dir, { endpoint, fingerprint: 'AB:CD' }), InputError);
  await assert.rejects(run(dir, { endpoint: ['http://10.0.0.1'] }), InputError);
  assert.deepEqual(readdirSync(dir), []);
});

test('a wrong token, one that sees nothing, and a literal one', async (t) => {
  const { endpoint, pins } = await cluster(t);
  const dir = tempFolder(t);
  const flags = { endpoint: [endpoint('pve1')], fingerprint: pins['pve1'] };
  await assert.rejects(run(dir, { ...flags, token: TOKEN }), (error) => {
    assert.ok(error instanceof InputError && /is given by reference/.test(error.message));
    assert.ok(!`${error.message}${error.hint ?? ''}`.includes(SECRET));
    return true;
  });
  await assert.rejects(run(dir, flags, null, {}), /the environment variable TOKEN.* is not set/);
  await assert.rejects(run(dir, flags, null, { TOKEN: `${TOKEN}x` }), PveError);
  assert.deepEqual(readdirSync(dir), []);
});

test('a typed token goes to a file of its own, outside of the inventory, or nowhere', async (t) => {
  const { endpoint, pins } = await cluster(t);
  const home = tempFolder(t);
  const flags = { endpoint: [endpoint('pve1')], fingerprint: pins['pve1'], token: undefined };
  const first = join(home, 'first');
  await assert.rejects(
    run(first, flags, person('', TOKEN, join(first, 'token'))),
    /does not belong into the inventory/,
  );
  writeFileSync(join(home, 'taken'), 'mine');
  await assert.rejects(
    run(first, flags, person('', TOKEN, join(home, 'taken'))),
    /cannot write the token's file .*EEXIST/,
  );
  assert.equal(readFileSync(join(home, 'taken'), 'utf8'), 'mine');
  assert.deepEqual(readdirSync(home), ['taken']);
  const { result } = await run(first, flags, person('', TOKEN, '-'));
  assert.match(result.text, /^ {2}token: env:PROXWARDEN_HOME_TOKEN$/m);
  assert.deepEqual([readdirSync(home), readdirSync(first)], [['first', 'taken'], ['home.yaml']]);
});

test('it never overwrites, and does not write about a cluster twice', async (t) => {
  const { endpoint, pins } = await cluster(t);
  const flags = { endpoint: [endpoint('pve1')], fingerprint: pins['pve1'] };
  const broken = tempFolder(t);
  const file = join(broken, 'home.yaml');
  writeFileSync(file, 'cluster: home\n');
  await assert.rejects(
    run(broken, flags),
    (error) => error instanceof InputError && /has problems/.test(error.message),
  );
  assert.equal(readFileSync(file, 'utf8'), 'cluster: home\n');

  const dir = tempFolder(t);
  const about = 'cluster: home\napi: { endpoints: ["https://10.0.0.1"], token: env:X }\n';
  writeFileSync(join(dir, 'cluster.yaml'), about);
  await assert.rejects(
    run(dir, flags),
    /cluster\.yaml is about the cluster home already; nothing was written/,
  );
  const { result } = await run(dir, { ...flags, cluster: 'second' });
  assert.match(result.text, /^cluster: second$/m);
  await assert.rejects(
    run(dir, { ...flags, cluster: 'third' }),
    /second\.yaml has https:\S+ already, as cluster second/,
  );
  await assert.rejects(
    run(dir, { ...flags, cluster: 'second' }),
    /second\.yaml exists already, and init never overwrites/,
  );
  assert.deepEqual(readdirSync(dir), ['cluster.yaml', 'second.yaml']);
  assert.equal(readFileSync(join(dir, 'cluster.yaml'), 'utf8'), about);

  const link = tempFolder(t);
  mkdirSync(join(link, 'home.yaml'));
  await assert.rejects(run(link, { ...flags, cluster: 'home' }), InputError);
});

test('a stand-alone node, 9.x, and a choice among storages', async (t) => {
  const { endpoint, pins } = await cluster(t, (world) => ({
    ...world,
    cluster: null,
    version: '9.1.1',
    nodes: world.nodes.slice(0, 1),
    storages: [...world.storages, { id: 'usb', path: '/z', content: ['backup'] }],
    containers: world.containers.filter(({ node }) => node === 'pve1'),
  }));
  const dir = tempFolder(t);
  const asker = person('tape', 'usb');
  const { told } = await run(dir, { endpoint: [endpoint('pve1')], fingerprint: pins['pve1'] }, asker);
  assert.match(told, /There is no such storage: nas, usb\./);
  const inventory = loadInventory(dir, { env: {} });
  assert.deepEqual(Object.keys(inventory.clusters), ['pve1']);
  assert.deepEqual(
    Object.values(inventory.containers).map(({ name, mode, backup }) => [name, mode, backup.storage]),
    [
      ['web', 'observe', 'usb'],
      ['resting', 'off', 'usb'],
    ],
  );
});
