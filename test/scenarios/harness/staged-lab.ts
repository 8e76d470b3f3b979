/** The lab with ears: every API call passes triggers, faults and the rules before and after it is carried out. */
import { Lab } from '../../../lib/lab/lab.ts';
import type { QuickOrder, QuickResult } from '../../../lib/lab/shell.ts';
import {
  LabUnreachable,
  type LabOptions,
  type LabRequest,
  type LabResponse,
} from '../../../lib/lab/types.ts';
import type { Network } from './prober.ts';
import type { Rules } from './rules.ts';
import { runners, type Runner } from './runner.ts';
import { ADMIN_TOKEN } from './world.ts';

/** What happens to the calls that match: something else in the world, or a wrong answer. Each a number of times. */
export interface Trap {
  readonly pattern: RegExp;
  /** null: for ever. */
  times: number | null;
  readonly when: 'before' | 'after';
  /** Done when it is sprung; a returned answer replaces the lab's, a time (ms) keeps the call waiting. */
  readonly spring: () => LabResponse | 'lost' | number | undefined;
}

/** What several labs have in common. */
export interface Shared {
  readonly traps: Trap[];
  /** Writing calls that were carried out, `POST /nodes/pve2/lxc 1000101`, in order. */
  readonly calls: string[];
  /** Makes something else of an answer on its way to the runner; null: nothing does. */
  garble: ((response: LabResponse, from: 'api' | 'plug') => LabResponse) | null;
  /** How many it has made something else of. */
  garbled: number;
}

/** Where requests to the smart plugs are handed to. */
export const PLUGS = 'plugs';

export class StagedLab extends Lab {
  readonly traps: Trap[];
  readonly calls: string[];
  rules: Rules | null = null;
  /** The plugs don't answer. */
  plugsDead = false;
  /** The plugs take orders and do nothing. */
  plugsStuck = false;
  /** Those of them that do nothing. */
  readonly stuck = new Set<string>();
  readonly #shared: Shared;
  readonly #twoSupplies: ReadonlySet<string>;
  /** Plugs of nodes with two supplies that are off. */
  readonly #unfed = new Set<string>();
  readonly #backups: string;
  readonly #network: Network;
  readonly #clock: LabOptions['clock'];
  readonly #nodes: ReadonlyMap<string, string>;

  constructor(
    options: LabOptions,
    network: Network,
    shared: Shared = { traps: [], calls: [], garble: null, garbled: 0 },
    twoSupplies: readonly string[] = [],
  ) {
    super(options);
    this.#shared = shared;
    this.traps = shared.traps;
    this.calls = shared.calls;
    this.#backups = options.world.storages.find(({ content }) => content.includes('backup'))?.id ?? 'nas';
    this.#twoSupplies = new Set(twoSupplies);
    this.#network = network;
    this.#clock = options.clock;
    this.#nodes = new Map(options.world.nodes.map(({ ip, name }) => [ip, name]));
  }

  /** The first storage that takes backups. */
  get backupStorage(): string {
    return this.#backups;
  }

  /** Names of its nodes by their addresses. */
  get addresses(): ReadonlyMap<string, string> {
    return this.#nodes;
  }

  findNode(host: string): string | undefined {
    return this.#nodes.get(host);
  }

  /** One that answers for the cluster. */
  get quorateNode(): string | undefined {
    return this.status().nodes.find((one) => one.api && one.quorate)?.name;
  }

  hasNode(name: string): boolean {
    return [...this.#nodes.values()].includes(name);
  }

  nodeAt(host: string): string {
    const name = this.findNode(host);
    if (name === undefined) throw new Error(`no node of the world has the address ${host}`);
    return name;
  }

  override handle(node: string, request: LabRequest): Promise<LabResponse> {
    return this.serve(node, request, runners.getStore());
  }

  /** The same for a runner that is known. */
  async serve(node: string, request: LabRequest, runner: Runner | undefined): Promise<LabResponse> {
    if (runner?.heldUp === true) await runner.free();
    if (isDead(runner)) return new Promise(() => undefined);
    const onIt = runner?.machine?.node === node;
    if (this.#network.runnerCut || (!onIt && this.#isCut(runner))) throw new LabUnreachable(node, 'timeout');
    if (node === PLUGS) return this.#plug(request, runner);
    const name = nameOf(request);
    const early = this.#spring('before', name, node);
    if (early === 'lost') throw new LabUnreachable(node, 'timeout');
    if (typeof early === 'number') await this.#clock.sleep(early);
    else if (early !== undefined) return early;
    this.rules?.before(node, request, runner);
    const response = await super.handle(node, request, onIt);
    if (runner?.heldUp === true) await runner.free();
    if (isDead(runner)) return new Promise(() => undefined);
    if (request.method !== 'GET') {
      this.calls.push(`${name} ${response.status}`);
      runner?.called();
    }
    if (isDead(runner)) return new Promise(() => undefined);
    const late = this.#spring('after', name, node);
    if (runner?.heldUp === true) await runner.free();
    if (late === 'lost') throw new LabUnreachable(node, 'timeout');
    return this.#garbled(typeof late === 'object' ? late : response, 'api');
  }

  /** Orders to root shells pass traps and rules as calls do: `SHELL move-config nodes/pve1/lxc/101.conf @pve2`. */
  override async shell(
    node: string,
    order: QuickOrder,
    runner: Runner | undefined = runners.getStore(),
  ): Promise<QuickResult> {
    if (runner?.heldUp === true) await runner.free();
    if (isDead(runner)) return new Promise(() => undefined);
    if (this.#network.runnerCut || this.#isCut(runner)) throw new LabUnreachable(node, 'timeout');
    const lost: QuickResult = { kind: 'unknown', why: `the connection to ${node} was lost` };
    const subject = 'from' in order ? order.from : 'vmid' in order ? String(order.vmid) : '';
    const name = `SHELL ${order.kind} ${subject}`;
    const early = this.#spring('before', name, node);
    if (early === 'lost') return lost;
    if (typeof early === 'number') await this.#clock.sleep(early);
    const writes = order.kind === 'move-config' || order.kind === 'stop-orphan';
    if (writes) this.rules?.shell(order, runner);
    const result = await super.shell(node, order);
    if (isDead(runner)) return new Promise(() => undefined);
    if (writes) {
      this.calls.push(`${name} @${node} ${result.kind}`);
      runner?.called();
    }
    if (isDead(runner)) return new Promise(() => undefined);
    return this.#spring('after', name, node) === 'lost' ? lost : result;
  }

  /** One call by somebody who may do everything. */
  async admin(method: string, path: string, fields: readonly string[]): Promise<string> {
    const node = /^\/nodes\/([^/]+)/.exec(path)?.[1] ?? this.quorateNode ?? '';
    const form = new URLSearchParams(fields.map((field): [string, string] => splitField(field))).toString();
    const inQuery = method === 'GET' || method === 'DELETE';
    const response = await super.handle(node, {
      method,
      path: `/api2/json${path}${inQuery && form !== '' ? `?${form}` : ''}`,
      headers: {
        authorization: `PVEAPIToken=${ADMIN_TOKEN}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: inQuery ? '' : form,
    });
    if (response.status !== 200)
      throw new Error(`${method} ${path}: ${response.status} ${response.statusText}`);
    return response.body;
  }

  #garbled(response: LabResponse, from: 'api' | 'plug'): LabResponse {
    const changed = this.#shared.garble?.(response, from) ?? response;
    if (changed !== response) this.#shared.garbled += 1;
    return changed;
  }

  /** The runner is on a node whose network is cut. */
  #isCut(runner: Runner | undefined): boolean {
    const node = runner?.machine?.node;
    if (node === undefined) return false;
    return this.status().nodes.some((n) => n.name === node && n.network === 'cut');
  }

  #spring(when: Trap['when'], name: string, node: string): ReturnType<Trap['spring']> {
    for (const trap of this.traps) {
      if (trap.when !== when || trap.times === 0 || !trap.pattern.test(`${name} @${node}`)) continue;
      if (trap.times !== null) trap.times -= 1;
      const answer = trap.spring();
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** `GET /plug/pve1/relay[?turn=off]` → `{"ison":…}`, as lib/lab/plugs.ts says it. On a network of their own. */
  #plug(request: LabRequest, runner: Runner | undefined): LabResponse {
    if (this.plugsDead) throw new LabUnreachable('plugs', 'timeout');
    const url = new URL(request.path, 'http://plugs');
    const plug = /^\/plug\/([^/]+)\/relay$/.exec(url.pathname)?.[1];
    // Anything else is a device without power.
    if (plug === undefined) throw new LabUnreachable('plugs', 'timeout');
    const turn = url.searchParams.get('turn');
    if (turn === 'off' || turn === 'on') this.#turn(plug, turn, runner);
    const body = JSON.stringify({ ison: this.#feeds(plug) });
    const headers = { 'content-type': 'application/json' };
    return this.#garbled({ status: 200, statusText: 'OK', headers, body }, 'plug');
  }

  /** `pve1-b` is the plug of the second power supply of pve1. */
  #turn(plug: string, turn: 'on' | 'off', runner: Runner | undefined): void {
    const node = plug.replace(/-b$/, '');
    this.rules?.plug(node, turn, runner);
    if (this.plugsStuck || this.stuck.has(plug)) return;
    if (!this.#twoSupplies.has(node)) return this.setPlug(node, turn);
    if (turn === 'off') this.#unfed.add(plug);
    else this.#unfed.delete(plug);
    this.setPlug(node, this.#unfed.has(node) && this.#unfed.has(`${node}-b`) ? 'off' : 'on');
  }

  #feeds(plug: string): boolean {
    const node = plug.replace(/-b$/, '');
    return this.#twoSupplies.has(node) ? !this.#unfed.has(plug) : this.plug(node) === 'on';
  }
}

/** It may die at any time in between. */
function isDead(runner: Runner | undefined): boolean {
  return runner?.dead ?? false;
}

function splitField(field: string): [string, string] {
  const equals = field.indexOf('=');
  return [field.slice(0, equals), field.slice(equals + 1)];
}

/** `POST /nodes/pve2/lxc vmid=1000101 restore=1 …`: what patterns of traps and expectations match. */
export function nameOf({ method, path, body }: LabRequest): string {
  const form = new URLSearchParams(body);
  form.delete('description');
  const fields = [...form].map(([key, value]) => `${key}=${value}`).join(' ');
  return `${method} ${path.replace('/api2/json', '')}${fields === '' ? '' : ` ${fields}`}`;
}
