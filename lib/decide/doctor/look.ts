/** What the checks of `doctor` share: the facts, the containers that are looked at, and where they are. Pure. */
import type { Cluster, Inventory } from '../../inventory/types.ts';
import { chooseBackup, type BackupChoice } from '../backups.ts';
import { assess, type Assessment } from '../decide.ts';
import type { BackupView, ClusterView, GuestDetail, Incarnation } from '../model.ts';
import { containerIn } from '../reach.ts';
import type { ClusterFacts, Facts, Finding, FindingId, Level, Subject } from './facts.ts';

export interface Look {
  readonly inventory: Inventory;
  readonly facts: Facts;
  readonly clusters: readonly ClusterLook[];
}

export interface ClusterLook {
  readonly name: string;
  readonly config: Cluster;
  readonly facts: ClusterFacts;
  /** null: no quorate view. */
  readonly view: ClusterView | null;
  /** Protected and observed containers. */
  readonly containers: readonly ContainerLook[];
}

export interface ContainerLook extends Assessment {
  /** The current copy, when it is in this cluster. */
  readonly at: Incarnation | null;
  readonly detail: GuestDetail | null;
  /** Its backups as a failover would weigh them, newest first. */
  readonly backups: readonly BackupView[];
  readonly choice: BackupChoice | null;
  readonly isProtected: boolean;
}

/** Only what is in `only`, when it is given; and clusters that have been asked. */
export function lookAt(inventory: Inventory, facts: Facts, only?: ReadonlySet<string>): Look {
  const assessments = assess(inventory, facts.observation, facts.state);
  const clusters = Object.entries(facts.clusters).flatMap(([name, own]): ClusterLook[] => {
    const config = inventory.clusters[name];
    if (config === undefined) return [];
    const seen = facts.observation.clusters[name];
    const view = seen === undefined || seen.via === null ? null : seen;
    const containers = assessments
      .filter((a) => a.container.cluster === name && (only?.has(a.container.name) ?? true))
      .map((a): ContainerLook => {
        const at = a.incarnations.current;
        const cluster = at?.cluster ?? name;
        const { details = [] } = facts.observation.clusters[cluster] ?? {};
        const detail = details.find((d) => d.node === at?.node && d.vmid === at.vmid) ?? null;
        const { storage } = containerIn(a.container, cluster).backup;
        const backups = facts.observation.backups
          .filter((b) => b.cluster === cluster && b.vmid === at?.vmid && b.storage === storage)
          .toSorted((x, y) => y.at - x.at);
        // While its node is down they are known from when it was not.
        const identity = facts.state.containers[a.container.name]?.identity ?? null;
        const known = detail?.macs ?? (identity?.vmid === at?.vmid ? identity?.macs : undefined) ?? [];
        const macs = a.container.macs.length > 0 ? a.container.macs : known;
        const choice =
          at === null
            ? null
            : chooseBackup(backups, { container: a.container, current: at, macs, now: facts.at });
        return { ...a, at, detail, backups, choice, isProtected: a.container.mode === 'protect' };
      });
    return [{ name, config, facts: own, view, containers }];
  });
  return { inventory, facts, clusters };
}

/** A finding about one subject. */
export function finding(
  id: FindingId,
  level: Level,
  subject: Subject,
  text: string,
  fix: string | null = null,
  commands: readonly string[] = [],
): Finding {
  return { ...subject, id, level, text, fix, commands };
}

/** `a`, `a and b`, `a, b and c`; after `most` the rest is counted. */
export function listed(words: readonly string[], most = 6): string {
  const shown =
    words.length > most ? [...words.slice(0, most - 1), `${words.length - most + 1} more`] : words;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`;
}

/** The same text about several things said once: by everything but the name. */
export function byNode<T extends { readonly at: Incarnation | null }>(looks: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const look of looks)
    if (look.at !== null) found.set(look.at.node, [...(found.get(look.at.node) ?? []), look]);
  return found;
}
