import type { Core } from './core.ts';
import { ApiError } from './http.ts';
import type { NodeStatus, WorldSpec } from './types.ts';

/** Measured on the genuine cluster (facts, section 6), in milliseconds. */
const TIMES = {
  /** Until the others have noticed that a node is gone, and until it has noticed that it is alone. */
  loss: 8_000,
  /** From power-on until corosync has joined, until the API is up, until pvestatd has reported. */
  join: 7_000,
  api: 9_000,
  statd: 13_000,
  /** From a mended link until the node is back in the cluster. */
  heal: 1_900,
  /** From quorum until a node that had booted without it has its API up. */
  lateApi: 9_000,
  /** How long the last report of a silent node is shown. */
  forget: 297_000,
  /** A connect to a node that has just died takes its full timeout; later the neighbour cache knows. */
  freshDeath: 5_000,
  connectTimeout: 30_000,
  noRoute: 3_000,
} as const;

export interface NodeState {
  readonly name: string;
  readonly ip: string;
  readonly nodeid: number;
  readonly memoryBytes: number;
  power: 'on' | 'off';
  network: 'up' | 'cut';
  api: boolean;
  /** Its API accepts connections and answers nothing. */
  hung: boolean;
  /** On its way to a clean power-off, its API is gone. */
  goingDown: boolean;
  /** Corosync runs. */
  corosync: boolean;
  /** It runs with the majority's side of the network; false while it is alone, as corosync sees it. */
  member: boolean;
  bootedAt: number;
  /** When the others last heard of it; null: they hear it. */
  silentSince: number | null;
  /** pvestatd has reported since the last boot. */
  reporting: boolean;
}

/** Power, network, corosync's view, quorum. The rest of the lab hangs on its hooks. */
export class Nodes {
  readonly standalone: boolean;
  readonly #qdevice: 'none' | 'connected' | 'lost';
  readonly #core: Core;
  readonly #nodes = new Map<string, NodeState>();
  readonly #timers = new Map<string, (() => void)[]>();
  /** A node has lost power: its containers and tasks are gone. */
  onPowerLoss: (node: string) => void = () => undefined;
  /** A node has stopped reporting: what is shown of it is frozen. */
  onSilent: (node: string) => void = () => undefined;
  /** A node that has booted tells the others of its guests for the first time. */
  onReporting: (node: string) => void = () => undefined;
  /** A node that has booted may start its containers: it has quorum. */
  onBooted: (node: string) => void = () => undefined;
  /** A node's API goes on after it had hung. */
  onUnhung: (node: string) => void = () => undefined;
  /** Membership has changed. */
  onMembership: () => void = () => undefined;

  constructor(core: Core, spec: WorldSpec) {
    this.#core = core;
    this.standalone = spec.cluster === null;
    this.#qdevice =
      spec.qdevice === undefined ? 'none' : spec.qdevice.connected === false ? 'lost' : 'connected';
    const bootedAt = core.now() - 86_400_000;
    for (const [index, node] of spec.nodes.entries())
      this.#nodes.set(node.name, {
        name: node.name,
        ip: node.ip,
        nodeid: this.standalone ? 0 : index + 1,
        memoryBytes: (node.memoryMiB ?? 16_384) * 1_048_576,
        power: 'on',
        network: 'up',
        api: true,
        hung: false,
        goingDown: false,
        corosync: true,
        member: true,
        bootedAt,
        silentSince: null,
        reporting: true,
      });
  }

  all(): readonly NodeState[] {
    return [...this.#nodes.values()];
  }

  find(name: string): NodeState | undefined {
    return this.#nodes.get(name);
  }

  /** Throws for a name that is not the lab's: a bug of the caller. */
  get(name: string): NodeState {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`the lab has no node '${name}'`);
    return node;
  }

  /** The nodes that `viewer` believes online. */
  onlineFor(viewer: string): ReadonlySet<string> {
    if (!this.get(viewer).member) return new Set([viewer]);
    return new Set(this.all().flatMap((node) => (node.member ? [node.name] : [])));
  }

  quorate(viewer: string): boolean {
    if (this.standalone) return true;
    return this.#enough(this.onlineFor(viewer).size, this.get(viewer).member);
  }

  /** A QDevice gives its vote to one side, here to the one that the cut-off nodes are not on. */
  #enough(nodes: number, withDevice: boolean): boolean {
    const voting = this.#qdevice === 'connected' && withDevice ? 1 : 0;
    const expected = this.#nodes.size + (this.#qdevice === 'none' ? 0 : 1);
    return nodes + voting > expected / 2;
  }

  statuses(): NodeStatus[] {
    return this.all().map((node) => ({
      name: node.name,
      power: node.power,
      network: node.network,
      api: node.api,
      hung: node.hung,
      quorate: node.power === 'on' && node.corosync && this.quorate(node.name),
    }));
  }

  kill(name: string): void {
    const node = this.get(name);
    if (node.power === 'off') return;
    this.#silence(node);
    node.power = 'off';
    node.api = false;
    node.hung = false;
    node.goingDown = false;
    node.corosync = false;
    node.reporting = false;
    this.#core.event(`node ${name}: power lost`);
    this.#cancel(name);
    this.onPowerLoss(name);
    this.#later(name, TIMES.loss, () => this.#leave(node));
    this.#core.changed();
  }

  /** The last part of a clean way down: its API ends, the machine is still on. */
  goDown(name: string): void {
    const node = this.get(name);
    node.goingDown = true;
    node.api = false;
    node.hung = false;
    this.#core.event(`node ${name}: API down`);
    this.#core.changed();
  }

  revive(name: string): void {
    const node = this.get(name);
    if (node.power === 'on') return;
    node.power = 'on';
    node.bootedAt = this.#core.now();
    this.#core.event(`node ${name}: power on`);
    this.#later(name, TIMES.join, () => {
      node.corosync = true;
      // A link that is cut keeps it alone; otherwise it joins the others at once.
      this.#setMember(node, node.network === 'up');
    });
    this.#later(name, TIMES.api, () => this.#tryBoot(node));
    this.#core.changed();
  }

  cut(name: string): void {
    const node = this.get(name);
    if (node.network === 'cut') return;
    this.#silence(node);
    node.network = 'cut';
    this.#core.event(`node ${name}: network cut`);
    this.#later(name, TIMES.loss, () => this.#leave(node));
    this.#core.changed();
  }

  mendNetwork(name: string): void {
    const node = this.get(name);
    if (node.network === 'up') return;
    node.network = 'up';
    this.#core.event(`node ${name}: network mended`);
    if (node.power === 'on')
      this.#later(name, TIMES.heal, () => {
        if (node.network !== 'up' || !node.corosync) return;
        this.#setMember(node, true);
        if (node.reporting) node.silentSince = null;
      });
    this.#core.changed();
  }

  hang(name: string): void {
    const node = this.get(name);
    if (node.hung || node.power === 'off') return;
    node.hung = true;
    this.#core.event(`node ${name}: API hangs`);
    this.#core.changed();
  }

  unhang(name: string): void {
    const node = this.get(name);
    if (!node.hung) return;
    node.hung = false;
    this.#core.event(`node ${name}: API answers again`);
    this.onUnhung(name);
    this.#core.changed();
  }

  /** What is shown of a node by others: fresh, the frozen last report, or nothing. */
  report(viewer: string, name: string): 'fresh' | 'frozen' | 'none' {
    const node = this.get(name);
    if (viewer === name) return 'fresh';
    if (node.silentSince === null && node.reporting && this.get(viewer).network === 'up') return 'fresh';
    const since = node.silentSince ?? node.bootedAt;
    return this.#core.since(since) < TIMES.forget ? 'frozen' : 'none';
  }

  /** Waits as a connect from `from` would, then throws the 595 or 596 of Proxmox, unless `to` can be reached. */
  async reach(from: string, to: string): Promise<void> {
    const node = this.get(to);
    if (from === to) return;
    if (node.power === 'on' && node.network === 'up') {
      if (!node.api) throw new ApiError(595, 'Connection refused', { body: 'empty' });
      if (!node.hung) return;
      await this.#core.sleep(TIMES.connectTimeout);
      throw new ApiError(596, 'Connection timed out', { body: 'empty' });
    }
    const fresh = this.#core.since(node.silentSince ?? 0) < TIMES.freshDeath;
    await this.#core.sleep(fresh ? TIMES.connectTimeout : TIMES.noRoute);
    throw new ApiError(595, fresh ? 'Connection timed out' : 'No route to host', { body: 'empty' });
  }

  /** Waits while a change of membership is under way: pmxcfs blocks every write until it is settled. */
  async settled(viewer: string): Promise<void> {
    for (;;) {
      const pending = this.all().find(
        (node) => node.member && !connected(node) && (node.name === viewer || this.get(viewer).member),
      );
      if (this.standalone || pending === undefined || pending.silentSince === null) return;
      await this.#core.sleep(Math.max(50, TIMES.loss - this.#core.since(pending.silentSince)));
    }
  }

  /**
   * What a program on `viewer` that writes to pmxcfs now meets: until when it is held up by a change of membership under
   * way (epoch ms; null: by none), and whether the node has quorum then.
   */
  clusterWrite(viewer: string): { readonly heldUntil: number | null; readonly quorate: boolean } {
    const node = this.get(viewer);
    const leaving = this.all().filter((one) => one.member && !connected(one));
    if (this.standalone || !node.member || leaving.length === 0)
      return { heldUntil: null, quorate: this.quorate(viewer) };
    const staying = this.all().filter((one) => one.member && connected(one)).length;
    return {
      heldUntil: Math.max(
        ...leaving.map(({ silentSince }) => (silentSince ?? this.#core.now()) + TIMES.loss),
      ),
      quorate: connected(node) ? this.#enough(staying, true) : this.#enough(1, false),
    };
  }

  #leave(node: NodeState): void {
    // A short loss goes unnoticed.
    if (!this.standalone && !connected(node)) this.#setMember(node, false);
  }

  #setMember(node: NodeState, member: boolean): void {
    if (node.member === member) return;
    const before = this.#quorateSide();
    node.member = member;
    const others = member ? 'online again' : 'offline';
    this.#core.event(`node ${node.name}: ${others} for the others`);
    const after = this.#quorateSide();
    if (before !== after) this.#core.event(after ? 'cluster: quorum regained' : 'cluster: quorum lost');
    this.onMembership();
    // Nodes that had booted without quorum were waiting for this.
    if (after)
      for (const other of this.all())
        if (other.power === 'on' && other.corosync && !other.api && other.name !== node.name)
          this.#later(other.name, TIMES.lateApi, () => this.#tryBoot(other));
    if (member && after && !node.api && this.#core.since(node.bootedAt) > TIMES.api)
      this.#later(node.name, TIMES.lateApi, () => this.#tryBoot(node));
    this.#core.changed();
  }

  #tryBoot(node: NodeState): void {
    if (node.api || node.goingDown || !node.corosync || !this.quorate(node.name)) return;
    node.api = true;
    this.#core.event(`node ${node.name}: API up`);
    this.onBooted(node.name);
    this.#later(node.name, TIMES.statd - TIMES.api, () => {
      node.reporting = true;
      this.onReporting(node.name);
      if (node.network === 'up') node.silentSince = null;
      this.#core.changed();
    });
    this.#core.changed();
  }

  #quorateSide(): boolean {
    return this.standalone || this.#enough(this.all().filter((node) => node.member).length, true);
  }

  #silence(node: NodeState): void {
    if (node.silentSince !== null) return;
    this.onSilent(node.name);
    node.silentSince = this.#core.now();
  }

  #later(name: string, ms: number, work: () => void): void {
    const timers = this.#timers.get(name) ?? [];
    timers.push(this.#core.after(ms, work));
    this.#timers.set(name, timers);
  }

  #cancel(name: string): void {
    for (const cancel of this.#timers.get(name) ?? []) cancel();
    this.#timers.delete(name);
  }
}

/** Corosync runs on it and its network carries. */
function connected(node: NodeState): boolean {
  return node.corosync && node.network === 'up';
}
