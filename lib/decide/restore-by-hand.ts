/** Where a restore by hand goes, what bars it and what it would lose. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import { place, type PlacementInput } from './placement.ts';
import { containerIssues, UNREAD, type RestoreIssue } from './restorable.ts';

export interface HandRestore {
  /** As it is to be restored: without `start`, volumes that no backup holds may be empty. */
  readonly container: Container;
  readonly to: Target | null;
  /** Why it can't be done; empty: it can. */
  readonly bars: readonly Pick<RestoreIssue, 'what' | 'fix'>[];
  readonly losses: readonly RestoreIssue[];
}

/** `start`: it will take the service's place. A stopped copy to look into takes nobody's, and needs no memory. */
export function placeByHand(input: PlacementInput, start: boolean): HandRestore {
  const { config, observation } = input;
  const container = start ? input.container : acceptingEmptyVolumes(input);
  const { targets, rejected, losses } = place({
    ...input,
    container,
    memory: start ? input.memory : null,
    apart: start ? input.apart : [],
  });
  const rights = observation.clusters[input.current.cluster] ?? UNREAD;
  const issues = config === null ? [] : containerIssues(container, config, rights);
  const blocking = issues.filter((issue) => issue.severity === 'blocks');
  const nowhere = rejected.map(({ what, why, fix = null }) => ({ what: `${what}: ${why}`, fix }));
  return {
    container,
    to: targets[0] ?? null,
    bars: targets.length > 0 ? blocking : [...blocking, ...nowhere],
    losses: [...issues, ...losses].filter((issue) => issue.severity === 'loses'),
  };
}

function acceptingEmptyVolumes({ container, config }: PlacementInput): Container {
  const volumes = (config?.mounts ?? []).filter(({ kind }) => kind === 'volume').map(({ key }) => key);
  const acceptLoss = [...container.failover.acceptLoss, ...volumes];
  return { ...container, failover: { ...container.failover, acceptLoss } };
}
