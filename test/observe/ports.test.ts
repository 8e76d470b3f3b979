/** Checks from what answers: a proposal that will be accepted without a look must be a good one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pLimit from 'p-limit';
import type { ProbeResult } from '../../lib/decide/model.ts';
import type { ProbeSpec } from '../../lib/inventory/types.ts';
import { statusIn } from '../../lib/observe/probes/http.ts';
import { proposeChecks } from '../../lib/observe/survey/ports.ts';

const HOST = '10.0.0.53';

interface Machine {
  readonly open?: readonly number[];
  /** Status by port; others don't speak http. */
  readonly http?: Readonly<Record<number, number>>;
  /** The questions it answers. */
  readonly dns?: readonly string[];
  readonly pings?: boolean;
}

async function proposed(machine: Machine, more: readonly number[] = []) {
  let [flying, most] = [0, 0];
  const asked: string[] = [];
  const probe = async (spec: ProbeSpec): Promise<ProbeResult> => {
    asked.push(spec.label);
    flying += 1;
    most = Math.max(most, flying);
    await new Promise((resolve) => setImmediate(resolve));
    flying -= 1;
    const [ok, reason] = answer(machine, spec);
    return { probe: spec.label, ok, answered: ok, latencyMs: null, reason, attempts: 1 };
  };
  const checks = await proposeChecks(HOST, more, {
    runtime: { probe },
    signal: new AbortController().signal,
    limit: pLimit(8),
  });
  assert.ok(most <= 8, `${most} at once`);
  return { checks, asked };
}

function answer(
  { open = [], http = {}, dns = [], pings = false }: Machine,
  spec: ProbeSpec,
): [boolean, string] {
  if (spec.kind === 'tcp') return [open.includes(spec.port), 'connection refused'];
  if (spec.kind === 'dns') return [dns.includes(spec.name), 'SERVFAIL'];
  if (spec.kind === 'ping') return [pings, 'no answer within 3s'];
  if (spec.kind === 'exec') throw new Error('nothing is run');
  const url = new URL(spec.url);
  const status = http[Number(url.port === '' ? { 'http:': 80, 'https:': 443 }[url.protocol] : url.port)];
  if (status === undefined) return [false, 'the answer is not HTTP'];
  const ok = status >= 200 && status <= 399;
  return [ok, ok ? 'answered in 3 ms' : `status ${status}, wanted 200-399`];
}

test('http is checked by its status, and what only sounds like it by its port', async () => {
  const { checks } = await proposed({
    open: [22, 80, 443, 8080, 3306],
    http: { 80: 200, 443: 401, 8080: 502 },
  });
  assert.deepEqual(checks, [
    {
      check: { http: { url: `https://${HOST}/`, status: 401, insecure: true } },
      note: 'web, it answered 401',
    },
    { check: { http: `http://${HOST}/` }, note: 'web' },
    {
      check: { tcp: `${HOST}:8080` },
      review: `it answered http://${HOST}:8080/ with 502: is it well? An http check would say more`,
    },
    { check: { tcp: `${HOST}:3306` }, note: 'MySQL' },
  ]);
  const silent = await proposed({ open: [3000] });
  assert.deepEqual(silent.checks, [{ check: { tcp: `${HOST}:3000` }, note: 'web' }]);
});

test('a name server is asked what it can know by itself, before what it has to ask others', async () => {
  const review = 'ask for a name that only this server can know';
  const local = await proposed({ open: [53], dns: ['localhost', '.'] });
  assert.deepEqual(local.checks, [{ check: { dns: { server: HOST, name: 'localhost' } }, review }]);
  const root = await proposed({ open: [53], dns: ['.'] });
  assert.deepEqual(root.checks, [{ check: { dns: { server: HOST, name: '.', type: 'NS' } }, review }]);
  const mute = await proposed({ open: [53] });
  assert.deepEqual(mute.checks, [
    { check: { tcp: `${HOST}:53` }, note: 'name server; it answered no simple question' },
  ]);
});

test('ssh alone, a ping alone, and nothing: a check, and a word on how poor it is', async () => {
  const ssh = await proposed({ open: [22] });
  assert.deepEqual(
    ssh.checks.map((one) => one.check),
    [{ tcp: `${HOST}:22` }],
  );
  assert.match(ssh.checks[0]?.review ?? '', /not that its service does/);
  const ping = await proposed({ pings: true });
  assert.deepEqual(ping.checks[0]?.check, { ping: HOST });
  assert.match(ping.checks[0]?.review ?? '', /answers a ping, but on no well-known port/);
  const none = await proposed({});
  assert.match(
    none.checks[0]?.review ?? '',
    /nothing of it answers this machine, not even a ping \(no answer/,
  );
});

test('at most four checks; ports that a person names come first', async () => {
  const open = [80, 443, 3000, 8080, 8123, 5432, 9999];
  const { checks, asked } = await proposed({ open, http: { 9999: 204 } }, [9999, 5432]);
  assert.deepEqual(
    checks.map((one) => one.check),
    [
      { http: `http://${HOST}:9999/` },
      { tcp: `${HOST}:5432` },
      { tcp: `${HOST}:443` },
      { tcp: `${HOST}:80` },
    ],
  );
  assert.equal(asked.filter((label) => label === `${HOST}:5432`).length, 1);
});

test('the status of a failed http probe', () => {
  assert.equal(statusIn('status 502, wanted 200-399'), 502);
  assert.equal(statusIn('connection refused'), null);
});
