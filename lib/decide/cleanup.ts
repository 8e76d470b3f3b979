/**
 * Which superseded copies a person may have deleted, and why the others stay (rule 2). Pure. Nothing is deleted unless the
 * current copy has lived for seven days, answers, and has a sound backup of its own.
 */
import type { Container, Inventory } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import type { BackupChoice } from './backups.ts';
import { fail, pass } from './gates.ts';
import type { Mount } from './guest-config.ts';
import { incarnationKey, type Incarnations } from './incarnations.ts';
import { isAtHome } from './lineage.ts';
import type { ClusterView, Gate, GuestDetail, Incarnation, Observation, Verdict } from './model.ts';
import { proofOf } from './proof.ts';
import { otherMacs } from './whose.ts';

/** How long the current copy must have lived. */
export const CLEANUP_AFTER_MS = 7 * 24 * 3_600_000;

export interface CleanupInput {
  readonly container: Container;
  readonly incarnations: Incarnations;
  readonly verdict: Verdict;
  readonly observation: Observation;
  readonly inventory: Pick<Inventory, 'containers' | 'clusters'>;
  readonly state: State;
  /** Of the current copy, made now. */
  readonly backup: BackupChoice;
  /** MACs of the container; empty: not known. */
  readonly macs: readonly string[];
  readonly now: number;
}

export interface CleanupEntry {
  readonly old: Incarnation;
  /** Its own volumes; empty: it can't be read. */
  readonly disks: readonly Mount[];
  /** Why it stays; null: it may go. */
  readonly stays: string | null;
}

export interface CleanupPlan {
  /** What holds for all of them; one that fails keeps all. */
  readonly gates: readonly Gate[];
  readonly entries: readonly CleanupEntry[];
}

export function cleanupPlan(input: CleanupInput): CleanupPlan {
  return {
    gates: gatesOf(input),
    entries: input.incarnations.superseded.map((old) => {
      const detail = detailOf(input.observation, old);
      return {
        old,
        disks: (detail?.config.mounts ?? []).filter((m) => m.kind === 'volume'),
        stays: whyItStays(input, old, detail),
      };
    }),
  };
}

/** The entries that may be deleted: none while a gate fails. */
export function removable({ gates, entries }: CleanupPlan): readonly CleanupEntry[] {
  return gates.every((g) => g.ok) ? entries.filter((e) => e.stays === null) : [];
}

function gatesOf({ container, incarnations, verdict, observation, backup, now }: CleanupInput): Gate[] {
  const { name } = container;
  const { current, pending, problems } = incarnations;
  if (current === null || current.epoch === 0)
    return [fail('current', `${name} has not been failed over`, 'there is nothing to clean up')];
  const key = incarnationKey(current);
  const trouble = [...problems, ...pending.map((p) => `${incarnationKey(p)} is an unfinished copy`)];
  const age = now - current.since;
  const readable = detailOf(observation, current) !== undefined;
  return [
    trouble.length === 0
      ? pass('lineage', `${key} is the current copy, the lineage lines and the inventory agree`)
      : fail('lineage', trouble.join('; '), 'bring inventory and cluster together first'),
    age >= CLEANUP_AFTER_MS
      ? pass('age', `it took over ${formatDuration(age)} ago`)
      : fail(
          'age',
          `it took over ${formatDuration(Math.max(age, 0))} ago, and what it took over from is kept for ${formatDuration(CLEANUP_AFTER_MS)}`,
          `wait for ${formatDuration(CLEANUP_AFTER_MS - Math.max(age, 0))}`,
        ),
    verdict.kind === 'healthy' && readable
      ? pass('service', verdict.reason)
      : fail(
          'service',
          `${name} is ${verdict.kind} (${verdict.reason})${readable ? '' : `, and ${key} can't be read`}: an older copy may be needed yet`,
          'mend it first',
        ),
    backup.chosen !== null
      ? pass('backup', `${backup.chosen.volid}, ${formatDuration(Math.max(now - backup.chosen.at, 0))} old`)
      : fail(
          'backup',
          `there is no sound backup of ${key} on ${container.backup.storage}: ${backup.rejected.map((r) => `${r.what}: ${r.why}`).join('; ') || 'none at all'}`,
          `\`proxwarden backup ${name}\``,
        ),
  ];
}

function whyItStays(input: CleanupInput, old: Incarnation, detail: GuestDetail | undefined): string | null {
  const { incarnations, observation, inventory, state, now } = input;
  const view = observation.clusters[old.cluster];
  if (view === undefined || view.via === null) return `there is no quorate view of cluster ${old.cluster}`;
  const node = view.nodes.find((n) => n.name === old.node);
  // Without quorum its node would remove the disks and keep the config (facts, section 1).
  if (node?.apiAnswers !== true || !(node.online || view.standalone)) return `${old.node} does not answer`;
  if (detail === undefined) return `CT ${old.vmid} can't be read on ${old.node}`;
  if (old.epoch >= (incarnations.current?.epoch ?? 0)) return 'it is of the same epoch as the current copy';
  const entry = view.ha.find((e) => e.sid === `ct:${old.vmid}`);
  if (entry !== undefined)
    return `there is an HA entry ${entry.sid} (${entry.state}): \`proxwarden reconcile\` removes ours, \`ha-manager remove ${entry.sid}\` another's`;
  const proof = proofOf({ incarnation: old, observation, probes: [], inventory, state, now });
  if (proof.level !== 2) return `it is not proven to be stopped: ${proof.rests.join('; ')}`;
  if (detail.lock !== null) return `it is locked (${detail.lock})`;
  if (detail.protection) return `it is protected: \`pct set ${old.vmid} --protection 0\` on ${old.node}`;
  if (detail.template) return 'it is a template';
  return notIts(input, view, old, detail) ?? sharedDisk(input, old, detail);
}

/** Ours is what its line says (it is among the incarnations by that); an original is what a copy's line names, with its MACs. */
function notIts(
  { container, macs }: CleanupInput,
  view: ClusterView,
  old: Incarnation,
  detail: GuestDetail,
): string | null {
  const key = incarnationKey(old);
  const at = { cluster: view.cluster, node: old.node, vmid: old.vmid };
  if (old.epoch > 0) {
    const own = view.lineages.some((l) => l.line.container === container.name && isAtHome(l.line, at));
    return own ? null : `its notes lack the line that says that it is a copy of ${container.name}`;
  }
  const named = view.lineages.some(
    ({ node, vmid, line }) =>
      line.container === container.name &&
      line.supersedes === key &&
      isAtHome(line, { cluster: view.cluster, node, vmid }),
  );
  if (old.vmid !== container.vmid || !named)
    return `no copy's line says that it took over from ${key}: delete it by hand if it is the original`;
  if (macs.length === 0)
    return `whether it is that of ${container.name} can't be said: no MAC address is known`;
  return otherMacs(detail.macs, macs);
}

const OWNER = /(?:^|[:/])(?:vm|subvol|basevol|base)-(\d+)-/;

/** A delete takes the volumes that bear its vmid in their names: a copy that has been given one of them would lose it. */
function sharedDisk(
  { incarnations, observation }: CleanupInput,
  old: Incarnation,
  detail: GuestDetail,
): string | null {
  const own = new Set(detail.config.mounts.filter((m) => m.kind === 'volume').map((m) => m.source));
  const { current, superseded, pending } = incarnations;
  for (const other of [...(current === null ? [] : [current]), ...superseded, ...pending]) {
    if (other === old) continue;
    const used = (detailOf(observation, other)?.config.mounts ?? []).find(
      (m) => own.has(m.source) || OWNER.exec(m.source)?.[1] === String(old.vmid),
    );
    if (used !== undefined) return `${incarnationKey(other)} uses its disk ${used.source} (${used.key})`;
  }
  return null;
}

function detailOf(observation: Observation, { cluster, node, vmid }: Incarnation): GuestDetail | undefined {
  return observation.clusters[cluster]?.details.find((d) => d.node === node && d.vmid === vmid);
}
