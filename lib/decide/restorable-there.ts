/** What a restore would trip over on one node: storages with their room, bridges, memory, processor. Pure. */
import type { Container } from '../inventory/types.ts';
import { formatSize } from '../units.ts';
import { volumeBytes, type ArchivedConfig, type Mount, type Net } from './guest-config.ts';
import { blocks, loses, type RestoreIssue, type RestoreTarget } from './restore-issue.ts';
import { storageFor } from './restore-mounts.ts';

/** What is the node's: storages with their room, bridges, memory, processor. */
export function targetIssues(
  container: Container,
  archived: ArchivedConfig | null,
  target: RestoreTarget,
  memory: number | null = archived?.memory ?? null,
): RestoreIssue[] {
  return [
    ...storageIssues(container, archived, target),
    ...(archived?.nets ?? []).flatMap((net) => netIssues(net, target)),
    ...memoryIssues(memory, target),
    ...machineIssues(archived?.arch ?? null, target),
    ...hostPathIssues(container, archived, target),
  ];
}

/** What a config that is kept names of the node itself, and that can't be seen through the API. */
function hostPathIssues(
  { failover }: Container,
  archived: ArchivedConfig | null,
  { node }: RestoreTarget,
): RestoreIssue[] {
  if (archived === null || failover.restoreVia === 'api') return [];
  const needs = [
    ...archived.devices.map(({ path }) => path),
    ...(archived.hookscript === null ? [] : [`the hookscript ${archived.hookscript}`]),
  ];
  return needs.length === 0
    ? []
    : [loses(`it starts only if ${node} has ${needs.join(', ')}`, `look on ${node}`)];
}

function storageIssues(
  { failover, cluster }: Container,
  archived: ArchivedConfig | null,
  { node, storages }: RestoreTarget,
): RestoreIssue[] {
  const volumes = (archived?.mounts ?? []).filter(({ kind }) => kind === 'volume');
  const used = new Map<string, Mount[]>([[failover.restoreStorage, []]]);
  for (const mount of volumes) {
    const storage = storageFor(failover, mount.key);
    used.set(storage, [...(used.get(storage) ?? []), mount]);
  }
  return [...used].flatMap(([name, mounts]): RestoreIssue[] => {
    const compare = `compare failover.restoreStorage with \`pvesm status\` on ${node}; the token needs Datastore.Audit on it`;
    const storage = storages.find((s) => s.storage === name);
    if (storage === undefined) return [blocks(`storage ${name} is not there`, compare)];
    if (!storage.active) return [blocks(`storage ${name} is not active`, compare)];
    if (!storage.content.includes('rootdir'))
      return [
        blocks(
          `storage ${name} does not take container disks (no rootdir content)`,
          `\`pvesm set ${name} --content ${[...storage.content, 'rootdir'].join(',')}\` in cluster ${cluster}, or another failover.restoreStorage`,
        ),
      ];
    const need = volumeBytes({ mounts });
    const free = storage.total === null || storage.used === null ? null : storage.total - storage.used;
    return need === null || free === null || free >= need
      ? []
      : [
          blocks(
            `storage ${name} has ${formatSize(Math.max(free, 0))} free, the container needs ${formatSize(need)}`,
            `free space on ${name} of ${node}, or name another failover.restoreStorage`,
          ),
        ];
  });
}

function netIssues({ key, bridge, tag, trunks }: Net, { node, bridges }: RestoreTarget): RestoreIssue[] {
  if (bridge === null || bridges === null) return [];
  const found = bridges.find(({ name }) => name === bridge);
  if (found === undefined)
    return [
      // The schema says that vnets are listed, too; no recording shows one (unmeasured), so their absence proves little.
      /^vmbr\d+$/.test(bridge)
        ? blocks(
            `there is no bridge ${bridge} for ${key}`,
            `make ${bridge} on ${node}; a token without SDN.Use on it does not see it`,
          )
        : loses(
            `${key} is on ${bridge}, which ${node} does not list: without it the copy does not start`,
            `look whether ${node} has that bridge or vnet`,
          ),
    ];
  if (found.vlanAware) {
    const barred = tag !== null && found.vids !== null && !allows(found.vids, tag);
    return barred
      ? [blocks(`${bridge} does not let VLAN ${tag} of ${key} through`, `add it to bridge-vids of ${bridge}`)]
      : [];
  }
  if (trunks !== null)
    return [blocks(`${bridge} is not VLAN aware, and ${key} has trunks`, `make ${bridge} VLAN aware`)];
  return tag !== null && found.hasPort === false
    ? [
        blocks(
          `${bridge} is not VLAN aware and has no port, so ${key} cannot have VLAN ${tag}`,
          `make ${bridge} VLAN aware, or give it a port`,
        ),
      ]
    : [];
}

/** `2-4094`, `2 4 100-200`, `2,4`. */
function allows(vids: string, tag: number): boolean {
  return vids.split(/[\s,;]+/).some((part) => {
    const [from, to = from] = part.split('-');
    return Number(from) <= tag && tag <= Number(to);
  });
}

function memoryIssues(need: number | null, { node, memory }: RestoreTarget): RestoreIssue[] {
  if (need === null || memory.total === null || memory.used === null) return [];
  const free = memory.total - memory.used;
  return free >= need
    ? []
    : [
        blocks(
          `it has ${formatSize(Math.max(free, 0))} of memory free${memory.promised > 0 ? ` (beside ${formatSize(memory.promised)} promised to others)` : ''}, the container needs ${formatSize(need)}`,
          `free memory on ${node}, or name another node under nodes`,
        ),
      ];
}

/** What a machine can run of PVE's `arch` values. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  x86_64: ['amd64', 'i386'],
  aarch64: ['arm64', 'armhf'],
  riscv64: ['riscv64', 'riscv32'],
};

function machineIssues(arch: string | null, { machine }: RestoreTarget): RestoreIssue[] {
  const runs = machine === null ? undefined : RUNS[machine];
  return arch === null || runs === undefined || runs.includes(arch)
    ? []
    : [blocks(`its processor (${machine ?? ''}) does not run ${arch} containers`, null)];
}
