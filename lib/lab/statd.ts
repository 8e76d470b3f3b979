import { guestFigures, nodeUsage } from './guest-view.ts';
import type { World } from './world.ts';

/** pvestatd looks at its node every ten seconds and tells the others; a report is shown for five minutes at most. */
const ROUND_MS = 10_000;
const FORGET_MS = 300_000;

interface Report {
  readonly entry: Record<string, unknown>;
  /** When it was made. */
  readonly at: number;
}

/**
 * What /cluster/resources knows of guests: not how they are, but how each node last said they were. A report is kept
 * by vmid, whoever owns the config meanwhile, so a list can show a copy as running that has stopped, as stopped that
 * runs, and as unknown one that was just made.
 */
export class Statd {
  readonly #world: World;
  readonly #origin: number;
  /** By node: its round that was last told, and what it said of its guests. */
  readonly #rounds = new Map<string, number>();
  readonly #told = new Map<string, Map<number, Report>>();
  /** Bytes of memory that a node said it used: of the same look as its guests. */
  readonly #memory = new Map<string, number>();
  /** What was known of a node when it fell silent. */
  readonly #frozen = new Map<string, ReadonlyMap<number, Report>>();

  constructor(world: World) {
    this.#world = world;
    this.#origin = world.core.now();
  }

  /**
   * Brings all reports up to the last round. To be called before anything changes, and before anything is shown: what
   * has not changed since the round is what was seen in it.
   */
  note(): void {
    for (const node of this.#world.nodes.all())
      if (node.power === 'on' && node.reporting && this.#rounds.get(node.name) !== this.#roundOf(node.nodeid))
        this.report(node.name);
  }

  /** The node looks at its guests and tells. */
  report(name: string): void {
    const { cfs, core, nodes } = this.#world;
    const { nodeid } = nodes.get(name);
    this.#rounds.set(name, this.#roundOf(nodeid));
    const told = this.#told.get(name) ?? new Map<number, Report>();
    this.#told.set(name, told);
    this.#memory.set(name, nodeUsage(this.#world, name).mem);
    for (const vmid of cfs.list(name))
      told.set(vmid, { entry: statusOf(this.#world, name, vmid), at: core.now() });
  }

  /** A node has fallen silent: the others keep what they have heard. */
  silent(name: string): void {
    this.note();
    this.#frozen.set(name, new Map(this.#told.get(name)));
  }

  /** A node has lost power, and with it what it knew. */
  lost(name: string): void {
    this.#told.delete(name);
    this.#memory.delete(name);
    this.#rounds.delete(name);
  }

  /** The memory that a node used when it last looked. */
  memoryOf(name: string): number {
    this.note();
    return this.#memory.get(name) ?? nodeUsage(this.#world, name).mem;
  }

  /** The newest that `viewer` has heard of a guest, from whichever node; undefined: nothing. */
  shown(viewer: string, vmid: number): Record<string, unknown> | undefined {
    this.note();
    const { core, nodes } = this.#world;
    const heard = nodes.all().flatMap((node) => {
      const how = nodes.report(viewer, node.name);
      const known = how === 'fresh' ? this.#told : how === 'frozen' ? this.#frozen : undefined;
      return known?.get(node.name)?.get(vmid) ?? [];
    });
    const [newest] = heard
      .filter((report) => core.since(report.at) < FORGET_MS)
      .toSorted((a, b) => b.at - a.at);
    return newest?.entry;
  }

  /** The nodes don't look at the same moment. */
  #roundOf(nodeid: number): number {
    return Math.floor((this.#world.core.since(this.#origin) + nodeid * 3_000) / ROUND_MS);
  }
}

function statusOf(world: World, node: string, vmid: number): Record<string, unknown> {
  const {
    cores,
    pid: _pid,
    tags: _tags,
    lock: _lock,
    template,
    maxswap: _maxswap,
    ...rest
  } = guestFigures(world, node, vmid);
  return { ...rest, maxcpu: cores, template: template ? 1 : 0 };
}
