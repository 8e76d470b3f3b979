/** For every copy of every container: how sure it is that it does not run. What `--explain` shows. Pure. */
import type { Inventory, RequiredProof } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { assess } from './decide.ts';
import { incarnationKey } from './incarnations.ts';
import type { Observation, Proof } from './model.ts';
import { proofOf, requiredLevel } from './proof.ts';

export interface CopyProof {
  /** `pve1/101@0`. */
  readonly copy: string;
  readonly proof: Proof;
  /** The inventory's word, and whether the level is good enough for it. */
  readonly required: RequiredProof;
  readonly enough: boolean;
  /** The current copy, which answers well: nothing has to be proven of it. */
  readonly wanted: boolean;
}

/** By container, the copies of lower epochs last. */
export function copyProofs(input: {
  readonly inventory: Inventory;
  readonly observation: Observation;
  readonly state: State;
  readonly now: number;
}): ReadonlyMap<string, readonly CopyProof[]> {
  const { inventory, observation, state, now } = input;
  return new Map(
    assess(inventory, observation, state).map(({ container, incarnations, verdict }) => {
      const { current, superseded, pending } = incarnations;
      const required = container.failover.proof;
      const copies = [...(current === null ? [] : [current]), ...pending, ...superseded];
      const proofs = copies.map((incarnation): CopyProof => {
        // Copies share their addresses: what answers there speaks for the current one.
        const probes = incarnation === current ? (observation.probes[container.name] ?? []) : [];
        const proof = proofOf({ incarnation, observation, probes, inventory, state, now });
        const alive = proof.row.startsWith('alive');
        // On a living node its own word is all there is.
        const demanded = requiredLevel(container.failover);
        const enough = proof.level >= (alive ? Math.min(demanded, 2) : demanded);
        const wanted = incarnation === current && verdict.kind === 'healthy';
        return { copy: incarnationKey(incarnation), proof, required, enough, wanted };
      });
      return [container.name, proofs];
    }),
  );
}
