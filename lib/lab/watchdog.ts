import type { World } from './world.ts';

/** Measured (facts, section 9), in milliseconds. */
const TIMES = {
  /** From the loss of the link until the node resets itself; the loss itself is noticed after eight seconds. */
  reset: 66_000,
  loss: 8_000,
  /** How long an LRM stays active, its watchdog armed, after its last resource is gone. */
  idle: 600_000,
} as const;

/** What a node's LRM last wrote of itself into the cluster's file system; of a silent node it stays as it was. */
export interface LrmWord {
  readonly state: 'active' | 'wait_for_agent_lock';
  readonly mode: 'active' | 'shutdown' | 'restart';
  /** Seconds, by the node's clock. */
  readonly timestamp: number;
}

/**
 * The LRMs' watchdogs: a node with HA resources arms its own, and resets itself, with everything on it, once it has been
 * without quorum for its time. What an LRM does between two of its rounds is not simulated.
 */
export class Watchdog {
  readonly #world: World;
  /** By node with an active LRM: since when it has no resources any more; null: it has. */
  readonly #armed = new Map<string, number | null>();
  readonly #frozen = new Map<string, LrmWord>();
  readonly #modes = new Map<string, LrmWord['mode']>();
  readonly #resets = new Map<string, () => void>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Its LRM is active. */
  armed(node: string): boolean {
    this.look();
    return this.#isArmed(node);
  }

  word(node: string): LrmWord {
    this.look();
    return this.#frozen.get(node) ?? this.#live(node);
  }

  /** Entries or membership have changed. */
  look(): void {
    const { nodes, ha, cfs, core } = this.#world;
    for (const { name, power, corosync, silentSince } of nodes.all()) {
      if (power === 'off' || !corosync) continue;
      const quorate = nodes.quorate(name);
      const owns = [...ha.resources.values()].some(
        (one) => one.state !== 'ignored' && !one.inert && cfs.find(one.vmid) === name,
      );
      // Without quorum nothing new reaches it, and no lock is taken.
      if (owns && quorate) this.#armed.set(name, null);
      else if (quorate && this.#armed.get(name) === null) this.#armed.set(name, core.now());
      if (quorate) {
        if (silentSince === null) this.#frozen.delete(name);
        this.#resets.get(name)?.();
        this.#resets.delete(name);
      } else if (this.#isArmed(name) && !this.#resets.has(name))
        this.#resets.set(
          name,
          core.after(TIMES.reset - TIMES.loss, () => this.#reset(name)),
        );
    }
  }

  /** The others have heard of it for the last time. */
  silent(node: string): void {
    this.look();
    if (!this.#frozen.has(node)) this.#frozen.set(node, this.#live(node));
  }

  /** It shuts down in order: its LRM closes the watchdog. */
  shutdown(node: string, mode: 'shutdown' | 'restart'): void {
    this.#modes.set(node, mode);
  }

  /** Its LRM is gone with its power. */
  lost(node: string): void {
    this.#armed.delete(node);
    this.#modes.delete(node);
    this.#resets.get(node)?.();
    this.#resets.delete(node);
  }

  #isArmed(node: string): boolean {
    const idleSince = this.#armed.get(node);
    if (idleSince === undefined || this.#modes.has(node)) return false;
    return idleSince === null || this.#world.core.since(idleSince) < TIMES.idle;
  }

  #live(node: string): LrmWord {
    return {
      state: this.#isArmed(node) ? 'active' : 'wait_for_agent_lock',
      mode: this.#modes.get(node) ?? 'active',
      timestamp: this.#world.core.seconds(),
    };
  }

  #reset(node: string): void {
    const { core, nodes } = this.#world;
    this.#resets.delete(node);
    core.event(`node ${node}: its watchdog resets it`);
    nodes.kill(node);
    nodes.revive(node);
  }
}
