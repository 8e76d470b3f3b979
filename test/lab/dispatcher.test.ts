import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { DeadlineError, withDeadline } from '../../lib/clock.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { Bench, TOKEN, record } from './world.ts';

const ORIGIN = 'https://10.88.0.1:8006';

function made(): { bench: Bench; dispatcher: Dispatcher } {
  const bench = new Bench();
  const dispatcher = labDispatcher(
    bench.lab,
    bench.clock,
    (origin) => `pve${new URL(origin).hostname.split('.')[3] ?? ''}`,
  );
  return { bench, dispatcher };
}

async function get(
  dispatcher: Dispatcher,
  path: string,
  options: { signal?: AbortSignal } = {},
): Promise<{ status: number; text: string; body: string; type: unknown }> {
  const answer = await request(`${ORIGIN}${path}`, {
    dispatcher,
    headers: { Authorization: TOKEN },
    ...options,
  });
  return {
    status: answer.statusCode,
    text: answer.statusText,
    body: await answer.body.text(),
    type: answer.headers['content-type'],
  };
}

test('undici.request works through it: status, reason phrase, headers, body', async () => {
  const { bench, dispatcher } = made();
  const version = await bench.clock.run(get(dispatcher, '/api2/json/version'));
  assert.deepEqual(
    [version.status, version.text, version.type],
    [200, 'OK', 'application/json;charset=UTF-8'],
  );
  assert.equal(record(record(JSON.parse(version.body))['data'])['release'], '8.4');
  const missing = await bench.clock.run(get(dispatcher, '/api2/json/nodes/pve1/lxc/999/config'));
  assert.equal(
    `${missing.status} ${missing.text}`,
    "500 Configuration file 'nodes/pve1/lxc/999.conf' does not exist",
  );
  bench.lab.kill('pve2');
  await bench.clock.advance(60_000);
  const dead = await bench.clock.run(get(dispatcher, '/api2/json/nodes/pve2/lxc'));
  assert.deepEqual([dead.status, dead.text, dead.body], [595, 'No route to host', '']);
});

test('a body and a query arrive', async () => {
  const { bench, dispatcher } = made();
  const answer = await bench.clock.run(
    request(`${ORIGIN}/api2/json/nodes/pve1/lxc/101/config`, {
      dispatcher,
      method: 'PUT',
      headers: { authorization: TOKEN, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'onboot=0',
    }),
  );
  assert.equal(answer.statusCode, 200);
  await answer.body.dump();
  assert.equal(bench.lab.status().containers[0]?.onboot, false);
  const next = await bench.clock.run(
    request(`${ORIGIN}/api2/json/cluster/nextid`, {
      dispatcher,
      headers: { authorization: TOKEN },
      query: { vmid: 555 },
    }),
  );
  assert.deepEqual(await bench.clock.run(next.body.json()), { data: '555' });
});

test('there is no way to a dead endpoint, a cut one never answers until the caller gives up', async () => {
  const { bench, dispatcher } = made();
  bench.lab.cut('pve1');
  const before = bench.clock.now();
  const slow = withDeadline(bench.clock, 4_000, undefined, (signal) =>
    get(dispatcher, '/api2/json/version', { signal }),
  );
  await assert.rejects(bench.clock.run(slow), DeadlineError);
  assert.equal(bench.clock.now() - before, 4_000);
  bench.lab.kill('pve1');
  await assert.rejects(bench.clock.run(get(dispatcher, '/api2/json/version')), { code: 'EHOSTUNREACH' });
});

test('handlers of the new style are served in order, and may abort', async () => {
  const { bench, dispatcher } = made();
  const calls: string[] = [];
  const options = {
    origin: ORIGIN,
    path: '/api2/json/version',
    method: 'GET',
    headers: ['Authorization', TOKEN],
  } as const;
  await bench.clock.run(
    new Promise<void>((resolve, reject) => {
      dispatcher.dispatch(
        { ...options, headers: [...options.headers] },
        {
          onRequestStart: () => calls.push('start'),
          onResponseStart: (_controller, status, headers, text) =>
            calls.push(`${status} ${text ?? ''} ${String(headers['server'])}`),
          onResponseData: (_controller, chunk) => calls.push(`${chunk.length > 20}`),
          onResponseEnd: () => resolve(),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    }),
  );
  assert.deepEqual(calls, ['start', '200 OK pve-api-daemon/3.0', 'true']);
  const aborted = new Promise<Error>((resolve) => {
    dispatcher.dispatch(
      { ...options, headers: [...options.headers] },
      {
        onRequestStart: (controller) => controller.abort(new Error('changed my mind')),
        onResponseStart: () => assert.fail('must not answer'),
        onResponseError: (_controller, error) => resolve(error),
      },
    );
  });
  assert.equal((await bench.clock.run(aborted)).message, 'changed my mind');
});

test('it can be closed and composed like any dispatcher', async () => {
  const { bench, dispatcher } = made();
  assert.equal(typeof dispatcher.compose, typeof new Agent().compose);
  bench.lab.cut('pve1');
  const pending = get(dispatcher, '/api2/json/version');
  await bench.clock.advance(100);
  await Promise.all([assert.rejects(pending, /destroyed/), dispatcher.destroy()]);
  await dispatcher.close();
});
