/** What `cleanup` would delete, as people and scripts see it. Pure. */
import { removable, type CleanupPlan } from '../decide/cleanup.ts';
import { volumeBytes } from '../decide/guest-config.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import { formatSize } from '../units.ts';
import { table } from './tables.ts';

export interface CleanupRow {
  readonly copy: string;
  readonly node: string;
  readonly vmid: number;
  /** volids. */
  readonly disks: readonly string[];
  /** Of its disks, as their config says; null: not said. */
  readonly bytes: number | null;
  readonly remove: boolean;
  /** Why it stays; null: it goes. */
  readonly why: string | null;
}

export function cleanupRows(plan: CleanupPlan, only: readonly number[]): CleanupRow[] {
  const going = removable(plan);
  const gate = plan.gates.find((g) => !g.ok);
  return plan.entries.map((entry) => {
    const { old, disks, stays } = entry;
    const chosen = only.length === 0 || only.includes(old.vmid);
    const remove = chosen && going.includes(entry);
    return {
      copy: incarnationKey(old),
      node: old.node,
      vmid: old.vmid,
      disks: disks.map((d) => d.source),
      bytes: volumeBytes({ mounts: [...disks] }),
      remove,
      why: remove ? null : (stays ?? gate?.evidence ?? 'not named by --vmid'),
    };
  });
}

/** The table, the gates that all of them hang on, and how to look into the disks first. */
export function cleanupText(plan: CleanupPlan, rows: readonly CleanupRow[], columns: number): string {
  const gates = plan.gates.map(
    ({ gate, ok, evidence, flip }) =>
      `  ${ok ? 'pass' : 'FAIL'}  ${gate.padEnd(7)}  ${evidence}${ok || flip === null ? '' : `\n        to change that: ${flip}`}`,
  );
  const gate = plan.gates.find((g) => !g.ok);
  const going = rows.filter((r) => r.remove);
  return [
    ...(rows.length === 0
      ? []
      : [
          table(
            ['COPY', 'SIZE', 'DO', 'DISKS'],
            rows.map((r) => [
              r.copy,
              r.bytes === null ? '-' : formatSize(r.bytes),
              r.remove ? 'delete' : 'keep',
              r.disks.join(' '),
            ]),
            columns,
          ),
        ]),
    ...gates,
    ...rows.flatMap((r) =>
      r.why === null || gate?.evidence === r.why ? [] : [`  keep  ${r.copy}: ${r.why}`],
    ),
    ...going.map(
      ({ node, vmid }) =>
        `  look into it first, on ${node}: \`pct mount ${vmid}\`, its files are below /var/lib/lxc/${vmid}/rootfs, \`pct unmount ${vmid}\``,
    ),
    // What a delete without `purge` takes along is Proxmox's source, and unmeasured.
    ...(going.length === 0
      ? []
      : [
          `  with it go its firewall rules and permissions on /vms/${going.map((r) => r.vmid).join(', ')}; its backups stay, and so does its vmid in backup and replication jobs`,
        ]),
  ].join('\n');
}
