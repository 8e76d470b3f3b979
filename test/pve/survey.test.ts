import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Survey } from '../../lib/pve/survey.ts';
import { client, json, serve } from './harness.ts';

async function answering(t: TestContext, data: unknown): Promise<Survey> {
  const server = await serve((_, response) => json(response, data));
  t.after(() => server.close());
  const api = client([server.endpoint]);
  t.after(() => api.close());
  return api.survey;
}

test('addresses: all of the list, or the one of older versions; not loopback, not link-local', async (t) => {
  const address = (ip: string) => ({ 'ip-address': ip, 'ip-address-type': 'inet', prefix: '24' });
  const lo = {
    name: 'lo',
    hwaddr: '00:00:00:00:00:00',
    inet: '127.0.0.1/8',
    'ip-addresses': [address('127.0.0.1')],
  };
  const now = await answering(t, [
    lo,
    {
      name: 'eth0',
      hwaddr: 'bc:24:11:00:00:01',
      inet: '10.0.0.5/24',
      'ip-addresses': [address('10.0.0.5'), address('10.0.0.6'), address('fe80::1'), address('fd00::5')],
    },
  ]);
  assert.deepEqual(await now.addresses('pve1', 101), ['10.0.0.5', '10.0.0.6', 'fd00::5']);
  const older = await answering(t, [
    { name: 'lo', hwaddr: '00:00:00:00:00:00', inet: '127.0.0.1/8' },
    { name: 'eth0', hwaddr: 'bc:24:11:00:00:01', inet: '10.0.0.5/24', inet6: 'fe80::2/64' },
  ]);
  assert.deepEqual(await older.addresses('pve1', 101), ['10.0.0.5']);
  assert.deepEqual(await (await answering(t, null)).addresses('pve1', 101), []);
});

test('a stand-alone node has no cluster name; a node without a certificate is not listed', async (t) => {
  const alone = await answering(t, [{ type: 'node', name: 'pve', online: 1, local: 1, ip: '10.0.0.11' }]);
  assert.deepEqual(await alone.names(), {
    cluster: null,
    quorate: true,
    nodes: [{ name: 'pve', ip: '10.0.0.11', online: true }],
  });
  const nodes = await answering(t, [{ node: 'pve1', ssl_fingerprint: 'ab:cd' }, { node: 'pve2' }]);
  assert.deepEqual([...(await nodes.certificates())], [['pve1', 'AB:CD']]);
});

test('networks of a config: static addresses, gateways, DHCP', async (t) => {
  const survey = await answering(t, {
    hostname: 'dns',
    net0: 'name=eth0,bridge=vmbr0,gw=10.0.0.1,hwaddr=BC:24:11:00:00:01,ip=10.0.0.5/24,ip6=auto',
    net1: 'name=eth1,bridge=vmbr1,hwaddr=BC:24:11:00:00:02,ip=dhcp',
    net2: 'name=eth2,bridge=vmbr1,hwaddr=BC:24:11:00:00:03,ip=manual',
  });
  const { networks } = await survey.config('pve1', 101);
  assert.deepEqual(networks, [
    { addresses: ['10.0.0.5'], gateways: ['10.0.0.1'], dynamic: true },
    { addresses: [], gateways: [], dynamic: true },
    { addresses: [], gateways: [], dynamic: false },
  ]);
});
