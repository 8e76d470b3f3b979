/** The part of a decision that is about a failover itself: source, proof, return, backup, place. Pure. */
import type { Container, Inventory, Target } from '../inventory/types.ts';
import type { ContainerState, State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { chooseBackup, type BackupChoice } from './backups.ts';
import { fail, pass } from './gates.ts';
import { fenceable, fenceBackoff } from './fenceable.ts';
import { incarnationKey, nextVmid, vmidElsewhere, type Incarnations } from './incarnations.ts';
import type {
  BackupView,
  ClusterView,
  FailoverAction,
  Gate,
  Incarnation,
  Observation,
  Request,
  Verdict,
} from './model.ts';
import type { ArchivedConfig } from './guest-config.ts';
import { takenByGroup } from './apart.ts';
import { place, takesOf, type Placement, type PlacementInput } from './placement.ts';
import { reserve, type Reservations } from './reservations.ts';
import type { UnderWay } from './under-way.ts';
import { proofOf, requiredLevel } from './proof.ts';
import { containerIn, placeOf } from './reach.ts';
import { containerIssues, UNREAD, type RestoreIssue } from './restorable.ts';
import { retirement } from './retire.ts';
import { freshBackupGate } from './room.ts';
import { movingGate } from './same-vmid.ts';
import { isAlive, sourceGate, stoppedSource } from './source.ts';
import { archiveOf } from './volid.ts';
import { watchdogDue, watchdogText, withWatchdogOff } from './watchdog.ts';

export interface FailoverInput {
  readonly container: Container;
  readonly verdict: Verdict;
  readonly incarnations: Incarnations;
  readonly record: ContainerState;
  readonly request: Request | undefined;
  readonly reserved: Reservations;
  readonly underWay: readonly UnderWay[];
  /** By container: targets that this run has chosen already. */
  readonly chosen: ReadonlyMap<string, Target>;
  /** All entries, for where the others of its groups are. */
  readonly neighbours: Inventory['containers'];
  /** Chosen before, with others in view: whether it still can take it is all that is asked. */
  readonly target: Target | undefined;
  readonly observation: Observation;
  readonly inventory: Inventory;
  readonly state: State;
  readonly now: number;
}

export interface FailoverOutcome {
  readonly gates: readonly Gate[];
  readonly rejected: readonly { readonly what: string; readonly why: string }[];
  readonly action: FailoverAction | null;
  readonly why: string;
}

/** All gates of a failover with their evidence, and the action when all of them pass. */
export function decideFailover(input: FailoverInput): FailoverOutcome {
  const { container, incarnations, observation } = input;
  const current = incarnations.current;
  const view = current === null ? undefined : observation.clusters[current.cluster];
  if (current === null || view === undefined)
    return nothing(
      fail(
        'source',
        `${container.name} (vmid ${container.vmid}) is not in cluster ${container.cluster}`,
        'correct vmid or cluster in the inventory; the token needs VM.Audit on /vms to see it',
      ),
    );
  const source = sourceGate(input, view, current);
  if (!source.gate.ok) return nothing(source.gate);

  const gates: Gate[] = [source.gate];
  const fence = new Set<string>();
  let retire: FailoverAction['retire'] = 'nothing-to-do';
  const backup = backupGate(input, view, current, source.alive);
  const config = backup.choice?.chosen?.archived?.config ?? (source.alive ? liveConfig(view, current) : null);
  for (const other of [current, ...incarnations.superseded]) {
    const there = observation.clusters[other.cluster];
    if (there === undefined) {
      gates.push(notLookedAt(container, other));
      continue;
    }
    const alive = isAlive(there, other.node);
    gates.push(proofGate(input, there, other, { alive, isSource: other === current, fence }));
    const returning = returnGate(input, there, other, { alive, isSource: other === current, config });
    if (other === current || !returning.gate.ok) gates.push(returning.gate);
    if (other === current) retire = returning.retire;
  }
  gates.push(backup.gate);
  const here = (input.request?.to === undefined ? container.nodes : [input.request.to]).some(
    (target) => target.cluster === current.cluster,
  );
  const issues = config === null ? [] : containerIssues(container, config, here ? view : UNREAD);
  const epoch = Math.max(current.epoch, ...incarnations.superseded.map((i) => i.epoch)) + 1;
  const vmidIn = (cluster: string): number | null =>
    cluster === container.cluster
      ? nextVmid(container, current, epoch)
      : vmidElsewhere(container, cluster, observation.clusters[cluster]?.guests ?? []);
  const where: PlacementInput = {
    container,
    current,
    observation,
    backup: backup.choice?.chosen ?? null,
    memory: config?.memory ?? input.record.identity?.memMax ?? null,
    config,
    vmidIn,
    reserved: input.reserved,
    apart: takenByGroup({ ...input, keepApart: input.inventory.keepApart, containers: input.neighbours }),
    state: input.state,
    only: input.request?.to ?? input.target,
  };
  const placement = place(where);
  const [target, ...alternatives] = placement.targets;
  gates.push(...restoreGates([...issues, ...placement.losses]), targetGate(container, placement));
  const rejected = [
    ...placement.rejected.map(({ what, why }) => ({ what, why })),
    ...(backup.choice?.rejected ?? []),
  ];
  const vmid = target === undefined ? null : vmidIn(target.cluster);
  if (target === undefined || vmid === null || gates.some((g) => !g.ok))
    return { gates, rejected, action: null, why: '' };
  const takes = takesOf(where, target.cluster);
  reserve(input.reserved, observation.clusters[target.cluster], target, takes);
  const chosen = backup.choice?.chosen ?? null;
  const stopped = source.alive ? stoppedSource(input, view, current) : undefined;
  return {
    gates,
    rejected,
    action: {
      container: container.name,
      mode: input.request?.mode ?? 'automatic',
      from: current,
      target,
      alternatives: alternatives.slice(0, container.failover.maxAttempts - 1),
      vmid,
      epoch,
      volid: chosen?.volid ?? null,
      backupAt: chosen?.at ?? null,
      sourceAlive: source.alive,
      fence: [...fence],
      retire,
      ...(stopped === undefined ? {} : { stopped }),
      takes,
    },
    why: sentence(input, {
      from: current,
      to: placeOf(target, container.cluster),
      vmid,
      backup: chosen,
      fence: [...fence],
      stopped,
    }),
  };
}

function notLookedAt({ name, cluster: home }: Container, other: Incarnation): Gate {
  return fail(
    'proof',
    `${incarnationKey(other, home)} can't be proven not to run: cluster ${other.cluster} has not been looked at`,
    `name cluster ${other.cluster} in the inventory, or under nodes of ${name}`,
  );
}

/** How one that is taken over from is kept from starting again. Of earlier ones the config is where it was. */
function returnGate(
  { container, inventory, state }: FailoverInput,
  view: ClusterView,
  other: Incarnation,
  how: { alive: boolean; isSource: boolean; config: ArchivedConfig | null },
): { readonly retire: FailoverAction['retire']; readonly gate: Gate } {
  if (!how.isSource || container.failover.identity !== 'same-vmid')
    return retirement(container, other, view, how.alive, state);
  const cluster = inventory.clusters[view.cluster];
  return {
    retire: 'config-moved',
    gate: movingGate({ container, current: other, view, cluster, config: how.config }),
  };
}

/** The current copy's config, as its node says: that of the backup that will be made of it. */
function liveConfig(view: ClusterView, { node, vmid }: Incarnation): ArchivedConfig | null {
  return view.details.find((d) => d.node === node && d.vmid === vmid)?.config ?? null;
}

/** One gate for what bars a restore anywhere, one that tells what it loses; none when there is nothing to say. */
function restoreGates(issues: readonly RestoreIssue[]): Gate[] {
  const bars = issues.filter((issue) => issue.severity === 'blocks');
  const losses = issues.filter((issue) => issue.severity === 'loses');
  const text = (of: readonly RestoreIssue[]): string => of.map((issue) => issue.what).join('; ');
  const fixes = bars.flatMap(({ fix }) => (fix === null ? [] : [fix]));
  return [
    ...(bars.length === 0 ? [] : [fail('restore', text(bars), [...new Set(fixes)].join('; '))]),
    ...(losses.length === 0 ? [] : [pass('restore', `with these losses: ${text(losses)}`)]),
  ];
}

function targetGate({ failover, cluster: home }: Container, { targets, rejected, unsure }: Placement): Gate {
  const [target, ...alternatives] = targets;
  if (target !== undefined)
    return pass(
      'target',
      [
        `${placeOf(target, home)}${failover.placement === 'spread' && alternatives.length > 0 ? ' (most memory free)' : ''}${alternatives.length > 0 ? `, then ${alternatives.map((t) => placeOf(t, home)).join(', ')}` : ''}`,
        ...unsure,
      ].join('; '),
    );
  const fix = rejected.find((r) => r.fix !== undefined)?.fix;
  return fail(
    'target',
    `no node can take it: ${rejected.map((r) => `${r.what}: ${r.why}`).join('; ') || 'the inventory names none'}`,
    fix ?? roomAdvice(rejected.map((r) => r.why)),
  );
}

function sentence(
  { now, container: { cluster: home } }: Pick<FailoverInput, 'now' | 'container'>,
  {
    from,
    to,
    vmid,
    backup,
    fence,
    stopped,
  }: {
    from: Incarnation;
    to: string;
    vmid: number;
    backup: BackupView | null;
    fence: readonly string[];
    stopped: FailoverAction['stopped'];
  },
): string {
  const steps = [
    ...(fence.length > 0 ? [`power off ${fence.join(', ')}`] : []),
    backup === null
      ? `${stopped === undefined ? 'stop and back up' : 'back up the stopped'} CT ${from.vmid} on ${from.node}`
      : `take the backup of ${formatDuration(Math.max(now - backup.at, 0))} ago`,
    `restore it on ${to} as CT ${vmid}${stopped === undefined ? '' : ', not started'}`,
  ];
  return `${steps.join(', ')}, in place of ${incarnationKey(from, home)}`;
}

function proofGate(
  input: FailoverInput,
  view: ClusterView,
  other: Incarnation,
  how: { alive: boolean; isSource: boolean; fence: Set<string> },
): Gate {
  const { container, observation, now } = input;
  const probes = observation.probes[container.name] ?? [];
  // Probes speak for the current copy; a superseded one shares its addresses, so its silence can't be demanded
  // while the current one answers: its own node's word (P2) or a fence (P3) counts.
  const prove = (seen: Observation) =>
    proofOf({
      incarnation: other,
      observation: seen,
      probes: how.isSource ? probes : [],
      inventory: input.inventory,
      state: input.state,
      now,
    });
  const proof = prove(observation);
  const required = requiredLevel(container.failover);
  const key = incarnationKey(other, container.cluster);
  const name = `P${proof.level} that ${key} is not running: ${proof.rests.join('; ')}`;
  // On a living node its own word is all there is: `fenced` demands a fence of dead nodes.
  if (proof.level >= (how.alive ? Math.min(required, 2) : required)) return pass('proof', name);
  if (how.isSource && how.alive)
    return pass(
      'proof',
      `${key} ${stoppedSource(input, view, other) === undefined ? 'will be stopped' : 'is stopped'}, and its node must say so (P2)`,
    );
  const where = `${other.cluster}/${other.node}`;
  // A person who asks for it may have mended the device.
  const backoff = input.request === undefined ? fenceBackoff(input.state, where, now) : null;
  const fenced = fenceable(input, view, other.node) ?? backoff;
  if (fenced === null) {
    how.fence.add(where);
    return pass('proof', `${name}; a fence of ${other.node} will raise it to P3`);
  }
  const due = watchdogDue(view, other.node);
  if (due !== null && prove(withWatchdogOff(observation, view, other.node)).level >= required)
    return {
      ...fail('proof', `${name}; P${required} is demanded; ${due.detail}`, 'wait, or power it off by hand'),
      waits: true,
    };
  return fail(
    'proof',
    `${name}; P${required} is demanded (failover.proof: ${container.failover.proof}${container.failover.identity === 'same-vmid' ? ', identity: same-vmid' : ''}); ${fenced}${watchdogText(view, other.node)}`,
    proof.raise.join('; '),
  );
}

/** What would give it a node, by what was said of those that it has. */
function roomAdvice(reasons: readonly string[]): string {
  if (reasons.some((why) => /^vmid \d+ is taken/.test(why)))
    return 'free that vmid, or give the copies others under failover.vmids';
  if (reasons.some((why) => why.includes('storage')))
    return 'compare backup.storage and failover.restoreStorage with `pvesm status`; the token needs Datastore.Audit on them';
  return 'free a node of its list, or name another one under nodes';
}

function backupGate(
  input: FailoverInput,
  view: ClusterView,
  current: Incarnation,
  alive: boolean,
): { gate: Gate; choice: BackupChoice | null } {
  const { container, observation, record, request, now } = input;
  if (alive && request?.backup === undefined)
    return {
      choice: null,
      gate: freshBackupGate(view, containerIn(container, current.cluster), current, observation.backups),
    };
  const seen = record.identity !== null && record.identity.vmid === current.vmid ? record.identity.macs : [];
  const macs = container.macs.length > 0 ? container.macs : seen;
  const choice = chooseBackup(observation.backups, { container, current, macs, now, named: request?.backup });
  if (choice.chosen !== null) {
    const age = formatDuration(Math.max(now - choice.chosen.at, 0));
    return { choice, gate: pass('backup', `${choice.chosen.volid}, ${age} old: so much data is lost`) };
  }
  if (choice.tooOld !== null) {
    const age = now - choice.tooOld.at;
    return {
      choice,
      gate: fail(
        'backup',
        `the newest sound backup is ${formatDuration(age)} old, the RPO is ${formatDuration(container.backup.maxAgeMs)}`,
        `accept the loss: \`proxwarden failover ${container.name} --backup ${choice.tooOld.volid} --accept-data-loss ${Math.ceil(age / 3_600_000)}h\``,
      ),
    };
  }
  const named = request?.backup?.volid;
  if (named !== undefined && !observation.backups.some((b) => archiveOf(b.volid) === archiveOf(named)))
    return {
      choice,
      gate: fail(
        'backup',
        `there is no backup ${named} of ${container.name} on ${container.backup.storage}`,
        `\`proxwarden backup list ${container.name}\` shows those that there are`,
      ),
    };
  const reasons = choice.rejected.slice(0, 3).map((r) => `${r.what}: ${r.why}`);
  return {
    choice,
    gate: fail(
      'backup',
      `no sound backup of CT ${current.vmid} on ${container.backup.storage}${reasons.length > 0 ? ` (${reasons.join('; ')})` : ''}`,
      'make one, or correct backup.storage',
    ),
  };
}

function nothing(gate: Gate): FailoverOutcome {
  return { gates: [gate], rejected: [], action: null, why: '' };
}
