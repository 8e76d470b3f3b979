/** Fences: is there one where it is needed, does it answer, does it tell the truth. Pure. */
import type { FenceConfig } from '../../inventory/types.ts';
import { requiredLevel } from '../proof.ts';
import { leastEpochOf } from '../incarnations.ts';
import type { Finding, Subject } from './facts.ts';
import { switchesPower } from '../power.ts';
import { isArmed } from '../watchdog.ts';
import { byNode, finding, listed, type ClusterLook, type Look } from './look.ts';

/** Below this level a dead node needs no fence. */
const FENCE_LEVEL = 2;

export function checkFences(look: Look): Finding[] {
  return [
    ...look.clusters.flatMap((cluster) =>
      cluster.view === null ? [] : [...states(cluster), ...absent(cluster), ...bystanders(cluster, look)],
    ),
    ...shared(look),
  ];
}

function onNode(cluster: string, name: string): Subject {
  return { cluster, kind: 'node', name };
}

function states({ name: cluster, config, view }: ClusterLook): Finding[] {
  return Object.entries(config.nodes).flatMap(([name, { fence }]): Finding[] => {
    const about = onNode(cluster, name);
    const node = view?.nodes.find((n) => n.name === name);
    if (node === undefined)
      return fence.length === 0
        ? []
        : [
            finding(
              'fence-of-nobody',
              'warn',
              about,
              `it has a fence in the inventory, and ${cluster} has no such node (${listed(view?.nodes.map((n) => n.name) ?? [])})`,
              'correct its name under nodes',
            ),
          ];
    const reads = view?.fences.filter((f) => f.node === name && f.driver !== 'manual') ?? [];
    return reads.flatMap((read) => {
      if (read.power === 'unknown')
        return [
          finding(
            'fence-silent',
            'fail',
            about,
            `its ${read.driver} fence can't be read: ${read.detail}`,
            'without an answer the node is never taken for off; see the device, then',
            [`proxwarden fence status ${cluster}/${name}`],
          ),
        ];
      if (read.power === 'off' && node.online)
        return [
          finding(
            'fence-reads-off',
            'fail',
            about,
            `its ${read.driver} fence says off (${read.detail}), and the node is on: the wrong plug, or the wrong field or value in status`,
            'it would prove a running node dead; correct it before anything else, then',
            [`proxwarden fence status ${cluster}/${name}`],
          ),
        ];
      return [];
    });
  });
}

/** Nodes with containers that are only moved when the node is proven off. */
function absent({ name: cluster, config, view, containers }: ClusterLook): Finding[] {
  if (view?.standalone === true) return [];
  const demanding = containers.filter(
    (c) => c.isProtected && requiredLevel(c.container.failover) >= FENCE_LEVEL,
  );
  return [...byNode(demanding)].flatMap(([node, on]): Finding[] => {
    const fences = config.nodes[node]?.fence ?? [];
    if (fences.some(switchesPower)) return [];
    const who = listed(on.map((c) => c.container.name));
    const about = onNode(cluster, node);
    const byHand = fences.some((f) => f.driver === 'manual');
    if (fences.some((f) => f.driver === 'ha-watchdog')) {
      const read =
        view === null ? null : view.fences.find((f) => f.node === node && f.driver === 'ha-watchdog');
      if (view === null || isArmed(view, node)) return [];
      return [
        finding(
          'fence-not-armed',
          byHand ? 'warn' : 'fail',
          about,
          `its HA watchdog proves nothing (${read?.detail ?? 'not read'}): if it died now, ${who} ${byHand ? 'would wait for your word' : "couldn't be failed over"}`,
          'it is armed while Proxmox VE runs a guest of that node under HA, on 8.x; or give it a smart plug',
        ),
      ];
    }
    return !byHand
      ? [
          finding(
            'fence-missing',
            'fail',
            about,
            `it has no fence${fences.length === 0 ? '' : ` that proves anything (${fences.map((f) => f.driver).join(', ')} are for people)`}: when it dies ${who} can't be failed over, not even by hand`,
            `give it a smart plug under nodes.${node}.fence (README), or at least take a person's word: \`fence: [manual]\``,
          ),
        ]
      : [
          finding(
            'fence-manual',
            'note',
            about,
            `its only fence is a person: when it dies ${who} wait${on.length === 1 ? 's' : ''} until somebody has looked and said so`,
            'a smart plug would make it automatic',
          ),
        ];
  });
}

/** Guests of nobody's that a fence takes down as well, should the node only have been cut off. */
function bystanders({ name: cluster, config, view }: ClusterLook, { inventory }: Look): Finding[] {
  const ours = Object.values(inventory.containers).filter(
    (c) => c.cluster === cluster && c.mode === 'protect',
  );
  return Object.entries(config.nodes).flatMap(([node, { fence }]) => {
    if (!fence.some(switchesPower)) return [];
    const here = view?.guests.filter((g) => g.node === node && !g.template) ?? [];
    const mine = here.filter((g) => ours.some((c) => leastEpochOf(c, cluster, g.vmid) !== null));
    const others = here.filter((g) => !mine.includes(g) && g.status === 'running');
    if (mine.length === 0 || others.length === 0) return [];
    return [
      finding(
        'bystanders',
        'note',
        onNode(cluster, node),
        `a fence takes down what else runs on it: ${listed(others.map((g) => `${g.name || 'a guest'} (${g.type === 'lxc' ? 'CT' : 'VM'} ${g.vmid})`))}`,
        'nobody starts them elsewhere: protect the containers among them, too, if they matter',
      ),
    ];
  });
}

function shared({ clusters }: Look): Finding[] {
  const users = new Map<string, Subject[]>();
  for (const { name: cluster, config } of clusters)
    for (const [node, { fence }] of Object.entries(config.nodes))
      for (const device of fence.flatMap(deviceOf))
        users.set(device, [...(users.get(device) ?? []), onNode(cluster, node)]);
  return [...users].flatMap(([device, nodes]) => {
    const [first, ...others] = nodes;
    if (first === undefined || others.length === 0) return [];
    return [
      finding(
        'fence-shared',
        'fail',
        first,
        `its plug is that of ${listed(others.map((n) => n.name))} as well (${device}): switching one off takes down the other`,
        'give each node the address of its own plug',
      ),
    ];
  });
}

/** What is switched, so that two nodes on one thing can be told. */
function deviceOf(fence: FenceConfig): string[] {
  switch (fence.driver) {
    case 'http':
      return [`${fence.off.url}${fence.off.body === undefined ? '' : ` ${fence.off.body}`}`];
    case 'agent': {
      const options = Object.entries(fence.options).toSorted(([a], [b]) => (a < b ? -1 : 1));
      return [`${fence.agent} ${options.map(([name, value]) => `${name}=${value}`).join(' ')}`];
    }
    case 'redfish':
      return [`${fence.url} ${fence.system ?? ''}`.trimEnd()];
    case 'all':
      return fence.of.flatMap(deviceOf);
    case 'ha-watchdog':
    case 'pve':
    case 'ssh':
    case 'manual':
      return [];
  }
}
