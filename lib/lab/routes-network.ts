import type { Call, Route } from './route.ts';
import type { BridgeSpec } from './types.ts';
import type { World } from './world.ts';

export const networkRoutes: readonly Route[] = [{ endpoint: 'GET /nodes/{node}/network', answer: network }];

const PLAIN: readonly BridgeSpec[] = [{ name: 'vmbr0' }];

/** The bridges of a node. */
export function bridgesOn({ spec }: World, node: string): readonly BridgeSpec[] {
  return spec.nodes.find(({ name }) => name === node)?.bridges ?? PLAIN;
}

/** Anybody may ask; bridges that the caller has neither SDN.Audit nor SDN.Use on are left out (PVE's source; unmeasured). */
function network({ world, node, params, caller }: Call): unknown {
  const ip = world.spec.nodes.find(({ name }) => name === node)?.ip ?? '';
  const type = params.text('type');
  const wanted = (of: string): boolean =>
    type === undefined ||
    type === of ||
    (of === 'bridge' && /^any(_local)?_bridge$|^include_sdn$/.test(type));
  const eth = {
    method: 'manual',
    method6: 'manual',
    type: 'eth',
    priority: 3,
    iface: 'eth0',
    families: ['inet'],
    active: 1,
  };
  const bridges = bridgesOn(world, node).filter(({ name }) =>
    caller.mayAny(`/sdn/zones/localnetwork/${name}`, ['SDN.Audit', 'SDN.Use']),
  );
  return [
    ...(wanted('eth') || type === 'include_sdn' ? [eth] : []),
    ...(wanted('bridge') ? bridges.map((bridge, index) => entry(bridge, index, ip)) : []),
  ];
}

/** The first has the node's address. */
function entry(
  { name, ports = 'eth0', vlanAware = false, vids }: BridgeSpec,
  index: number,
  ip: string,
): unknown {
  const address =
    index === 0
      ? {
          address: ip,
          cidr: `${ip}/24`,
          netmask: '24',
          gateway: ip.replace(/\d+$/, '254'),
          method: 'static',
        }
      : { method: 'manual' };
  return {
    autostart: 1,
    families: ['inet'],
    iface: name,
    type: 'bridge',
    bridge_fd: '0',
    bridge_ports: ports,
    priority: 4 + index,
    active: 1,
    bridge_stp: 'off',
    method6: 'manual',
    ...address,
    ...(vlanAware ? { bridge_vlan_aware: 1 } : {}),
    ...(vids === undefined ? {} : { bridge_vids: vids }),
  };
}
