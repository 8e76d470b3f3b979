import { changedConfig, formatConfig, netKeys, parseConfig, parseProperties } from './ct-config.ts';
import type { CtConfig } from './ct-config.ts';
import { ApiError } from './http.ts';
import { bridgesOn } from './routes-network.ts';
import type { Disk } from './storage.ts';
import { TaskFailure } from './tasks.ts';
import type { Task, Worker } from './tasks.ts';
import type { RunningCopy } from './types.ts';
import type { World } from './world.ts';

/** Measured on the genuine cluster, in milliseconds. */
const TIMES = { start: 1_500, stop: 1_900, shutdown: 3_000 } as const;

/** A running copy: it lives by its node and its disk, not by its config, which may be moved away under it. */
export interface Copy {
  readonly node: string;
  readonly vmid: number;
  readonly pid: number;
  readonly startedAt: number;
  readonly hostname: string;
  readonly mac: string | null;
  readonly linkDown: boolean;
  readonly disk: Disk | null;
  readonly memoryMiB: number;
}

/** What runs where, and the workers that start and stop it. */
export class Guests {
  readonly #world: World;
  readonly #copies = new Map<string, Copy>();
  readonly #broken = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  copies(): readonly Copy[] {
    return [...this.#copies.values()];
  }

  copy(node: string, vmid: number): Copy | undefined {
    return this.#copies.get(`${node}/${vmid}`);
  }

  /** The config on that node. Throws Proxmox's 500 when there is none. */
  config(node: string, vmid: number): { text: string; config: CtConfig } {
    const text = this.#world.cfs.read(node, vmid);
    if (text === null) throw new ApiError(500, missingConfig(node, vmid));
    return { text, config: parseConfig(text) };
  }

  /** The same inside a worker. */
  workerConfig(node: string, vmid: number): CtConfig {
    const text = this.#world.cfs.read(node, vmid);
    if (text === null) throw new TaskFailure(missingConfig(node, vmid));
    return parseConfig(text);
  }

  /** Writes a config. Without quorum pmxcfs refuses: Proxmox's text names its temporary file. */
  async write(node: string, vmid: number, config: CtConfig, pid: number): Promise<void> {
    const { nodes, cfs } = this.#world;
    await nodes.settled(node);
    // The node may have died while the write was blocked: nothing of it is carried out.
    if (nodes.get(node).power === 'off') throw new TaskFailure('power lost');
    if (!nodes.quorate(node))
      throw new TaskFailure(
        `unable to open file '/etc/pve/nodes/${node}/lxc/${vmid}.conf.tmp.${pid}' - Permission denied`,
      );
    this.#world.statd.note();
    cfs.write(node, vmid, formatConfig(config));
  }

  /** Sets or (null) removes the config's lock. */
  async setLock(node: string, vmid: number, lock: string | null, pid: number): Promise<void> {
    const config = this.workerConfig(node, vmid);
    await this.write(node, vmid, changedConfig(config, new Map([['lock', lock]])), pid);
  }

  spawnStart(node: string, vmid: number, owner: string, who: string): Task {
    return this.#world.tasks.spawn(node, 'vzstart', String(vmid), owner, async (worker) => {
      if (who === 'HA') worker.log('task started by HA resource agent');
      await this.start(worker, node, vmid, who);
    });
  }

  spawnStop(node: string, vmid: number, owner: string, who: string): Task {
    return this.#world.tasks.spawn(node, 'vzstop', String(vmid), owner, async (worker) => {
      checkLock(this.workerConfig(node, vmid));
      await worker.sleep(TIMES.stop);
      this.ended(node, vmid, `stopped by ${who}`);
    });
  }

  spawnShutdown(node: string, vmid: number, owner: string, type: 'vzshutdown' | 'vzreboot'): Task {
    return this.#world.tasks.spawn(node, type, String(vmid), owner, async (worker) => {
      checkLock(this.workerConfig(node, vmid));
      await worker.sleep(TIMES.shutdown);
      this.ended(node, vmid, `shut down by ${owner}`);
      if (type === 'vzreboot') await this.start(worker, node, vmid, owner);
    });
  }

  /** A start inside a worker: the checks of Proxmox, the time it takes, the running copy. */
  async start(worker: Worker, node: string, vmid: number, who: string): Promise<void> {
    const config = this.workerConfig(node, vmid);
    checkLock(config);
    if (config.values.get('template') === '1')
      throw new TaskFailure("you can't start a CT if it's a template");
    const volid = parseProperties(config.values.get('rootfs') ?? '').get('') ?? '';
    if (this.#world.storages.disk(volid, node) === undefined)
      throw new TaskFailure(`volume '${volid}' does not exist`);
    for (const key of netKeys(config)) {
      const bridge = parseProperties(config.values.get(key) ?? '').get('bridge');
      if (bridge !== undefined && !bridgesOn(this.#world, node).some(({ name }) => name === bridge))
        throw new TaskFailure(`bridge '${bridge}' does not exist`);
    }
    await worker.sleep(TIMES.start);
    if (this.copy(node, vmid) !== undefined) throw new TaskFailure(`CT ${vmid} already running`);
    this.began(node, vmid, `started by ${who}`);
  }

  /** The copy runs from now on. */
  began(node: string, vmid: number, how: string, startedAt = this.#world.core.now()): void {
    const { cfs, core, storages, tasks, statd } = this.#world;
    statd.note();
    const config = parseConfig(cfs.read(node, vmid) ?? '');
    const volid = parseProperties(config.values.get('rootfs') ?? '').get('') ?? '';
    const net = parseProperties(config.values.get(netKeys(config)[0] ?? '') ?? '');
    const hostname = config.values.get('hostname') ?? `CT${vmid}`;
    this.#copies.set(`${node}/${vmid}`, {
      node,
      vmid,
      pid: tasks.newPid(node),
      startedAt,
      hostname,
      mac: net.get('hwaddr') ?? null,
      linkDown: net.get('link_down') === '1',
      disk: storages.disk(volid, node) ?? null,
      memoryMiB: Number(config.values.get('memory') ?? '512'),
    });
    if (how !== '') core.event(`${node}: CT ${vmid} (${hostname}) ${how}`);
    this.changed();
  }

  /** The copy is gone. */
  ended(node: string, vmid: number, how: string): void {
    const copy = this.copy(node, vmid);
    if (copy === undefined) return;
    this.#world.statd.note();
    this.#copies.delete(`${node}/${vmid}`);
    this.#world.core.event(`${node}: CT ${vmid} (${copy.hostname}) ${how}`);
    this.changed();
  }

  /** A config of a running copy was changed: its link follows at once. */
  reconfigured(node: string, vmid: number): void {
    const copy = this.copy(node, vmid);
    const text = this.#world.cfs.read(node, vmid);
    if (copy === undefined || text === null) return;
    const config = parseConfig(text);
    const net = parseProperties(config.values.get(netKeys(config)[0] ?? '') ?? '');
    this.#copies.set(`${node}/${vmid}`, {
      ...copy,
      mac: net.get('hwaddr') ?? null,
      linkDown: net.get('link_down') === '1',
    });
    this.changed();
  }

  /** Power loss: everything on the node is gone at once. */
  nodeLost(node: string): void {
    for (const copy of this.copies()) if (copy.node === node) this.#copies.delete(`${node}/${copy.vmid}`);
    this.changed();
  }

  breakService(hostname: string, broken: boolean): void {
    if (broken) this.#broken.add(hostname);
    else this.#broken.delete(hostname);
    this.#world.core.event(`service of ${hostname}: ${broken ? 'broken' : 'mended'}`);
    this.#world.core.changed();
  }

  running(): RunningCopy[] {
    return this.copies().map((copy) => {
      const reachable = this.#world.nodes.get(copy.node).network === 'up' && !copy.linkDown;
      const up = reachable && !this.#broken.has(copy.hostname);
      return {
        vmid: copy.vmid,
        node: copy.node,
        hostname: copy.hostname,
        mac: identityOf(copy),
        services: (copy.disk?.content.services ?? []).map((service) => ({ ...service, up })),
      };
    });
  }

  changed(): void {
    this.#world.checker.check(
      this.copies().map((copy) => ({
        node: copy.node,
        vmid: copy.vmid,
        hostname: copy.hostname,
        identity: identityOf(copy),
        isolated: copy.linkDown,
      })),
    );
    this.#world.core.changed();
  }
}

/** The same for an original and every copy restored from it. */
function identityOf(copy: Copy): string {
  return copy.mac ?? copy.disk?.content.identity ?? `${copy.node}/${copy.vmid}`;
}

export function missingConfig(node: string, vmid: number): string {
  return `Configuration file 'nodes/${node}/lxc/${vmid}.conf' does not exist`;
}

/** Ends the task when the config is locked. */
export function checkLock(config: CtConfig): void {
  const lock = config.values.get('lock');
  if (lock !== undefined) throw new TaskFailure(`CT is locked (${lock})`);
}
