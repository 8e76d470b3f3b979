import { Auth } from './auth.ts';
import { populate } from './build.ts';
import { Checker } from './checker.ts';
import { Core } from './core.ts';
import { parseConfig } from './ct-config.ts';
import { Guests } from './guests.ts';
import { Ha } from './ha.ts';
import { startAsked, stopAsked } from './ha-asked.ts';
import { ApiError, dataResponse, errorResponse, requestParameters } from './http.ts';
import { Nodes } from './nodes.ts';
import type { NodeState } from './nodes.ts';
import { pct, type PctEnd } from './pct.ts';
import { Pmxcfs } from './pmxcfs.ts';
import { shutdownNode, startAll } from './power.ts';
import { carryOut, isLogin, logIn } from './routes.ts';
import { vzdumpJobs } from './routes-vzdump.ts';
import { carryOutOrder, type QuickOrder, type QuickResult } from './shell.ts';
import { Statd } from './statd.ts';
import { Storages } from './storage.ts';
import { Tasks } from './tasks.ts';
import type { Task } from './tasks.ts';
import { LabUnreachable } from './types.ts';
import type {
  LabControl,
  LabEvent,
  LabOptions,
  LabRequest,
  LabResponse,
  LabStatus,
  RunningCopy,
  Violation,
} from './types.ts';
import { Watchdog } from './watchdog.ts';
import type { World } from './world.ts';

const API = '/api2/json';
/** Proxmox lets whoever fails to authenticate wait. */
const AUTH_DELAY_MS = 3_000;

/**
 * A simulated Proxmox VE cluster. Everything that takes time runs on the injected clock, divided by `speed`; nothing
 * else in it looks at the time. `handle` is its network, the rest are the hands of a person (or of fate) on it.
 */
export class Lab implements LabControl {
  /** Smart plugs that are off. A node can be dead for other reasons with its plug still on. */
  readonly #plugsOff = new Set<string>();
  readonly #world: World;

  constructor(options: LabOptions) {
    const { clock, world: spec, randomHex } = options;
    const core = new Core({ clock, speed: options.speed ?? 1, randomHex });
    const world: World = {
      spec,
      core,
      cfs: new Pmxcfs(
        spec.nodes.map((node) => node.name),
        options.configDir,
      ),
      nodes: new Nodes(core, spec),
      storages: new Storages(core, spec, options.shelves ?? new Map()),
      tasks: new Tasks(core),
      checker: new Checker(core),
      auth: new Auth(core, spec),
      // These look at the others, through the world that they are part of.
      get guests() {
        return guests;
      },
      get ha() {
        return ha;
      },
      backlog: [],
      get statd() {
        return statd;
      },
      get watchdog() {
        return watchdog;
      },
    };
    const guests = new Guests(world);
    const ha = new Ha(world);
    const statd = new Statd(world);
    const watchdog = new Watchdog(world);
    this.#world = world;
    populate(world);
    for (const { name } of spec.nodes) statd.report(name);
    world.nodes.onUnhung = (node) => this.#catchUp(node);
    world.nodes.onSilent = (node) => {
      watchdog.silent(node);
      statd.silent(node);
    };
    world.nodes.onReporting = (node) => statd.report(node);
    world.nodes.onPowerLoss = (node) => {
      watchdog.lost(node);
      statd.lost(node);
      this.#takeBacklog(node);
      world.tasks.killNode(node);
      vzdumpJobs(world).nodeLost(node);
      guests.nodeLost(node);
    };
    world.nodes.onBooted = (node) => startAll(world, node);
    const noteQuorum = (): void => world.cfs.setQuorate(world.nodes.statuses().some((n) => n.quorate));
    noteQuorum();
    ha.onChange = () => watchdog.look();
    world.nodes.onMembership = () => {
      noteQuorum();
      ha.membershipChanged();
      watchdog.look();
    };
  }

  get violations(): readonly Violation[] {
    return this.#world.checker.violations;
  }

  get events(): readonly LabEvent[] {
    return this.#world.core.events;
  }

  /** `onIt`: asked by a program on that very node, which needs no network for it. */
  async handle(node: string, request: LabRequest, onIt = false): Promise<LabResponse> {
    this.#world.statd.note();
    const { hung: wasHung } = this.#reach(node, onIt);
    if (wasHung && request.method !== 'GET')
      this.#world.backlog.push({ node, work: () => this.#answer(node, request) });
    if (wasHung) throw new LabUnreachable(node, 'timeout');
    const response = await this.#answer(node, request);
    // The node may have died while it was answering: whether the call was carried out, nobody can say.
    const { power, network, hung } = this.#world.nodes.get(node);
    if (power === 'off' || (network === 'cut' && !onIt) || hung) throw new LabUnreachable(node, 'timeout');
    return response;
  }

  kill(node: string): void {
    this.#world.nodes.kill(node);
  }

  /** Whoever powers a node on sees to its plug first. */
  revive(node: string): void {
    this.#plugsOff.delete(node);
    this.#world.nodes.revive(node);
  }

  shutdown(node: string): void {
    shutdownNode(this.#world, node, { reboot: false, by: 'hand' });
  }

  reboot(node: string): void {
    shutdownNode(this.#world, node, { reboot: true, by: 'hand' });
  }

  /** `ha-manager crm-command node-maintenance enable NODE` by a person at a node. */
  maintain(node: string, how: 'enable' | 'disable'): void {
    this.#world.ha.maintain(node, how);
  }

  cut(node: string): void {
    this.#world.nodes.cut(node);
  }

  mendNetwork(node: string): void {
    this.#world.nodes.mendNetwork(node);
  }

  hang(node: string): void {
    this.#world.nodes.hang(node);
  }

  unhang(node: string): void {
    this.#world.nodes.unhang(node);
  }

  breakService(hostname: string): void {
    this.#world.guests.breakService(hostname, true);
  }

  mendService(hostname: string): void {
    this.#world.guests.breakService(hostname, false);
  }

  fill(storage: string): void {
    this.#world.storages.fill(storage);
  }

  drain(storage: string): void {
    this.#world.storages.drain(storage);
  }

  unmount(storage: string, node?: string): void {
    this.#world.storages.unmount(storage, node);
  }

  mount(storage: string, node?: string): void {
    this.#world.storages.mount(storage, node);
  }

  verify(volid: string, result: 'ok' | 'failed'): void {
    this.#world.storages.verify(volid, result);
  }

  plug(node: string): 'on' | 'off' {
    this.#world.nodes.get(node);
    return this.#plugsOff.has(node) ? 'off' : 'on';
  }

  setPlug(node: string, power: 'on' | 'off'): void {
    if (power === this.plug(node)) return;
    if (power === 'off') {
      this.#plugsOff.add(node);
      this.#world.core.event(`plug of ${node}: switched off`);
      this.#world.nodes.kill(node);
    } else this.revive(node);
  }

  async startByHand(vmid: number): Promise<void> {
    const node = this.#ownerOf(vmid);
    await succeeded(startAsked(this.#world, node, vmid, 'root@pam', 'hand'));
  }

  async stopByHand(vmid: number): Promise<void> {
    const node = this.#ownerOf(vmid);
    await succeeded(stopAsked(this.#world, node, vmid, 'root@pam', 'hand'));
  }

  async unlockByHand(vmid: number): Promise<void> {
    await this.#world.guests.setLock(this.#ownerOf(vmid), vmid, null, 0);
  }

  /** Root at a node's shell. Rejects with LabUnreachable when the node is off. */
  pct(node: string, args: readonly string[]): Promise<PctEnd> {
    const { power, network } = this.#world.nodes.get(node);
    if (power === 'off' || network === 'cut')
      return Promise.reject(new LabUnreachable(node, power === 'off' ? 'no-route' : 'timeout'));
    return pct(this.#world, node, args);
  }

  /** The same, for what is over at once. Rejects with LabUnreachable when the node is off. */
  shell(node: string, order: QuickOrder): Promise<QuickResult> {
    const { power, network } = this.#world.nodes.get(node);
    if (power === 'off' || network === 'cut')
      return Promise.reject(new LabUnreachable(node, power === 'off' ? 'refused' : 'timeout'));
    return carryOutOrder(this.#world, node, order);
  }

  /** A container ends by itself (`poweroff` inside, killed for memory): nobody asked for it, no task shows it. */
  crash(vmid: number): void {
    this.#world.guests.ended(this.#ownerOf(vmid), vmid, 'ended by itself');
  }

  /** Files in a folder of /etc/pve. */
  files(folder: string): string[] {
    return this.#world.cfs.files(folder);
  }

  /** What a program on a node meets when it writes to /etc/pve now (nodes.ts). */
  clusterWrite(node: string): ReturnType<Nodes['clusterWrite']> {
    return this.#world.nodes.clusterWrite(node);
  }

  /** The nodes that a node's own /etc/pve believes online, and whether it has quorum. */
  clusterView(node: string): { readonly online: ReadonlySet<string>; readonly quorate: boolean } {
    const { nodes } = this.#world;
    return { online: nodes.onlineFor(node), quorate: nodes.quorate(node) };
  }

  /** Volumes of a vmid that a node sees. */
  volumes(node: string, vmid: number): string[] {
    const here = this.#world.storages.disks.filter((d) => d.vmid === vmid && (d.node ?? node) === node);
    return here.map((disk) => disk.volid);
  }

  running(): readonly RunningCopy[] {
    return this.#world.guests.running();
  }

  onChange(listener: () => void): void {
    this.#world.core.onChange(listener);
  }

  nodeStatus(): LabStatus['nodes'] {
    return this.#world.nodes.statuses();
  }

  status(): LabStatus {
    const { cfs, guests, nodes, storages } = this.#world;
    return {
      nodes: this.nodeStatus(),
      containers: cfs.all().map(({ vmid, node }) => {
        const { values } = parseConfig(cfs.read(node, vmid) ?? '');
        const running = guests.copy(node, vmid) !== undefined;
        const off = nodes.get(node).power === 'off';
        return {
          vmid,
          node,
          hostname: values.get('hostname') ?? `CT${vmid}`,
          state: running ? 'running' : off ? 'off-with-node' : 'stopped',
          onboot: values.get('onboot') === '1',
          tags: (values.get('tags') ?? '').split(';').filter((tag) => tag !== ''),
        };
      }),
      backups: storages.archives.map((one) => ({
        volid: one.volid,
        vmid: one.vmid,
        at: one.at,
        size: one.size,
        protected: one.protected,
        verification: one.verification,
      })),
      violations: this.violations,
    };
  }

  close(): void {
    this.#world.core.close();
  }

  #reach(name: string, onIt: boolean): NodeState {
    const node = this.#world.nodes.get(name);
    if (node.power === 'on' && node.network === 'cut' && !onIt) throw new LabUnreachable(name, 'timeout');
    if (node.power === 'off') throw new LabUnreachable(name, 'no-route');
    if (!node.api) throw new LabUnreachable(name, 'refused');
    return node;
  }

  #takeBacklog(node: string): (() => Promise<unknown>)[] {
    const { backlog } = this.#world;
    const mine = backlog.filter((one) => one.node === node).map((one) => one.work);
    backlog.splice(0, backlog.length, ...backlog.filter((one) => one.node !== node));
    return mine;
  }

  /**
   * A daemon that was stopped reads what is in its sockets when it goes on, and does it, though nobody waits any more
   * (follows from how sockets work; unmeasured).
   */
  #catchUp(node: string): void {
    for (const work of this.#takeBacklog(node))
      work().catch((error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
      });
  }

  async #answer(node: string, request: LabRequest): Promise<LabResponse> {
    try {
      if (!['GET', 'POST', 'PUT', 'DELETE'].includes(request.method))
        throw new ApiError(501, `method '${request.method}' not available`, { body: 'empty' });
      const { path, given } = requestParameters(request);
      if (!path.startsWith(`${API}/`)) throw new ApiError(501, `no handler for '${path}'`, { body: 'empty' });
      const call = { method: request.method, path: path.slice(API.length), given };
      if (isLogin(call)) return dataResponse(logIn(this.#world, call));
      const caller = this.#world.auth.authenticate(request);
      return dataResponse(await carryOut(this.#world, caller, node, call));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) await this.#world.core.sleep(AUTH_DELAY_MS);
      return errorResponse(error);
    }
  }

  #ownerOf(vmid: number): string {
    const node = this.#world.cfs.find(vmid);
    if (node === null) throw new Error(`the lab has no container ${vmid}`);
    return node;
  }
}

/** Rejects when a person's task failed. */
async function succeeded(task: Task): Promise<void> {
  await task.ended;
  if (task.exitstatus !== 'OK')
    throw new Error(`${task.type} ${task.id} on ${task.node}: ${task.exitstatus ?? 'running'}`);
}
