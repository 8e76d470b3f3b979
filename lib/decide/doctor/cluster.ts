/** Each cluster as a whole: quorum, votes, versions, clocks, nodes. Pure. */
import { formatDuration } from '../../units.ts';
import { guardMeasured } from '../guard.ts';
import type { Finding, Subject } from './facts.ts';
import { byNode, finding, listed, type ClusterLook, type Look } from './look.ts';
import { deviceVotes, quorateWithout } from './suppose.ts';

/** Times in names and lists are compared with the runner's: from here on it can go wrong. */
const CLOCK_WARN_MS = 5_000;
/** A backup that seems made further in the future than this is not used (backups.ts). */
const CLOCK_FAIL_MS = 60_000;
const OLDEST = 8;

export function checkClusters(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) => {
    const about: Subject = { cluster: cluster.name, kind: 'cluster', name: cluster.name };
    const unread = cluster.facts.unread.map((text) =>
      finding('unread', 'warn', about, `not checked: ${text}`, null),
    );
    if (cluster.view === null) return [...unseen(cluster, look, about), ...unread];
    return [
      ...votes(cluster, about),
      ...versions(cluster, about),
      ...alone(cluster, about),
      ...nodes(cluster),
      ...limits(cluster, look),
      ...unread,
    ];
  });
}

function unseen({ facts, name }: ClusterLook, look: Look, about: Subject): Finding[] {
  // What is wrong then has been said of its token or its endpoints.
  if (facts.credentialProblem !== null || facts.endpoints.every((e) => !e.ok)) return [];
  const why = look.facts.observation.clusters[name]?.problems ?? [];
  return [
    finding(
      'cluster-unseen',
      'fail',
      about,
      `no quorate view of it can be had: ${why.join('; ') || 'no endpoint has quorum'}`,
      'without quorum nothing is failed over; on a node:',
      ['pvecm status'],
    ),
  ];
}

function votes({ view, facts, containers }: ClusterLook, about: Subject): Finding[] {
  if (view === null || view.standalone) return [];
  const found: Finding[] = [];
  const { qdevice } = facts;
  if (qdevice !== null && qdevice !== 'unread' && !deviceVotes(qdevice.state))
    found.push(
      finding(
        'qdevice-lost',
        'fail',
        about,
        `the QDevice ${qdevice.host} does not vote: ${qdevice.state}`,
        'see that corosync-qnetd runs there and its port 5403 is open; on a node:',
        ['pvecm status', 'systemctl restart corosync-qdevice'],
      ),
    );
  const matters = new Set(containers.flatMap((c) => (c.isProtected && c.at !== null ? [c.at.node] : [])));
  const fragile = view.nodes.filter(
    (n) => n.online && matters.has(n.name) && !quorateWithout(view.nodes, n.name, facts),
  );
  if (fragile.length > 0)
    found.push(
      finding(
        'quorum-fragile',
        'warn',
        about,
        `when ${fragile.map((n) => n.name).join(' or ')} dies the rest has no quorum, and without quorum nothing can be restored${qdevice === 'unread' ? ' (whether there is a QDevice could not be read)' : ''}`,
        'add a QDevice, a third vote on any small machine; there `apt install corosync-qnetd`, then on a node:',
        ['pvecm qdevice setup ADDRESS-OF-THAT-MACHINE'],
      ),
    );
  return found;
}

function versions({ view, facts }: ClusterLook, about: Subject): Finding[] {
  const read = facts.nodes.flatMap(({ name, version }) => (version === null ? [] : [{ name, version }]));
  if (read.length === 0 && view?.version != null) read.push({ name: 'it', version: view.version });
  const major = (version: string): number => Number(version.split('.')[0]);
  const found: Finding[] = [];
  const old = read.filter(({ version }) => major(version) < OLDEST);
  if (old.length > 0)
    found.push(
      finding(
        'version-unsupported',
        'fail',
        about,
        `${listed(old.map(({ name, version }) => `${name} runs Proxmox VE ${version}`))}: 8 or newer is needed`,
        'upgrade it',
      ),
    );
  const majors = [...new Set(read.map(({ version }) => major(version)))].toSorted((a, b) => a - b);
  if (majors.length > 1)
    found.push(
      finding(
        'version-mixed',
        'warn',
        about,
        `the nodes run Proxmox VE ${listed(read.map(({ name, version }) => `${version} (${name})`))}: a backup of a newer one may not restore on an older one`,
        'end the upgrade',
      ),
    );
  const fresh = read.filter(({ version }) => major(version) >= OLDEST && !guardMeasured(version));
  if (fresh.length > 0)
    found.push(
      finding(
        'version-unmeasured',
        'note',
        about,
        `Proxmox VE ${listed([...new Set(fresh.map(({ version }) => version))])}: what ProxWarden knows was measured on 8.4; the guard against a returning original counts as absent (a failover from a dead node needs failover.returnRisk: accepted, or failover.autostart: proxwarden)`,
      ),
    );
  return found;
}

function alone({ name, view, containers }: ClusterLook, about: Subject): Finding[] {
  const ours = containers.filter((c) => c.isProtected);
  if (view?.standalone !== true || ours.length === 0) return [];
  const stuck = ours.filter(({ container }) => container.nodes.every((target) => target.cluster === name));
  return [
    finding(
      'standalone',
      'note',
      about,
      stuck.length === 0
        ? "it is a stand-alone node: when it dies, no other node can say so, and it is not powered off by itself: a person's word (`fence confirm`) or a plug that reads off is needed"
        : `it is a stand-alone node: what fails on it is restarted in place; when it dies, nothing takes over ${listed(stuck.map((c) => c.container.name))}`,
      stuck.length === 0
        ? null
        : 'name a node of another cluster, or another stand-alone one: nodes: [CLUSTER/NODE]',
    ),
  ];
}

function nodes({ name, facts, view }: ClusterLook): Finding[] {
  return (view?.nodes ?? []).flatMap((node): Finding[] => {
    const about: Subject = { cluster: name, kind: 'node', name: node.name };
    if (!node.online)
      return [
        finding(
          'node-offline',
          'fail',
          about,
          'it is offline',
          'bring it back, or take it out of the inventory',
        ),
      ];
    if (node.apiAnswers !== true)
      return [
        finding(
          'node-offline',
          'fail',
          about,
          'it is in the cluster, and its API does not answer',
          'on it:',
          ['systemctl restart pveproxy pvedaemon'],
        ),
      ];
    const offset = facts.nodes.find((n) => n.name === node.name)?.clockOffsetMs ?? 0;
    const off = Math.abs(offset);
    if (off < CLOCK_WARN_MS) return [];
    return [
      finding(
        'clock-off',
        off < CLOCK_FAIL_MS ? 'warn' : 'fail',
        about,
        `its clock is ${formatDuration(off)} ${offset > 0 ? 'ahead of' : 'behind'} this machine's${off < CLOCK_FAIL_MS ? '' : ': ages of backups are wrong, and those “in the future” are refused'}`,
        'let both follow NTP; on the one that is wrong:',
        ['chronyc tracking', 'timedatectl'],
      ),
    ];
  });
}

function limits({ name, containers }: ClusterLook, { inventory }: Look): Finding[] {
  const { failoversPerHour } = inventory.limits;
  const automatic = containers.filter((c) => c.isProtected && c.container.failover.auto);
  return [...byNode(automatic)].flatMap(([node, on]) =>
    on.length <= failoversPerHour
      ? []
      : [
          finding(
            'limits-low',
            'warn',
            { cluster: name, kind: 'node', name: node },
            `${on.length} containers on it are failed over automatically, and limits.failoversPerHour is ${failoversPerHour}: the others would wait for an hour`,
            'raise limits.failoversPerHour, or spread them',
          ),
        ],
  );
}
