import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pingNode } from '../../lib/observe/node-ping.ts';
import type { ProbeSpec } from '../../lib/inventory/types.ts';
import { probeOf } from '../decide/parts.ts';

async function ping(ip: string | null, how: Parameters<typeof probeOf>[0] = 'ok') {
  const asked: ProbeSpec[] = [];
  const probe = (spec: ProbeSpec) => {
    asked.push(spec);
    return Promise.resolve(probeOf(how, spec.label));
  };
  return { answers: await pingNode({ probe }, ip, undefined), asked };
}

test('a node is pinged at its own address, and any answer is a sign of life', async () => {
  const { answers, asked } = await ping('10.0.0.11');
  assert.equal(answers, true);
  assert.deepEqual(asked, [
    { kind: 'ping', host: '10.0.0.11', label: 'ping 10.0.0.11', timeoutMs: 1000, attempts: 2 },
  ]);
  assert.equal((await ping('fd00::11', 'silent')).answers, false);
});

test('a ping that could not be sent (no ping here, no network) is none', async () => {
  assert.equal((await ping('10.0.0.11', 'unasked')).answers, null);
});

for (const ip of [
  null,
  '',
  'pve1',
  '127.0.0.1',
  '127.8.0.3',
  '::1',
  '::ffff:127.0.0.1',
  '0.0.0.0',
  '::',
  '192.0.2.11',
  '2001:db8::1',
])
  test(`nobody is pinged at ${ip ?? 'no address'}`, async () => {
    assert.deepEqual(await ping(ip), { answers: null, asked: [] });
  });
