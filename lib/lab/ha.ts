import { ApiError } from './http.ts';
import type { World } from './world.ts';

export interface HaResource {
  readonly sid: string;
  readonly vmid: number;
  state: string;
  group: string | undefined;
  comment: string | undefined;
  maxRestart: number | undefined;
  maxRelocate: number | undefined;
  /** Enrolled while its node was up: that node's LRM is active and has a watchdog. */
  enrolledAlive: boolean;
  /** Set for an entry that nobody carries out: its node has no active LRM. */
  inert: boolean;
  /** When it came, or what it wants was changed. */
  since: number;
}

export interface HaGroup {
  readonly group: string;
  readonly nodes: readonly string[];
  readonly restricted: boolean;
  readonly nofailback: boolean;
  readonly comment: string | undefined;
}

/** Of 9.x. */
export interface HaRule {
  readonly rule: string;
  readonly type: string;
  readonly nodes: readonly string[];
  readonly resources: readonly string[];
  readonly strict: boolean;
  readonly disabled: boolean;
  readonly affinity: string | undefined;
  readonly comment: string | undefined;
}

/** Measured (facts, section 9), in milliseconds. */
const TIMES = {
  /** From the entry (or the death, whichever is later) until the CRM "fences" and moves the config. */
  recovery: 70_000,
  /** The same for a container that was enrolled while its node lived: its agent lock must expire first. */
  fencedRecovery: 139_000,
  /** How long the CRM waits for the LRM of a dead node to stop what an entry wants stopped. */
  stopWait: 60_000,
  /** One round of the CRM and one of the LRM. */
  act: 10_000,
} as const;

/** The HA manager, as far as entries for single containers go. */
export class Ha {
  readonly resources = new Map<string, HaResource>();
  readonly groups = new Map<string, HaGroup>();
  readonly rules = new Map<string, HaRule>();
  /** Nodes in maintenance mode. That their HA resources are moved away is not simulated. */
  readonly maintained = new Set<string>();
  /** Entries have come, gone or changed. */
  onChange: () => void = () => undefined;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** The entry that keeps a vmid under HA; an ignored one doesn't. */
  managing(vmid: number): HaResource | undefined {
    const resource = this.resources.get(`ct:${vmid}`);
    return resource === undefined || resource.state === 'ignored' ? undefined : resource;
  }

  /** `ha-manager crm-command node-maintenance`: refused for a node that is not online (PVE's source, unmeasured). */
  maintain(node: string, how: 'enable' | 'disable'): void {
    const { core, nodes } = this.#world;
    if (how === 'enable' && !nodes.get(node).member)
      return core.event(`HA: crm command error - node not online: enable-node-maintenance ${node}`);
    if (how === 'enable') this.maintained.add(node);
    else this.maintained.delete(node);
    core.event(`HA: maintenance of node ${node} ${how}d`);
  }

  create(resource: Omit<HaResource, 'enrolledAlive' | 'inert' | 'since'>): void {
    const { nodes, cfs, core, guests } = this.#world;
    const owner = cfs.find(resource.vmid);
    if (owner === null)
      throw new ApiError(500, `create resource failed: resource '${resource.sid}' does not exist in cluster`);
    if (this.resources.has(resource.sid))
      throw new ApiError(500, `create resource failed: resource ID '${resource.sid}' already defined`);
    if (resource.group !== undefined && !this.groups.has(resource.group))
      throw new ApiError(500, `create resource failed: HA group '${resource.group}' does not exist`);
    const node = nodes.get(owner);
    const alive = node.member && node.network === 'up' && node.api;
    const inert = !alive && resource.state !== 'started';
    const added = { ...resource, enrolledAlive: alive, inert, since: core.now() };
    this.resources.set(resource.sid, added);
    const guard = added.state === 'disabled' ? ' (guard)' : '';
    core.event(`HA: ${resource.sid} added, ${added.state}${guard}`);
    this.onChange();
    if (alive && guests.copy(owner, resource.vmid) === undefined && added.state !== 'started') return;
    this.schedule(added);
  }

  /** A person or the API has changed the wanted state. */
  setState(resource: HaResource, state: string): void {
    resource.state = state === 'enabled' ? 'started' : state;
    resource.since = this.#world.core.now();
    // Only a start makes a node's LRM active for an entry that it knew nothing of.
    if (resource.state === 'started') resource.inert = false;
    this.#world.core.event(`HA: ${resource.sid} set to ${resource.state}`);
    this.onChange();
    this.schedule(resource);
  }

  remove(sid: string): void {
    if (!this.resources.delete(sid)) return;
    this.#world.core.event(`HA: ${sid} removed`);
    this.onChange();
  }

  /** Takes an entry that has gone out of the rules that name it; a rule without any goes with it. */
  purge(sid: string): void {
    for (const rule of this.rules.values()) {
      const resources = rule.resources.filter((one) => one !== sid);
      if (resources.length === 0) this.rules.delete(rule.rule);
      else this.rules.set(rule.rule, { ...rule, resources });
    }
  }

  /** The nodes that an entry belongs to, and whether it may run nowhere else; null: no group and no rule says. */
  #affinity(resource: HaResource): { readonly nodes: readonly string[]; readonly strict: boolean } | null {
    const group = resource.group === undefined ? undefined : this.groups.get(resource.group);
    if (group !== undefined) return { nodes: group.nodes, strict: group.restricted };
    const rule = [...this.rules.values()].find(
      (one) => one.type === 'node-affinity' && !one.disabled && one.resources.includes(resource.sid),
    );
    return rule ?? null;
  }

  /** A node is gone or back: every entry is looked at again. */
  membershipChanged(): void {
    const { cfs, core, nodes } = this.#world;
    for (const resource of this.resources.values()) {
      const owner = cfs.find(resource.vmid);
      // The CRM still waits for an LRM to carry out a plain entry: that of a node that is back by then becomes active.
      const waits = core.since(resource.since) < TIMES.stopWait && this.#affinity(resource)?.strict !== true;
      if (owner !== null && nodes.get(owner).member && waits) resource.inert = false;
      this.schedule(resource);
    }
  }

  /** Lets the manager act on an entry, after the time that it takes. */
  schedule(resource: HaResource): void {
    const { core, cfs, nodes } = this.#world;
    if (resource.state === 'ignored') return;
    const owner = cfs.find(resource.vmid);
    if (owner === null) return;
    const dead = !nodes.get(owner).member;
    const delay = dead ? (resource.enrolledAlive ? TIMES.fencedRecovery : TIMES.recovery) : TIMES.act;
    core.after(delay, () => {
      if (this.resources.get(resource.sid) !== resource) return;
      if (cfs.find(resource.vmid) !== owner || nodes.get(owner).member === dead) return;
      if (dead) this.#recover(resource, owner);
      else this.#act(resource, owner);
    });
  }

  #recover(resource: HaResource, owner: string): void {
    const { core, cfs, nodes } = this.#world;
    const viewer = nodes.all().find((node) => node.member && node.api && nodes.quorate(node.name));
    if (viewer === undefined || resource.state === 'ignored') return;
    const online = nodes.all().filter((node) => node.member && node.api);
    const belongs = this.#affinity(resource);
    const preferred = online.filter((node) => belongs?.nodes.includes(node.name) === true);
    const target = preferred[0] ?? (belongs?.strict === true ? undefined : online[0]);
    // It may run only on nodes that are gone: it stays where it is, as long as that is said of it.
    if (target === undefined) {
      core.after(TIMES.act, () => {
        const same = this.resources.get(resource.sid) === resource && cfs.find(resource.vmid) === owner;
        if (same && !nodes.get(owner).member) this.#recover(resource, owner);
      });
      return;
    }
    cfs.move(resource.vmid, owner, target.name);
    resource.inert = false;
    core.event(`HA: ${resource.sid} moved from ${owner} to ${target.name}, ${resource.state}`);
    this.onChange();
    if (resource.state === 'started') this.schedule(resource);
  }

  #act(resource: HaResource, owner: string): void {
    const { guests, nodes } = this.#world;
    const node = nodes.get(owner);
    if (resource.inert || !node.api || node.network === 'cut' || !nodes.quorate(owner)) return;
    const running = guests.copy(owner, resource.vmid) !== undefined;
    if (resource.state === 'started' && !running) guests.spawnStart(owner, resource.vmid, 'root@pam', 'HA');
    else if (resource.state !== 'started' && running)
      guests.spawnStop(owner, resource.vmid, 'root@pam', 'HA');
  }
}
