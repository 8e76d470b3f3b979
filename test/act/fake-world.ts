/** A small Proxmox VE cluster in memory: guests, tasks, HA entries and backups, with the truth about what runs. */
import type { Clock } from '../../lib/clock.ts';
import type {
  BackupView,
  GuestDetail,
  HaEntry,
  HaGroup,
  HaRule,
  ProbeResult,
} from '../../lib/decide/model.ts';
import { PveError } from '../../lib/errors.ts';
import { MAC, probeOf } from '../decide/parts.ts';

interface FakeNode {
  readonly name: string;
  /** Has power: its guests run. */
  power: boolean;
  /** Reaches the others and the runner. */
  linked: boolean;
}

export interface FakeGuest {
  readonly vmid: number;
  node: string;
  running: boolean;
  /** Whether its service answers while it runs. */
  service: boolean;
  config: Pick<GuestDetail, 'onboot' | 'tags' | 'description' | 'macs' | 'lock'>;
  lastTask: GuestDetail['lastTask'];
}

interface FakeTask {
  readonly upid: string;
  readonly node: string;
  readonly type: string;
  readonly vmid: number;
  readonly startedAt: number;
  endsAt: number;
  effect: (() => string | void) | null;
  exitstatus: string | null;
  log: string[];
}

const TASK_MS = 2000;

/** As a server says no. */
export function refused(message: string): never {
  throw new PveError(message, { outcome: 'refused', status: 500 });
}

export class FakePve {
  readonly clock: Clock;
  readonly nodes: FakeNode[];
  readonly guests = new Map<number, FakeGuest>();
  readonly ha: HaEntry[] = [];
  readonly groups: HaGroup[] = [];
  readonly rules: HaRule[] = [];
  version = '8.4.1';
  readonly backups: BackupView[] = [];
  readonly tasks: FakeTask[] = [];
  /** Every write that was asked for, in order. */
  readonly writes: string[] = [];
  /** Two copies of one container that ran at the same time. */
  readonly violations: string[] = [];
  mayGuard = true;
  /** vmids with a storage replication job. */
  readonly replicated: number[] = [];
  quorate = true;
  /** Nodes whose own view has no quorum, although the runner reaches them. */
  readonly minority = new Set<string>();
  /** The endpoint that the client writes through. */
  via = '';
  /** Called before each write with its words: throws for a fault, looks at the journal, changes the world. */
  onWrite: (call: string) => void = () => undefined;
  /** Called when a task ends: an error text makes it fail. */
  onTask: (type: string, vmid: number) => string | null = () => null;

  constructor(clock: Clock, nodes: readonly string[] = ['pve1', 'pve2', 'pve3']) {
    this.clock = clock;
    this.nodes = nodes.map((name) => ({ name, power: true, linked: true }));
  }

  add(
    node: string,
    vmid: number,
    patch: Partial<Omit<FakeGuest, 'config'>> & { config?: Partial<FakeGuest['config']> } = {},
  ): FakeGuest {
    const { config, ...rest } = patch;
    const guest: FakeGuest = {
      vmid,
      node,
      running: true,
      service: true,
      lastTask: null,
      ...rest,
      config: { onboot: true, tags: [], description: '', macs: [MAC], lock: null, ...config },
    };
    this.guests.set(vmid, guest);
    this.check();
    return guest;
  }

  guest(vmid: number): FakeGuest {
    const guest = this.guests.get(vmid);
    if (guest === undefined) throw new Error(`no CT ${vmid}`);
    return guest;
  }

  node(name: string): FakeNode {
    const node = this.nodes.find((n) => n.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Power off: what ran there runs no more. */
  kill(name: string): void {
    Object.assign(this.node(name), { power: false, linked: false });
    for (const guest of this.guests.values()) if (guest.node === name) guest.running = false;
  }

  /** Only its network: what runs there runs on. */
  cut(name: string): void {
    this.node(name).linked = false;
  }

  /** Back, with its guests as `onboot` and the guards say. */
  revive(name: string): void {
    Object.assign(this.node(name), { power: true, linked: true });
    for (const guest of this.guests.values())
      if (guest.node === name && !this.ha.some((e) => e.sid === `ct:${guest.vmid}`))
        guest.running ||= guest.config.onboot;
    this.check();
  }

  running(): string[] {
    return [...this.guests.values()]
      .filter((g) => g.running)
      .map((g) => `${g.node}/${g.vmid}`)
      .toSorted();
  }

  /** A probe of the service of `dns`: whoever has its MAC, runs, and can be reached. */
  probe(label: string): ProbeResult {
    this.settle();
    const reached = [...this.guests.values()].filter(
      (g) => g.running && g.config.macs.includes(MAC) && this.node(g.node).linked,
    );
    if (reached.length === 0) return probeOf('silent', label);
    return probeOf(reached.some((g) => g.service) ? 'ok' : 'refused', label);
  }

  alive(name: string): boolean {
    const node = this.nodes.find((n) => n.name === name);
    return node !== undefined && node.power && node.linked;
  }

  check(): void {
    const copies = [...this.guests.values()].filter((g) => g.running && g.config.macs.includes(MAC));
    if (copies.length > 1) this.violations.push(copies.map((g) => `${g.node}/${g.vmid}`).join(' and '));
  }

  settle(): void {
    for (const task of this.tasks) {
      if (task.effect === null || this.clock.now() < task.endsAt) continue;
      const { effect } = task;
      task.effect = null;
      const error = this.onTask(task.type, task.vmid) ?? effect() ?? null;
      task.exitstatus = error ?? 'OK';
      task.log.push(error === null ? 'TASK OK' : `TASK ERROR: ${error}`);
      this.check();
    }
  }

  write(call: string, node?: string): void {
    this.settle();
    this.onWrite(call);
    if (node !== undefined && !this.alive(node))
      throw new PveError(`${node}: no route to host`, { outcome: 'refused', status: 595 });
    if (!this.quorate) refused('cluster not ready - no quorum?');
    this.writes.push(call);
    if (this.minority.has(this.via)) this.violations.push(`${call} through ${this.via}, which has no quorum`);
  }

  task(type: string, node: string, vmid: number, effect: () => string | void, log: string[] = []): string {
    this.write(`${type} ${node}/${vmid}`, node);
    const startedAt = this.clock.now();
    const hex = (n: number): string => n.toString(16).toUpperCase().padStart(8, '0');
    const upid = `UPID:${node}:${hex(this.tasks.length + 1)}:0000ABCD:${hex(Math.floor(startedAt / 1000))}:${type}:${vmid}:proxwarden@pve!cli:`;
    this.tasks.push({
      upid,
      node,
      type,
      vmid,
      startedAt,
      endsAt: startedAt + TASK_MS,
      effect,
      exitstatus: null,
      log,
    });
    return upid;
  }

  on(node: string, vmid: number): FakeGuest {
    this.settle();
    if (!this.alive(node))
      throw new PveError(`${node}: no route to host`, { outcome: 'refused', status: 595 });
    const guest = this.guests.get(vmid);
    if (guest === undefined || guest.node !== node)
      refused(`Configuration file 'nodes/${node}/lxc/${vmid}.conf' does not exist`);
    return guest;
  }

  start(node: string, vmid: number): string | void {
    const guest = this.on(node, vmid);
    if (guest.running) return `CT ${vmid} already running`;
    if (guest.config.lock !== null) return `CT is locked (${guest.config.lock})`;
    guest.running = true;
    guest.lastTask = { type: 'vzstart', user: 'proxwarden@pve!cli', endedAt: this.clock.now(), ok: true };
  }

  stop(type: string, node: string, vmid: number): string | void {
    const guest = this.on(node, vmid);
    if (!guest.running) return `CT ${vmid} not running`;
    // A guard answers a stop with OK and lets the container run on.
    if (this.ha.some((e) => e.sid === `ct:${vmid}`)) return;
    guest.running = false;
    guest.lastTask = { type, user: 'proxwarden@pve!cli', endedAt: this.clock.now(), ok: true };
  }
}
