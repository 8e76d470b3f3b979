/** What the lab's ground truth and the journals say about the rules, beyond what every scenario asserts (harness/rules.ts). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Operation } from '../../lib/state/model.ts';
import type { Stage } from '../scenarios/harness/stage.ts';
import type { RandomWorld } from './worlds.ts';

/** A copy that answers, since when and until when. */
interface Up {
  readonly place: string;
  readonly from: number;
  to: number | null;
}

const CANARIES = ['10.0.0.1:53', '10.0.0.9:8007'];
/** Backups older than this are over the RPO, whatever the runner's clock says (it is off by three hours at most). */
const OLDEST_MS = 28 * 3_600_000;

export class Truth {
  readonly broken: string[] = [];
  readonly #stage: Stage;
  readonly #world: RandomWorld;
  readonly #ups: Up[] = [];
  #calls = 0;
  readonly #ended = new Set<string>();

  constructor(stage: Stage, world: RandomWorld) {
    this.#stage = stage;
    this.#world = world;
    stage.lab.onChange(() => this.#look());
    this.#look();
  }

  /** After a step; `seen`: the journals before it. */
  after(step: string, seen: ReadonlyMap<string, Operation>, canariesLost: boolean): void {
    const now = this.journals();
    const begun = [...now.values()].filter((op) => !seen.has(op.id));
    const automatic = begun.filter((op) => op.kind === 'failover' && op.action?.mode === 'automatic');
    if (
      canariesLost &&
      this.canariesLost() &&
      step.startsWith('cron') &&
      begun.some((op) => op.kind !== 'reconcile')
    )
      this.#break(`3: ${begun.map((op) => `${op.kind} of ${op.container}`).join(', ')} without canaries`);
    const limit = /failoversPerRun: (\d+)/.exec(this.#world.inventory)?.[1];
    if (step === 'cron' && automatic.length > Number(limit))
      this.#break(`5: ${automatic.length} failovers in a run, ${limit ?? '?'} are allowed`);
    this.#restores();
    for (const op of now.values()) this.#success(op);
  }

  /** Fewer than half of the canaries answer this runner. */
  canariesLost(): boolean {
    const { network } = this.#stage;
    return network.runnerCut || !CANARIES.some((address) => network.outside.has(address));
  }

  journals(): Map<string, Operation> {
    const all = new Map<string, Operation>();
    for (const who of ['a', 'b']) {
      const folder = join(this.#stage.stateOf(who), 'operations');
      if (!existsSync(folder)) continue;
      for (const name of readdirSync(folder)) {
        if (!name.endsWith('.json') || name.startsWith('.')) continue;
        const op = Operation.parse(JSON.parse(readFileSync(join(folder, name), 'utf8')));
        all.set(op.id, op);
      }
    }
    return all;
  }

  /** Rule 7, as far as it shows: of this container, not from the future, not older than the RPO. */
  #restores(): void {
    const { calls } = this.#stage.lab;
    for (const call of calls.slice(this.#calls)) {
      const match = /^POST \/nodes\/\S+\/lxc vmid=(\d+) ostemplate=(\S+) .* 200$/.exec(call);
      if (match === null) continue;
      const archive = this.#stage.lab.status().backups.find((b) => b.volid === match[2]);
      if (archive === undefined) continue;
      const age = this.#stage.clock.now() - archive.at;
      if (archive.vmid % 1_000_000 !== Number(match[1]) % 1_000_000)
        this.#break(`7: CT ${match[1]} was restored from ${archive.volid}`);
      if (age < 0 || age > OLDEST_MS)
        this.#break(`7: CT ${match[1]} was restored from a backup that is ${age / 3_600_000} h old`);
    }
    this.#calls = calls.length;
  }

  /** Rule 8: whatever ended well has answered when it was verified. */
  #success(op: Operation): void {
    if (op.status === 'running' || this.#ended.has(op.id)) return;
    this.#ended.add(op.id);
    const { live, target, verifiedAt } = op.data;
    if (op.kind !== 'failover' || op.status !== 'done' || op.action?.stopped !== undefined) return;
    const place = `${target?.node ?? '?'}/${live?.vmid ?? 0}`;
    const skew = this.#stage.skewMs;
    const answered = this.#ups.some(
      (up) =>
        up.place === place &&
        verifiedAt !== null &&
        // The runner's clock may have been set meanwhile; then when it was can't be told.
        (Math.abs(skew) > 0 || (up.from <= verifiedAt && (up.to ?? Infinity) >= verifiedAt - 10_000)),
    );
    if (!answered) this.#break(`8: ${op.id} of ${op.container} is done, and ${place} did not answer`);
  }

  #look(): void {
    const now = this.#stage.clock.now();
    const up = new Set(
      this.#stage.lab
        .running()
        .filter((copy) => copy.services.every((service) => service.up))
        .map((copy) => `${copy.node}/${copy.vmid}`),
    );
    for (const one of this.#ups) if (one.to === null && !up.has(one.place)) one.to = now;
    for (const place of up)
      if (!this.#ups.some((one) => one.place === place && one.to === null))
        this.#ups.push({ place, from: now, to: null });
  }

  #break(text: string): void {
    if (!this.broken.includes(text)) this.broken.push(text);
  }
}
