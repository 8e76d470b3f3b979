import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startPlugs, type LabPlugs } from '../../lib/lab/plugs.ts';
import { FakeLab } from './fake-lab.ts';
import { occupy, tcp } from './sockets.ts';

async function start(t: TestContext, lab: FakeLab): Promise<LabPlugs> {
  const plugs = await startPlugs({ lab, nodes: ['pve1', 'pve2'], port: 0 });
  t.after(() => plugs.close());
  return plugs;
}

async function get(url: string, method = 'GET'): Promise<[number, unknown]> {
  const response = await fetch(url, { method });
  return [response.status, await response.json()];
}

test("a plug is read and switched, one node's without the other's", async (t) => {
  const lab = new FakeLab('pve1', 'pve2');
  const plugs = await start(t, lab);
  assert.deepEqual(await get(plugs.url('pve1')), [200, { ison: true }]);
  assert.deepEqual(await get(`${plugs.url('pve1')}?turn=off`), [200, { ison: false }]);
  assert.equal(lab.plug('pve1'), 'off');
  assert.deepEqual(await get(plugs.url('pve1')), [200, { ison: false }]);
  assert.deepEqual(await get(plugs.url('pve2')), [200, { ison: true }]);
  assert.deepEqual(await get(`${plugs.url('pve1')}?turn=on`), [200, { ison: true }]);
});

test("a node's death does not take its plug along", async (t) => {
  const lab = new FakeLab('pve1', 'pve2');
  const plugs = await start(t, lab);
  lab.kill('pve1');
  lab.cut('pve2');
  assert.equal((await get(plugs.url('pve1')))[0], 200);
  assert.deepEqual(await get(`${plugs.url('pve2')}?turn=off`), [200, { ison: false }]);
});

test('what is no plug is refused, and switches nothing', async (t) => {
  const lab = new FakeLab('pve1', 'pve2');
  const plugs = await start(t, lab);
  assert.equal((await get(`${plugs.url('pve9')}?turn=off`))[0], 404);
  assert.equal((await get(`http://127.0.0.1:${plugs.port}//`))[0], 404);
  assert.equal((await get(`${plugs.url('pve1')}?turn=toggle`))[0], 400);
  assert.equal((await get(`${plugs.url('pve1')}?turn=off`, 'POST'))[0], 405);
  assert.equal(lab.plug('pve1'), 'on');
});

test('a taken port is told, and close frees the port', async (t) => {
  const lab = new FakeLab('pve1');
  const port = await occupy(t);
  await assert.rejects(startPlugs({ lab, nodes: ['pve1'], port }), /the smart plugs cannot listen on/);
  const plugs = await startPlugs({ lab, nodes: ['pve1'], port: 0 });
  await plugs.close();
  assert.equal(await tcp(plugs.port), 'ECONNREFUSED');
});
