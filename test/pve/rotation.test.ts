/** Dead endpoints: found once, remembered, not waited for again, and noticed when they live again. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { Lab } from '../../lib/lab/lab.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import { countingHex, TOKEN, WORLD } from '../lab/world.ts';

const ENDPOINTS = ['https://10.88.0.1', 'https://10.88.0.2', 'https://10.88.0.3'];

interface Bench {
  readonly lab: Lab;
  readonly clock: VirtualClock;
  readonly api: PveApi;
  /** Virtual milliseconds until it has settled. */
  readonly took: (work: () => Promise<unknown>) => Promise<number>;
}

function bench(t: TestContext, endpoints = ENDPOINTS): Bench {
  const clock = new VirtualClock();
  const lab = new Lab({ clock, world: WORLD, randomHex: countingHex() });
  const dispatcher = labDispatcher(lab, clock, (origin) => `pve${origin.slice(-1)}`);
  const api = createPveClient({
    cluster: 'home',
    endpoints,
    credentials: { kind: 'token', token: TOKEN.slice('PVEAPIToken='.length) },
    tls: { kind: 'system' },
    timeoutMs: 10_000,
    runtime: { clock, dispatcher: () => Promise.resolve(dispatcher) },
  });
  t.after(() => lab.close());
  const took: Bench['took'] = async (work) => {
    const begun = clock.now();
    await clock.run(
      work().then(
        () => undefined,
        () => undefined,
      ),
    );
    return clock.now() - begun;
  };
  return { lab, clock, api, took };
}

test('a silent endpoint costs its deadline once; later looks wait a second, other calls not at all', async (t) => {
  const { lab, api, took } = bench(t);
  lab.cut('pve1');
  const look = (): Promise<unknown> => Promise.all(ENDPOINTS.map((endpoint) => api.endpointView(endpoint)));
  assert.equal(await took(look), 4000);
  assert.equal(await took(look), 1000);
  assert((await took(() => api.version())) < 100);
});

test('a dead endpoint that lives again is seen at once', async (t) => {
  const { lab, clock, api, took } = bench(t);
  lab.cut('pve1');
  await took(() => api.endpointView(ENDPOINTS[0] ?? ''));
  lab.mendNetwork('pve1');
  await clock.advance(5000);
  assert.equal((await clock.run(api.endpointView(ENDPOINTS[0] ?? ''))).ok, true);
});

test('with one endpoint only there is nothing to gain from haste', async (t) => {
  const { lab, api, took } = bench(t, ENDPOINTS.slice(0, 1));
  lab.cut('pve1');
  assert.equal(await took(() => api.endpointView(ENDPOINTS[0] ?? '')), 4000);
  assert.equal(await took(() => api.endpointView(ENDPOINTS[0] ?? '')), 4000);
});

test('a write that got no answer: what came of it is read through another endpoint, without a second wait', async (t) => {
  const { lab, api, took } = bench(t);
  lab.cut('pve1');
  const about = { vmid: 102, since: 0 };
  assert.equal(await took(() => api.createHaGroup('g', ['pve2'])), 10_000);
  assert((await took(() => api.tasks('pve2', about))) < 100);
});

test('a refused token is an answer, though it takes three seconds', async (t) => {
  const { lab, clock } = bench(t);
  const dispatcher = labDispatcher(lab, clock, () => 'pve1');
  const api = createPveClient({
    cluster: 'home',
    endpoints: ENDPOINTS,
    credentials: { kind: 'token', token: 'proxwarden@pve!cli=wrong' },
    tls: { kind: 'system' },
    timeoutMs: 10_000,
    runtime: { clock, dispatcher: () => Promise.resolve(dispatcher) },
  });
  const view = await clock.run(api.endpointView(ENDPOINTS[0] ?? ''));
  assert.equal(view.failure, 'auth');
  assert.match(view.error ?? '', /^the API of cluster home refuses the token \(Authentication failed!\)/);
});
