/** The machine that ProxWarden runs on, and what tells its own trouble from the cluster's. Pure. */
import { formatDuration } from '../../units.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type Look } from './look.ts';
import { addressesOn, hostOf } from './suppose.ts';

const SILENT_INTERVALS = 3;

export function checkRunner(look: Look): Finding[] {
  const { runner } = look.facts;
  const about: Subject = { cluster: null, kind: 'runner', name: 'this machine' };
  const found: Finding[] = [];
  if (runner.stateProblem !== null)
    found.push(
      finding(
        'state-unusable',
        'fail',
        about,
        `the state folder ${runner.stateDir} can't be used: ${runner.stateProblem}`,
        'make it writable for the user that runs ProxWarden, or name another one: --state DIR or $PROXWARDEN_STATE',
      ),
    );
  found.push(...place(look, about), ...cron(look, about), ...ownPlace(look, about));
  return found;
}

/** What the file system of the state folder means for it. */
function place(look: Look, about: Subject): Finding[] {
  const { facts } = look;
  const { stateDir, stateFs } = facts.runner;
  const on = `the state folder ${stateDir} is on ${stateFs.type ?? 'an unknown file system'}`;
  const elsewhere = 'name a folder on a disk of this machine: --state DIR or $PROXWARDEN_STATE';
  switch (stateFs.kind) {
    case 'own':
      return [];
    case 'cluster':
      return alone(look, about);
    case 'refused':
      return [
        finding('state-unsafe', 'fail', about, `${on}: ${stateFs.why}; nothing is done with it`, elsewhere),
      ];
    case 'volatile':
      return [
        finding(
          'state-volatile',
          'warn',
          about,
          `${on}, which goes with its container or at the next boot: counts begin anew then, and pauses, maintenance and hands-off are forgotten`,
          elsewhere,
        ),
      ];
    case 'shared':
      return [
        finding(
          'state-shared',
          'note',
          about,
          `${on}: runners on several machines may share it; one that dies while it holds the lock, for milliseconds, keeps the others waiting until its machine is back or somebody frees it`,
          null,
        ),
      ];
    case 'unknown':
      return [
        finding(
          'state-untried',
          'note',
          about,
          `${on}, which nobody has tried: let one runner alone use it`,
          null,
        ),
      ];
  }
}

function cron({ facts, inventory }: Look, about: Subject): Finding[] {
  const automatic = Object.values(inventory.containers).filter(
    (c) => c.mode === 'protect' && c.failover.auto,
  );
  if (automatic.length === 0) return [];
  const interval = Math.max(...automatic.map((c) => c.intervalMs));
  const last = facts.state.lastRunAt;
  const fix = 'let cron run `proxwarden check-and-failover` once per interval (README, step 5)';
  if (last === null)
    return [
      finding('cron-never', 'note', about, 'check-and-failover has never run with this state folder', fix),
    ];
  const age = facts.at - last;
  return age <= SILENT_INTERVALS * interval
    ? []
    : [
        finding(
          'cron-silent',
          'warn',
          about,
          `check-and-failover ran last ${formatDuration(age)} ago, and the interval is ${formatDuration(interval)}: nothing is watched`,
          fix,
        ),
      ];
}

function ownPlace({ clusters, facts }: Look, about: Subject): Finding[] {
  const { addresses, macs, stateFs } = facts.runner;
  const found: Finding[] = [];
  for (const cluster of clusters) {
    const node = cluster.facts.nodes.find((n) => n.ip !== null && addresses.includes(n.ip));
    const hosts = new Set(cluster.containers.filter((c) => c.isProtected).map((c) => c.at?.node));
    // Where all nodes share the state, the others go on.
    if (node !== undefined && hosts.has(node.name) && stateFs.kind !== 'cluster')
      found.push(
        finding(
          'runner-on-node',
          'warn',
          about,
          `this machine is node ${node.name} of ${cluster.name}: when it dies nobody is left to fail its containers over`,
          'run ProxWarden on a machine that is none of the protected nodes: a Raspberry Pi, the NAS, the QDevice',
        ),
      );
    for (const { container, detail } of cluster.containers.filter((c) => c.isProtected))
      if (
        detail?.macs.some((mac) => macs.includes(mac)) === true ||
        detail?.ips.some((ip) => addresses.includes(ip)) === true
      )
        found.push(
          finding(
            'runner-in-container',
            'fail',
            about,
            `this machine is ${container.name} (CT ${detail.vmid}) itself: it can't restore itself`,
            'run ProxWarden outside of the containers that it protects',
          ),
        );
  }
  return found;
}

/** One runner on a node is no better for a state that all nodes share. */
function alone({ facts, inventory }: Look, about: Subject): Finding[] {
  const interval = Math.max(60_000, ...Object.values(inventory.containers).map((c) => c.intervalMs));
  const live = Object.entries(facts.state.runners)
    .filter(([, at]) => facts.at - at <= SILENT_INTERVALS * interval)
    .map(([host]) => host);
  return live.length > 1
    ? []
    : [
        finding(
          'runner-alone',
          'warn',
          about,
          `the nodes share the state, and ${live[0] === undefined ? 'none of them runs' : `only ${live[0]} runs`} check-and-failover: when it dies nobody is left to go on`,
          'let cron run `proxwarden check-and-failover` on every node',
        ),
      ];
}

export function checkCanaries(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) => {
    const about: Subject = { cluster: cluster.name, kind: 'canaries', name: 'canaries' };
    const { canaries } = cluster.config;
    const fix =
      'name things outside of the nodes that answer as long as the runner’s network works: the gateway, the NAS, the backup server';
    const found: Finding[] = [];
    if (canaries.length === 0)
      found.push(
        finding(
          'canaries-none',
          'warn',
          about,
          'there are no canaries: when this machine loses its network every service looks dead to it',
          fix,
        ),
      );
    if (canaries.length === 1)
      found.push(
        finding(
          'canaries-one',
          'warn',
          about,
          `there is one canary (${canaries[0]?.label ?? ''}): when it alone fails, nothing is done any more`,
          fix,
        ),
      );
    const results = new Map(look.facts.observation.canaries.map((probe) => [probe.probe, probe]));
    for (const { label } of canaries) {
      const result = results.get(label);
      if (result !== undefined && !result.ok)
        found.push(
          finding(
            'canary-silent',
            'warn',
            about,
            `${label} does not answer (${result.reason}): with half of them silent nothing is done`,
            'mend it, or take it out of canaries',
          ),
        );
    }
    found.push(...inside(cluster, look, about, fix));
    return found;
  });
}

/** Canaries that fall silent together with a node: fewer than half left, and its death looks like the runner's trouble. */
function inside(cluster: ClusterLook, { facts }: Look, about: Subject, fix: string): Finding[] {
  const { canaries } = cluster.config;
  return cluster.facts.nodes.flatMap(({ name }) => {
    const addresses = addressesOn(facts, cluster.name, name);
    const silent = canaries.filter((spec) => addresses.has(hostOf(spec)));
    if (silent.length === 0 || (canaries.length - silent.length) * 2 >= canaries.length) return [];
    return [
      finding(
        'canary-inside',
        'warn',
        about,
        `${listed(silent.map((spec) => spec.label))} ${silent.length === 1 ? 'is' : 'are'} on ${name}: when it dies fewer than half of the canaries answer, and nothing is done`,
        fix,
      ),
    ];
  });
}

/** For the line of a subject without findings. */
export function canariesSummary(look: Look, cluster: string): string {
  const labels = look.clusters.find((c) => c.name === cluster)?.config.canaries.map((c) => c.label) ?? [];
  return `${listed(labels)} answer${labels.length === 1 ? 's' : ''}`;
}
