import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { DeadlineError, systemClock, withDeadline } from '../lib/clock.ts';

/** What a slow disk, or pmxcfs while membership changes, does to a whole process. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('an answer that came while the process stood still is not late', async (t) => {
  const server = createServer((_, response) => response.end('in time'));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const asked = withDeadline(systemClock, 300, undefined, async (signal) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal });
    return response.text();
  });
  standStill(1_000);
  assert.equal(await asked, 'in time');
});

test('without an answer it ends all the same, and not much later', async () => {
  const begun = systemClock.now();
  const silent = withDeadline(systemClock, 300, undefined, () => new Promise(() => undefined));
  standStill(1_000);
  await assert.rejects(silent, DeadlineError);
  assert.ok(systemClock.now() - begun >= 1_300, 'it had 300 ms more');
});
