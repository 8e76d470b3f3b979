import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, list, WORLD } from './world.ts';

const LO = {
  name: 'lo',
  hwaddr: '00:00:00:00:00:00',
  'hardware-address': '00:00:00:00:00:00',
  inet: '127.0.0.1/8',
  inet6: '::1/128',
};

/** The interfaces without their lists of addresses, which say the same again. */
async function interfaces(bench: Bench, node: string, vmid: number): Promise<unknown> {
  const entries = list(await bench.data('pve2', 'GET', `/nodes/${node}/lxc/${vmid}/interfaces`));
  for (const entry of entries) {
    const listed = list(entry['ip-addresses']).map(
      (one) => `${String(one['ip-address'])}/${String(one['prefix'])}`,
    );
    const named = [entry['inet'], entry['inet6']].filter((one) => one !== undefined);
    assert.deepEqual(listed, named);
    delete entry['ip-addresses'];
  }
  return entries;
}

test('interfaces: the configured address, or what DHCP gives to the MAC; nothing while the link is down', async () => {
  const hwaddr = 'bc:24:11:00:00:99';
  const bench = new Bench({
    world: {
      ...WORLD,
      containers: [
        ...WORLD.containers,
        {
          vmid: 104,
          node: 'pve1',
          hostname: 'leased',
          running: true,
          ip: 'dhcp',
          mac: hwaddr,
          lease: '10.88.0.150/24',
        },
      ],
    },
  });
  assert.deepEqual(await interfaces(bench, 'pve1', 104), [
    LO,
    { name: 'eth0', hwaddr, 'hardware-address': hwaddr, inet: '10.88.0.150/24' },
  ]);
  const net0 = `name=eth0,bridge=vmbr0,hwaddr=${hwaddr},ip=dhcp,link_down=1`;
  await bench.data('pve1', 'PUT', '/nodes/pve1/lxc/104/config', { net0 });
  assert.deepEqual(await interfaces(bench, 'pve1', 104), [
    LO,
    { name: 'eth0', hwaddr, 'hardware-address': hwaddr },
  ]);
  const [, eth0] = list(await interfaces(bench, 'pve1', 101));
  assert.equal(eth0?.['inet'], '10.88.0.101/24');
  assert.deepEqual(await interfaces(bench, 'pve3', 103), [LO]);
});

test('interfaces of a stopped container, and of one that is not there', async () => {
  const bench = new Bench();
  await bench.task('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop');
  assert.equal(await bench.data('pve1', 'GET', '/nodes/pve1/lxc/101/interfaces'), null);
  const none = await bench.call('pve1', 'GET', '/nodes/pve2/lxc/101/interfaces');
  assert.equal(none.statusText, "Configuration file 'nodes/pve2/lxc/101.conf' does not exist");
});
