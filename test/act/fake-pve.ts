/** A small Proxmox VE cluster in memory: guests, tasks, HA entries and backups, with the truth about what runs. */
import type { Clock } from '../../lib/clock.ts';
import type { BackupView, GuestDetail, HaEntry, HaGroup, ProbeResult } from '../../lib/decide/model.ts';
import { parseLineage } from '../../lib/decide/lineage.ts';
import { PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { archivedOf, backupOf, detailOf, GIB, guestOf, MAC, nodeOf, probeOf } from '../decide/parts.ts';

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
  readonly endsAt: number;
  effect: (() => string | void) | null;
  exitstatus: string | null;
  log: string[];
}

const TASK_MS = 2000;

function refused(message: string): never {
  throw new PveError(message, { outcome: 'refused', status: 500 });
}

export class FakePve {
  readonly clock: Clock;
  readonly nodes: FakeNode[];
  readonly guests = new Map<number, FakeGuest>();
  readonly ha: HaEntry[] = [];
  readonly groups: HaGroup[] = [];
  readonly backups: BackupView[] = [];
  readonly tasks: FakeTask[] = [];
  /** Every write that was asked for, in order. */
  readonly writes: string[] = [];
  /** Two copies of one container that ran at the same time. */
  readonly violations: string[] = [];
  mayGuard = true;
  quorate = true;
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

  #alive(name: string): boolean {
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

  #write(call: string, node?: string): void {
    this.settle();
    this.onWrite(call);
    if (node !== undefined && !this.#alive(node))
      throw new PveError(`${node}: no route to host`, { outcome: 'refused', status: 595 });
    if (!this.quorate) refused('cluster not ready - no quorum?');
    this.writes.push(call);
  }

  #task(type: string, node: string, vmid: number, effect: () => string | void, log: string[] = []): string {
    this.#write(`${type} ${node}/${vmid}`, node);
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

  #on(node: string, vmid: number): FakeGuest {
    this.settle();
    if (!this.#alive(node))
      throw new PveError(`${node}: no route to host`, { outcome: 'refused', status: 595 });
    const guest = this.guests.get(vmid);
    if (guest === undefined || guest.node !== node)
      refused(`Configuration file 'nodes/${node}/lxc/${vmid}.conf' does not exist`);
    return guest;
  }

  #start(node: string, vmid: number): string | void {
    const guest = this.#on(node, vmid);
    if (guest.running) return `CT ${vmid} already running`;
    if (guest.config.lock !== null) return `CT is locked (${guest.config.lock})`;
    guest.running = true;
    guest.lastTask = { type: 'vzstart', user: 'proxwarden@pve!cli', endedAt: this.clock.now(), ok: true };
  }

  #stop(type: string, node: string, vmid: number): string | void {
    const guest = this.#on(node, vmid);
    if (!guest.running) return `CT ${vmid} not running`;
    // A guard answers a stop with OK and lets the container run on.
    if (this.ha.some((e) => e.sid === `ct:${vmid}`)) return;
    guest.running = false;
    guest.lastTask = { type, user: 'proxwarden@pve!cli', endedAt: this.clock.now(), ok: true };
  }

  api(cluster = 'home'): PveApi {
    const fake = this;
    const endpoints = this.nodes.map((n) => `https://${n.name}:8006`);
    const nodes = () => this.nodes.map(({ name }) => ({ name, online: fake.#alive(name), ip: null }));
    return {
      cluster,
      endpoints,
      useEndpoint: () => undefined,
      endpointView(endpoint) {
        fake.settle();
        const name = new URL(endpoint).hostname;
        const ok = fake.#alive(name);
        return Promise.resolve({
          endpoint,
          ok,
          error: ok ? null : 'no answer',
          node: ok ? name : null,
          quorate: ok && fake.quorate,
          online: ok
            ? nodes()
                .filter((n) => n.online)
                .map((n) => n.name)
            : [],
          standalone: false,
          nodes: nodes(),
          failure: ok ? null : 'network',
        });
      },
      version: () => Promise.resolve('8.4.1'),
      async resources() {
        fake.settle();
        return {
          nodes: fake.nodes.map(({ name }) => {
            const { memTotal, memUsed, uptimeSeconds } = nodeOf(name);
            return {
              name,
              status: fake.#alive(name) ? 'online' : 'offline',
              memTotal,
              memUsed,
              uptimeSeconds,
            };
          }),
          guests: [...fake.guests.values()].map((g) =>
            guestOf(g.node, g.vmid, {
              status: g.running || !fake.#alive(g.node) ? 'running' : 'stopped',
              tags: [...g.config.tags],
              lock: g.config.lock,
            }),
          ),
          storages: fake.nodes.flatMap(({ name }) => [
            {
              storage: 'local',
              node: name,
              active: true,
              shared: false,
              content: ['rootdir'],
              total: 100 * GIB,
              used: 0,
            },
            {
              storage: 'nas',
              node: name,
              active: true,
              shared: true,
              content: ['backup'],
              total: 1000 * GIB,
              used: 0,
            },
          ]),
        };
      },
      nodeAnswers: async (node) => fake.#alive(node),
      async netstat(node) {
        if (!fake.#alive(node)) throw new PveError('595', { outcome: 'refused', status: 595 });
        fake.settle();
        return [...fake.guests.values()].filter((g) => g.node === node && g.running).map((g) => g.vmid);
      },
      async guestDetail(node, vmid) {
        const guest = fake.#on(node, vmid);
        return detailOf(node, vmid, {
          readAt: fake.clock.now(),
          status: guest.running ? 'running' : 'stopped',
          lastTask: guest.lastTask,
          ...structuredClone(guest.config),
        });
      },
      permissions: async () => ({ '/': fake.mayGuard ? ['Sys.Audit', 'Sys.Console'] : ['Sys.Audit'] }),
      haResources: async () => structuredClone(fake.ha),
      haGroups: async () => structuredClone(fake.groups),
      async createHaGroup(group, members) {
        fake.#write(`create group ${group}`);
        fake.groups.push({ group, nodes: [...members], restricted: true });
      },
      async createHaResource(sid, settings) {
        fake.#write(`create ha ${sid}`);
        fake.ha.push({ sid, ...settings });
      },
      async deleteHaResource(sid) {
        fake.#write(`delete ha ${sid}`);
        fake.ha.splice(
          fake.ha.findIndex((e) => e.sid === sid),
          1,
        );
      },
      async deleteHaGroup(group) {
        fake.#write(`delete group ${group}`);
        fake.groups.splice(
          fake.groups.findIndex((g) => g.group === group),
          1,
        );
      },
      backups: async (_node, storage, options) =>
        structuredClone(
          fake.backups.filter((b) => b.storage === storage && (options?.vmid ?? b.vmid) === b.vmid),
        ).map((b) => ({ ...b, archived: null })),
      async archivedConfig(_node, volid) {
        const archived = fake.backups.find((b) => b.volid === volid)?.archived;
        return archived == null ? refused(`${volid} has no config`) : structuredClone(archived);
      },
      async protectBackup(_node, volid, on) {
        fake.#write(`${on ? 'protect' : 'unprotect'} ${volid}`);
        for (const backup of fake.backups) if (backup.volid === volid) backup.protected = on;
      },
      vzdump: async (node, { vmid, storage, mode }) => {
        const file = `vzdump-lxc-${vmid}-${fake.tasks.length}.tar.zst`;
        const effect = (): void => {
          const { config } = fake.#on(node, vmid);
          const lineage = parseLineage(config.description);
          const archived = archivedOf({
            macs: config.macs,
            description: config.description,
            lineage,
            onboot: config.onboot,
          });
          fake.backups.push(
            backupOf({ vmid, storage, volid: `${storage}:backup/${file}`, at: fake.clock.now(), archived }),
          );
        };
        return fake.#task('vzdump', node, vmid, effect, [
          `INFO: creating vzdump archive '/dump/${file}'`,
          `INFO: mode ${mode}`,
        ]);
      },
      async restore(node, { vmid, volid, description, tags }) {
        const taken = fake.guests.get(vmid);
        if (taken !== undefined) refused(`CT ${vmid} already exists on node '${taken.node}'`);
        const archived = fake.backups.find((b) => b.volid === volid)?.archived;
        return fake.#task('vzrestore', node, vmid, () => {
          if (archived == null) return `volume '${volid}' does not exist`;
          const config = { onboot: false, tags: [...tags], description, macs: [...archived.macs] };
          fake.add(node, vmid, { running: false, config });
          return undefined;
        });
      },
      start: async (node, vmid) => fake.#task('vzstart', node, vmid, () => fake.#start(node, vmid)),
      stop: async (node, vmid) => fake.#task('vzstop', node, vmid, () => fake.#stop('vzstop', node, vmid)),
      shutdown: async (node, vmid) =>
        fake.#task('vzshutdown', node, vmid, () => fake.#stop('vzshutdown', node, vmid)),
      destroy: async (node, vmid) =>
        fake.#task('vzdestroy', node, vmid, () => void fake.guests.delete(fake.#on(node, vmid).vmid)),
      async setConfig(node, vmid, changes) {
        fake.#write(`config ${node}/${vmid} ${Object.keys(changes).toSorted().join(',')}`, node);
        Object.assign(fake.#on(node, vmid).config, changes);
      },
      async taskStatus(upid) {
        fake.settle();
        const task = fake.tasks.find((t) => t.upid === upid);
        if (task === undefined) throw new PveError('no such task', { outcome: 'refused', status: 400 });
        return { upid, node: task.node, running: task.exitstatus === null, exitstatus: task.exitstatus };
      },
      taskLog: async (upid, options) =>
        fake.tasks.find((t) => t.upid === upid)?.log.slice(options?.start ?? 0) ?? [],
      tasks: async (node, { vmid, since, type }) =>
        fake.tasks
          .filter(
            (t) => t.node === node && t.vmid === vmid && t.startedAt >= since && (type ?? t.type) === t.type,
          )
          .map((t) => ({
            upid: t.upid,
            node,
            type: t.type,
            id: String(vmid),
            user: 'proxwarden@pve!cli',
            startedAt: t.startedAt,
            endedAt: t.exitstatus === null ? null : t.endsAt,
            exitstatus: t.exitstatus,
          })),
      close: async () => undefined,
    };
  }
}
