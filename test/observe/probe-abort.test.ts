import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, probe, silentPort } from './probe-helpers.ts';

/** How many connections of this process are being made. A file of its own, so that no other test's are among them. */
function connecting(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'ConnectWrap').length;
}

test('no connection is left under way after an abort', async (t) => {
  const port = await silentPort(t);
  const before = connecting();
  const http = { kind: 'http', method: 'GET', status: [[200, 299]], insecure: false } as const;
  for (const spec of [
    { kind: 'tcp', host: '127.0.0.1', port },
    { ...http, url: `http://127.0.0.1:${port}/` },
    { ...http, url: `https://127.0.0.1:${port}/` },
  ] as const) {
    const controller = new AbortController();
    const running = probe(spec, { timeoutMs: 60_000, signal: controller.signal });
    await eventually('it is under way', () => connecting() > before);
    controller.abort(new Error('enough'));
    await assert.rejects(running, { message: 'enough' });
    await eventually(`nothing is left of ${spec.kind}`, () => connecting() === before, 1000);
  }
});
