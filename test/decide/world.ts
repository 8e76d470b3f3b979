/** Worlds for the tests of decisions: a healthy cluster of three nodes, and short words for what goes wrong in it. */
import { decide } from '../../lib/decide/decide.ts';
import { TAG } from '../../lib/decide/lineage.ts';
import type {
  ClusterView,
  Decision,
  GuestDetail,
  GuestView,
  Lineage,
  NodeView,
  Observation,
  Request,
} from '../../lib/decide/model.ts';
import type { UnderWay } from '../../lib/decide/under-way.ts';
import type { Container, FenceConfig, Inventory, Limits } from '../../lib/inventory/types.ts';
import { emptyContainerState, emptyState, type ContainerState, type State } from '../../lib/state/model.ts';
import {
  backupOf,
  containerOf,
  deepFreeze,
  detailOf,
  GIB,
  guestOf,
  HTTP_FENCE,
  identityOf,
  incarnationOf,
  lineOf,
  MINUTE,
  nodeOf,
  NOW,
  probeOf,
  type ContainerPatch,
} from './parts.ts';

/** One world. Every word changes it and returns it, so that a test reads as a sentence. */
export class World {
  readonly view: ClusterView;
  readonly observation: Observation;
  readonly state: State = emptyState();
  readonly containers: Record<string, Container> = {};
  readonly fences: Record<string, FenceConfig[]> = {};
  readonly busy = new Map<string, string>();
  limits: Limits = { failoversPerRun: 3, failoversPerHour: 6, restoresPerNode: 1, restoresPerStorage: 2 };
  keepApart: Record<string, string[]> = {};
  readonly underWay: UnderWay[] = [];
  now = NOW;

  constructor(nodes: readonly string[]) {
    this.view = {
      cluster: 'home',
      at: NOW,
      endpoints: nodes.map((node) => ({
        endpoint: `https://${node}:8006`,
        ok: true,
        error: null,
        node,
        quorate: true,
        online: [...nodes],
      })),
      via: `https://${nodes[0] ?? ''}:8006`,
      version: '8.4.1',
      standalone: false,
      quorate: true,
      nodes: nodes.map((name) => nodeOf(name)),
      guests: [],
      storages: nodes.flatMap((node) => [
        {
          storage: 'local',
          node,
          active: true,
          shared: false,
          content: ['rootdir'],
          total: 100 * GIB,
          used: 0,
          type: 'dir',
        },
        {
          storage: 'nas',
          node,
          active: true,
          shared: true,
          content: ['backup'],
          total: 1000 * GIB,
          used: 0,
          type: 'dir',
        },
      ]),
      ha: [],
      haGroups: [],
      haRules: [],
      lrms: null,
      mayGuard: true,
      maySysModify: null,
      mayNameDisks: null,
      lineages: [],
      unread: [],
      details: [],
      fences: [],
      problems: [],
    };
    this.observation = {
      version: 2,
      at: NOW,
      inventory: 'digest',
      canaries: [probeOf('ok', 'ping 10.0.0.1'), probeOf('ok', 'tcp 10.0.0.20:8007')],
      probes: {},
      clusters: { home: this.view },
      backups: [],
    };
  }

  /** A container of the inventory; its original runs on `on` (null: there is none) and answers. */
  has(patch: ContainerPatch = {}, on: string | null = 'pve1'): this {
    const container = containerOf(patch);
    const { name, vmid } = container;
    this.containers[name] = container;
    this.observation.probes[name] = [probeOf('ok', container.checks[0]?.label)];
    if (on !== null) {
      this.runs(on, vmid);
      this.observation.backups.push(backupOf({ vmid }));
      this.record(name, { identity: { ...identityOf(), vmid }, current: incarnationOf({ node: on, vmid }) });
    }
    return this;
  }

  /** A running guest, its detail and its interface. */
  runs(node: string, vmid: number, guest: Partial<GuestView> = {}, detail: Partial<GuestDetail> = {}): this {
    this.view.guests.push(guestOf(node, vmid, guest));
    this.view.details.push(detailOf(node, vmid, detail));
    if ((detail.status ?? 'running') === 'running') this.node(node).netstat?.push(vmid);
    return this;
  }

  /** A copy with its lineage line, on the vmid of its epoch. `known`: the state knows it as the current one. */
  copy(line: Partial<Lineage> = {}, status: 'running' | 'stopped' = 'running', known = true): this {
    const epoch = line.epoch ?? 1;
    const before = epoch === 1 ? 'pve1/101@0' : `pve2/${(epoch - 1) * 1_000_000 + 101}@${epoch - 1}`;
    const full = lineOf({ vmid: epoch * 1_000_000 + 101, supersedes: before, ...line });
    const { node, vmid, phase } = full;
    this.runs(node, vmid, { tags: [TAG], status }, { status, onboot: status === 'running', tags: [TAG] });
    this.view.lineages.push({ node, vmid, line: full });
    if (known)
      this.record(full.container, {
        current: incarnationOf({ node, vmid, epoch, phase, since: full.at, operation: full.operation }),
        identity: { ...identityOf(), vmid },
      });
    return this;
  }

  /** Stopped as its own node says: no interface, onboot=0. `by`: the task that a person asked for. */
  stops(node: string, vmid: number, detail: Partial<GuestDetail> = {}): this {
    const guest = this.view.guests.find((g) => g.node === node && g.vmid === vmid);
    if (guest !== undefined) guest.status = 'stopped';
    this.changeDetail(node, vmid, { status: 'stopped', onboot: false, ...detail });
    const { netstat } = this.node(node);
    if (netstat !== null) this.node(node).netstat = netstat.filter((id) => id !== vmid);
    return this;
  }

  changeDetail(node: string, vmid: number, patch: Partial<GuestDetail>): this {
    const index = this.view.details.findIndex((d) => d.node === node && d.vmid === vmid);
    const before = this.view.details[index] ?? detailOf(node, vmid);
    if (index !== -1) this.view.details.splice(index, 1);
    this.view.details.push({ ...before, ...patch });
    return this;
  }

  /** The node is off: offline for the others, its API gone, its guests as the others last saw them. */
  dies(name: string): this {
    Object.assign(this.node(name), { online: false, apiAnswers: false, netstat: null, pingAnswers: false });
    this.state.silent[`home/${name}`] = { since: NOW - 3 * MINUTE, at: NOW };
    for (const endpoint of this.view.endpoints)
      endpoint.online = endpoint.online.filter((node) => node !== name);
    for (const endpoint of this.view.endpoints)
      if (endpoint.node === name) Object.assign(endpoint, { ok: false, error: 'no answer', quorate: false });
    this.view.details = this.view.details.filter((d) => d.node !== name);
    const lost = this.view.lineages.filter((l) => l.node === name);
    this.view.lineages = this.view.lineages.filter((l) => l.node !== name);
    this.view.unread.push(...lost.map(({ node, vmid }) => ({ node, vmid })));
    for (const container of Object.values(this.containers)) {
      const at = this.state.containers[container.name]?.current;
      if (at?.node === name) this.answers(container.name, 'silent');
    }
    return this;
  }

  /** Five minutes later: the lists only know the vmid of a dead node's guests. */
  forgets(name: string): this {
    this.view.guests = this.view.guests.map((g) =>
      g.node === name ? { ...g, name: '', status: 'unknown', tags: [], memMax: null } : g,
    );
    this.view.unread = this.view.unread.filter((u) => u.node !== name);
    return this;
  }

  answers(name: string, how: 'ok' | 'silent' | 'refused' | 'unasked'): this {
    this.observation.probes[name] = [probeOf(how, this.containers[name]?.checks[0]?.label)];
    return this;
  }

  /** It has failed `times` times in a row, up to now. */
  failed(name = 'dns', times = 3): this {
    return this.record(name, { failures: times, countedAt: NOW, firstFailureAt: NOW - times * MINUTE });
  }

  record(name: string, patch: Partial<ContainerState>): this {
    this.state.containers[name] = { ...(this.state.containers[name] ?? emptyContainerState()), ...patch };
    return this;
  }

  /** `by` has been asked just now. A status only; `plug` gives the node a driver as well. */
  reads(node: string, power: 'on' | 'off' | 'unknown', by = 'http', at = NOW): this {
    this.view.fences.push({ node, driver: by, power, at, detail: `power=${power}` });
    return this;
  }

  plug(node: string): this {
    this.fences[node] = [HTTP_FENCE];
    return this;
  }

  guard(node: string, vmid: number): this {
    this.view.ha.push({ sid: `ct:${vmid}`, state: 'disabled', group: `pw-guard-${node}`, comment: 'op-1' });
    this.view.haGroups.push({ group: `pw-guard-${node}`, nodes: [node], restricted: true });
    return this;
  }

  entry(name: string, patch: ContainerPatch): this {
    const before = this.containers[name] ?? containerOf({ name });
    this.containers[name] = {
      ...before,
      ...patch,
      backup: { ...before.backup, ...patch.backup },
      failover: { ...before.failover, ...patch.failover },
      hooks: { ...before.hooks, ...patch.hooks },
    };
    return this;
  }

  /** Any other change, in a function. */
  but(change: (world: this) => void): this {
    change(this);
    return this;
  }

  node(name: string): NodeView {
    const node = this.view.nodes.find((n) => n.name === name);
    if (node === undefined) throw new Error(`no node ${name} in this world`);
    return node;
  }

  container(name = 'dns'): Container {
    const container = this.containers[name];
    if (container === undefined) throw new Error(`no container ${name} in this world`);
    return container;
  }

  get inventory(): Inventory {
    return {
      dir: '/inventory',
      files: ['home.yaml'],
      digest: 'digest',
      clusters: {
        home: {
          name: 'home',
          file: 'home.yaml',
          endpoints: this.view.endpoints.map((e) => e.endpoint),
          credentials: { kind: 'token', token: { kind: 'env', name: 'TOKEN' } },
          tls: { kind: 'system' },
          timeoutMs: 10_000,
          canaries: [],
          shell: { kind: 'ssh', user: 'root', port: 22, key: null, knownHosts: null },
          nodes: Object.fromEntries(Object.entries(this.fences).map(([node, fence]) => [node, { fence }])),
        },
      },
      containers: this.containers,
      limits: this.limits,
      keepApart: this.keepApart,
      notify: { to: [], repeatMs: 14_400_000 },
      heartbeat: null,
      warnings: [],
    };
  }

  decisions(request?: Request): Decision[] {
    const { inventory, observation, state, now, busy, underWay } = this;
    return decide(
      deepFreeze(structuredClone({ inventory, observation, state, now, busy, underWay, request })),
    );
  }

  /** The decision on one container. */
  decides(name = 'dns', request?: Omit<Request, 'container'>): Decision {
    const decision = this.decisions(request === undefined ? undefined : { ...request, container: name }).find(
      (d) => d.container === name,
    );
    if (decision === undefined) throw new Error(`no decision on ${name}`);
    return decision;
  }
}

/** pve1, pve2 and pve3, and `dns` (101) on pve1, healthy, backed up an hour ago. */
export function world(): World {
  return new World(['pve1', 'pve2', 'pve3']).has();
}

/** The node of `dns` is dead, its plug says off, and it has failed three times: a failover is due. */
export function dueWorld(): World {
  return world().dies('pve1').plug('pve1').reads('pve1', 'off').failed();
}

/** The gates that did not pass. */
export function failedGates(decision: Decision): string[] {
  return decision.gates.filter((g) => !g.ok).map((g) => g.gate);
}
