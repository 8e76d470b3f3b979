/** Containers that are kept apart: where the others of a container's groups are, or are going. Pure. */
import type { Container, Inventory, Target } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { incarnationsOf } from './incarnations.ts';
import type { Observation } from './model.ts';
import type { UnderWay } from './under-way.ts';

/** A node that another of its group has. */
export interface Taken {
  readonly target: Target;
  readonly by: string;
  readonly group: string;
  /** It is on its way there. */
  readonly coming: boolean;
}

export interface ApartInput {
  readonly container: Container;
  readonly keepApart: Inventory['keepApart'];
  /** All of the inventory, those included that are not decided on. */
  readonly containers: Inventory['containers'];
  readonly observation: Observation;
  readonly state: Pick<State, 'containers'>;
  readonly underWay: readonly UnderWay[];
  /** By container: targets that this run has chosen already. */
  readonly chosen: ReadonlyMap<string, Target>;
}

/** The nodes that the others of its groups are on, or are going to. */
export function takenByGroup(input: ApartInput): Taken[] {
  const { container, keepApart, containers, observation, state, underWay, chosen } = input;
  return Object.entries(keepApart).flatMap(([group, names]) =>
    !names.includes(container.name)
      ? []
      : names
          .filter((name) => name !== container.name)
          .flatMap((by): Taken[] => {
            const other = containers[by];
            const current =
              other === undefined ? null : incarnationsOf(other, observation, state.containers[by]).current;
            const going = [
              // A restore to look into has no vmid here, and serves nobody.
              ...underWay.filter((one) => one.container === by && one.vmid !== null).map((one) => one.target),
              ...[chosen.get(by)].filter((target) => target !== undefined),
            ];
            return [
              ...(current === null ? [] : [{ target: current, by, group, coming: false }]),
              ...going.map((target) => ({ target, by, group, coming: true })),
            ];
          }),
  );
}

/** Why a container can't be there; null: nobody of its groups is. */
export function apartBar(taken: readonly Taken[], { cluster, node }: Target): string | null {
  const there = taken.find(({ target }) => target.cluster === cluster && target.node === node);
  return there === undefined
    ? null
    : `${there.by} ${there.coming ? 'is going there' : 'is there'}, and they are kept apart (keepApart.${there.group})`;
}
