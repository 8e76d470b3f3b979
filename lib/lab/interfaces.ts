/** What `lxc-info` and `ip` say of a container's network, as GET …/interfaces answers. */
import { macOf } from './build.ts';
import { netKeys, parseProperties } from './ct-config.ts';
import type { Call } from './route.ts';
import type { World } from './world.ts';

const LOOPBACK = {
  name: 'lo',
  hwaddr: '00:00:00:00:00:00',
  'hardware-address': '00:00:00:00:00:00',
  inet: '127.0.0.1/8',
  inet6: '::1/128',
  'ip-addresses': [
    { 'ip-address': '127.0.0.1', 'ip-address-type': 'inet', prefix: '8' },
    { 'ip-address': '::1', 'ip-address-type': 'inet6', prefix: '128' },
  ],
};

/** Addresses as configured, or as DHCP gave them; none while the link is down. */
export function interfaces({ world, node, params }: Call): unknown {
  const vmid = params.vmid();
  const { config } = world.guests.config(node, vmid);
  // Of a stopped one there is no network to look at (unmeasured: from PVE's source).
  if (world.guests.copy(node, vmid) === undefined) return null;
  const nets = netKeys(config).map((key) => parseProperties(config.values.get(key) ?? ''));
  return [LOOPBACK, ...nets.map((net) => interfaceOf(world, net))];
}

function interfaceOf(world: World, net: ReadonlyMap<string, string>): unknown {
  const hwaddr = (net.get('hwaddr') ?? '').toLowerCase();
  const addresses = net.get('link_down') === '1' ? [] : addressesOf(world, net);
  const first = (type: string): string | undefined => addresses.find((one) => one.type === type)?.cidr;
  const [inet, inet6] = [first('inet'), first('inet6')];
  return {
    name: net.get('name') ?? 'eth0',
    hwaddr,
    'hardware-address': hwaddr,
    ...(inet === undefined ? {} : { inet }),
    ...(inet6 === undefined ? {} : { inet6 }),
    'ip-addresses': addresses.map(({ type, cidr }) => {
      const [address, prefix] = cidr.split('/');
      return { 'ip-address': address, 'ip-address-type': type, prefix };
    }),
  };
}

function addressesOf(
  world: World,
  net: ReadonlyMap<string, string>,
): { type: 'inet' | 'inet6'; cidr: string }[] {
  const given = net.get('ip') === 'dhcp' ? leaseOf(world, net.get('hwaddr') ?? '') : net.get('ip');
  const given6 = net.get('ip6');
  return [
    ...(given?.includes('/') === true ? [{ type: 'inet' as const, cidr: given }] : []),
    ...(given6?.includes('/') === true ? [{ type: 'inet6' as const, cidr: given6 }] : []),
  ];
}

/** DHCP knows a MAC, wherever it comes from. */
function leaseOf(world: World, mac: string): string | undefined {
  return world.spec.containers.find((one) => (one.mac ?? macOf(one.vmid)).toUpperCase() === mac.toUpperCase())
    ?.lease;
}
