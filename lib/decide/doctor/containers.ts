/** Each container: is it there, does it answer, could it be acted on, would its original stay down. Pure. */
import { formatDuration } from '../../units.ts';
import { probesPass } from '../verdict.ts';
import type { HaEntry } from '../model.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';
import { checkReturns } from './returns.ts';
import { hostOf, isLoopback } from './suppose.ts';

export function checkContainers(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) =>
    cluster.view === null
      ? []
      : cluster.containers.flatMap((one) => {
          const about: Subject = { cluster: cluster.name, kind: 'container', name: one.container.name };
          if (one.at === null) return missing(cluster, one, about);
          return [
            ...condition(cluster, one, look, about),
            ...answers(one, look, about),
            ...(one.isProtected ? served(cluster, one, about) : []),
            // That it is HA's has been said, and what to do.
            ...(one.isProtected && managedByHa(cluster, one.at) === undefined
              ? checkReturns(cluster, one, about)
              : []),
          ];
        }),
  );
}

function missing(
  cluster: ClusterLook,
  { container, incarnations }: ContainerLook,
  about: Subject,
): Finding[] {
  const vm = cluster.view?.guests.find((g) => g.vmid === container.vmid && g.type === 'qemu');
  return [
    finding(
      'container-missing',
      'fail',
      about,
      vm === undefined
        ? `vmid ${container.vmid} is not in cluster ${cluster.name}, or the token may not see it${incarnations.problems.length > 0 ? ` (${incarnations.problems.join('; ')})` : ''}`
        : `vmid ${container.vmid} is a virtual machine (${vm.name}), and only containers can be protected`,
      `correct vmid or cluster (${container.file}:${container.line}), or take it out; the token needs VM.Audit on /vms`,
    ),
  ];
}

function condition(
  cluster: ClusterLook,
  { container, at, detail, incarnations, isProtected }: ContainerLook,
  { facts }: Look,
  about: Subject,
): Finding[] {
  const found: Finding[] = [];
  if (incarnations.problems.length > 0)
    found.push(
      finding(
        'drift',
        'fail',
        about,
        incarnations.problems.join('; '),
        'bring inventory and cluster together, then',
        [`proxwarden ack ${container.name}`],
      ),
    );
  const record = facts.state.containers[container.name];
  if (record?.error != null)
    found.push(
      finding(
        'hands-off',
        'fail',
        about,
        `operation ${record.error.operation} failed ${formatDuration(Math.max(facts.at - record.error.at, 0))} ago (${record.error.reason}): nothing is done for it until somebody has looked`,
        'look into it, then',
        [`proxwarden ack ${container.name}`],
      ),
    );
  if (detail === null) return found;
  if (detail.template)
    found.push(
      finding(
        'container-template',
        'fail',
        about,
        `CT ${detail.vmid} is a template: it never runs`,
        'correct its vmid',
      ),
    );
  if (detail.lock !== null && isProtected)
    found.push(
      finding(
        'container-locked',
        'fail',
        about,
        `CT ${detail.vmid} on ${detail.node} is locked (${detail.lock}): it can be neither backed up, stopped nor started`,
        `if no task is at work on it (a lock outlives a crash), on ${detail.node}:`,
        [`pct unlock ${detail.vmid}`],
      ),
    );
  if (detail.status === 'stopped' && !detail.template)
    found.push(
      finding(
        'container-stopped',
        'warn',
        about,
        `CT ${detail.vmid} is stopped${detail.lastTask === null ? '' : `, by ${detail.lastTask.user} (${detail.lastTask.type})`}: one that a person has stopped is left alone`,
        `start it, or set mode: off; on ${at?.node ?? 'its node'}:`,
        [`pct start ${detail.vmid}`],
      ),
    );
  if (isProtected && !container.failover.auto)
    found.push(
      finding(
        'auto-off',
        'note',
        about,
        'it is watched, and failed over only by hand (failover.auto: false)',
        'set failover.auto: true when nothing else is left to do here',
      ),
    );
  const ha = managedByHa(cluster, at);
  if (ha !== undefined && isProtected)
    found.push(
      finding(
        'ha-managed',
        'fail',
        about,
        `Proxmox VE's own HA manager runs it (${ha.sid}, ${ha.state}), and two masters are one too many`,
        'leave it to HA and take it out of the inventory, or',
        [`ha-manager remove ${ha.sid}`],
      ),
    );
  return found;
}

/** The HA manager's entry that keeps it running. */
function managedByHa({ view }: ClusterLook, at: ContainerLook['at']): HaEntry | undefined {
  const entry = view?.ha.find((e) => e.sid === `ct:${at?.vmid ?? 0}`);
  return entry?.state === 'started' || entry?.state === 'enabled' ? entry : undefined;
}

function answers({ container, detail, isProtected }: ContainerLook, look: Look, about: Subject): Finding[] {
  const probes = look.facts.observation.probes[container.name] ?? [];
  const found: Finding[] = [];
  const bad = probes.filter((p) => !p.ok);
  if (bad.length > 0)
    found.push(
      finding(
        'check-fails',
        probesPass(container, probes) ? 'warn' : 'fail',
        about,
        listed(bad.map((p) => `${p.probe}: ${p.reason}`)),
        'mend the service or the check: as it is, it counts towards a failover',
      ),
    );
  if (!isProtected || detail === null || detail.ips.length === 0) return found;
  const hosts = container.checks.map((spec) => hostOf(spec)).filter((host) => isAddress(host));
  // Of the other family it may have an address that its config doesn't know (SLAAC, DHCP).
  const known = (host: string): boolean =>
    isLoopback(host) || detail.ips.some((ip) => ip.includes(':') === host.includes(':'));
  const elsewhere = [...new Set(hosts.filter((host) => !detail.ips.includes(host) && known(host)))];
  if (elsewhere.length > 0)
    found.push(
      finding(
        'check-elsewhere',
        'warn',
        about,
        `its checks go to ${listed(elsewhere)}, and its own address is ${listed(detail.ips)}: ${elsewhere.every(isLoopback) ? 'a forwarding on this machine' : 'a proxy'} may answer when the container is dead, and that blocks a failover`,
        'let them go to its own address',
      ),
    );
  return found;
}

/** Names are not resolved: what they point to can change. */
function isAddress(host: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) || host.includes(':') || isLoopback(host);
}

/** What Proxmox VE itself could do better. */
function served({ facts, view }: ClusterLook, { at, detail }: ContainerLook, about: Subject): Finding[] {
  const found: Finding[] = [];
  const better =
    'Proxmox VE’s own HA can restart it elsewhere without the loss since the last backup (three votes needed): `ha-manager add`';
  if (at !== null && facts.replicated?.includes(at.vmid) === true)
    found.push(finding('replicated', 'note', about, 'it has a storage replication job', better));
  const storages = new Set(detail?.storages);
  const common = [...storages].filter((id) => view?.storages.some((s) => s.storage === id && s.shared));
  if (storages.size > 0 && common.length === storages.size)
    found.push(
      finding('disk-shared', 'note', about, `its disks are on shared storage (${listed(common)})`, better),
    );
  return found;
}
