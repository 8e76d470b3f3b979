/** Names are unique in the inventory; vmids in their cluster, those of the copies to come included. */
import { isBroken, writtenContainers, type Part } from './parts.ts';
import type { Path } from './problems.ts';
import { whereIs, type Report } from './report.ts';
import { isJsonMap } from './yaml.ts';

/** Copies of vmid 101 get 1000101, 2000101, … as long as that stays below the largest vmid. */
const POOL_STEP = 1_000_000;
const POOL_SIZE = 9;
/** In other clusters 10000101, 20000101, … so that they are nobody's copies there whose original is 101, too. */
const POOL_STEP_ELSEWHERE = 10_000_000;
const VMID_MAX = 999_999_999;

/** Which container holds which vmid of a cluster. */
export class VmidClaims {
  readonly #owners = new Map<string, { owner: string; where: string }>();
  readonly #report: Report;
  constructor(report: Report) {
    this.#report = report;
  }

  /** Claims the vmids of all originals, and reports those that are taken, and names that are given twice. */
  claimOriginals(parts: readonly Part[]): void {
    const names = new Map<string, string>();
    for (const part of parts) {
      for (const [name, given] of writtenContainers(part)) {
        const path = ['containers', name];
        const first = names.get(name);
        if (first === undefined) names.set(name, whereIs(part, path));
        else
          this.#report.add(
            part,
            path,
            `is already defined in ${first}`,
            'names are unique in the whole inventory',
            true,
          );
        const vmid = isJsonMap(given) ? given['vmid'] : undefined;
        if (typeof vmid === 'number')
          this.#claim(part, vmid, name, [...path, 'vmid'], 'each vmid belongs to one container of a cluster');
      }
    }
  }

  /** Claims a container's vmids for copies: the given ones, or by default some that derive from its own. */
  claimPool(
    part: Part,
    name: string,
    container: { vmid: number; vmids: readonly number[] | undefined; needed: boolean },
  ): readonly number[] {
    const given: Path = ['containers', name, 'failover', 'vmids'];
    const own: Path = ['containers', name, 'vmid'];
    if (isBroken(part, given)) return [];
    if (container.vmids !== undefined) {
      for (const [index, vmid] of container.vmids.entries()) {
        this.#claim(
          part,
          vmid,
          `${name} (failover.vmids)`,
          [...given, index],
          'give vmids that nothing else uses',
        );
      }
      return container.vmids;
    }
    if (container.vmid >= POOL_STEP) {
      if (container.needed) {
        this.#report.add(
          part,
          own,
          'is too large to derive vmids for copies from it',
          'add failover.vmids: a list of free vmids',
        );
      }
      return [];
    }
    // A second container with the same vmid is reported already; its pool would only repeat that.
    if (this.#owners.get(`${part.input.cluster}/${container.vmid}`)?.owner !== name) return [];
    const pool = Array.from({ length: POOL_SIZE }, (_, index) => (index + 1) * POOL_STEP + container.vmid);
    for (const vmid of pool) {
      this.#claim(
        part,
        vmid,
        `${name} (for copies)`,
        own,
        'give it vmids for copies of its own: failover.vmids',
      );
    }
    return pool;
  }

  /**
   * The vmids that a container's copies may have in another cluster, in order of preference: its own, and then some that
   * nobody there has a claim to. Only these are claimed: its own may be a stranger's there, and is then passed over.
   */
  claimElsewhere(
    cluster: string,
    name: string,
    { vmid, vmids }: { vmid: number; vmids: readonly number[] | undefined },
  ): readonly number[] {
    const free = (one: number): boolean => !this.#owners.has(`${cluster}/${one}`);
    const derived = Array.from({ length: POOL_SIZE }, (_, index) => (index + 1) * POOL_STEP_ELSEWHERE + vmid);
    const pool = (vmids ?? derived.filter((one) => one <= VMID_MAX)).filter(free);
    for (const one of pool)
      this.#owners.set(`${cluster}/${one}`, { owner: `${name} (for copies)`, where: name });
    return [...new Set([...(free(vmid) ? [vmid] : []), ...pool])];
  }

  #claim(part: Part, vmid: number, owner: string, path: Path, fix: string): void {
    const key = `${part.input.cluster}/${vmid}`;
    const first = this.#owners.get(key);
    if (first === undefined) this.#owners.set(key, { owner, where: whereIs(part, path) });
    else
      this.#report.add(part, path, `vmid ${vmid} is already used by ${first.owner} in ${first.where}`, fix);
  }
}
