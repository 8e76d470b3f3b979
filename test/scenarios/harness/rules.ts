/** The rules that never break (design, section 3), as far as the lab's ground truth can tell. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import type { QuickOrder } from '../../../lib/lab/shell.ts';
import type { LabRequest } from '../../../lib/lab/types.ts';
import { Operation } from '../../../lib/state/model.ts';
import type { Labs } from './labs.ts';
import type { Network } from './prober.ts';
import type { Runner } from './runner.ts';
import { SECRET } from './world.ts';

/** Calls that make a task of PVE, with the task's type. */
const TASKS: readonly (readonly [RegExp, string])[] = [
  [/^POST .*\/nodes\/[^/]+\/lxc$/, 'vzrestore'],
  [/^POST .*\/status\/start$/, 'vzstart'],
  [/^POST .*\/status\/stop$/, 'vzstop'],
  [/^POST .*\/status\/shutdown$/, 'vzshutdown'],
  [/^POST .*\/vzdump$/, 'vzdump'],
  [/^DELETE .*\/nodes\/[^/]+\/lxc\/\d+(\?.*)?$/, 'vzdestroy'],
];

const FRESH_MS = 10_000;
const SEVEN_DAYS_MS = 7 * 24 * 3_600_000;

export class Rules {
  readonly broken: string[] = [];
  /** The setup accepts that two copies may run (a risk accepted by name, or a person's hand): how long is measured. */
  twoExpected = false;
  readonly #labs: Labs;
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #stateOf: (runner: Runner) => string;
  readonly #originals: ReadonlySet<string>;
  readonly #backups = new Set<string>();
  readonly #everRan = new Set<string>();
  readonly #ranSince = new Map<string, number>();
  /** Deleted by a person's cleanup, when that was right. */
  readonly #cleaned = new Set<string>();
  /** When each runner last read the cluster's lists. */
  readonly #readAt = new Map<Runner, number>();

  constructor(
    { labs, network, clock }: { labs: Labs; network: Network; clock: Clock },
    stateOf: (runner: Runner) => string,
  ) {
    this.#labs = labs;
    this.#network = network;
    this.#clock = clock;
    this.#stateOf = stateOf;
    this.#originals = new Set(labs.containers().map((c) => `CT ${c.vmid} on ${c.node}`));
    for (const lab of labs.all)
      lab.onChange(() => {
        for (const copy of lab.running()) {
          const key = `CT ${copy.vmid} on ${copy.node}`;
          this.#everRan.add(key);
          if (!this.#ranSince.has(key)) this.#ranSince.set(key, this.#clock.now());
        }
        for (const { volid } of lab.status().backups) this.#backups.add(volid);
        this.#twoClusters();
      });
  }

  /** Before a call of a runner is carried out. */
  before(node: string, request: LabRequest, runner: Runner | undefined): void {
    const call = `${request.method} ${request.path}`;
    const now = this.#clock.now();
    if (runner === undefined) return;
    if (request.method === 'GET') {
      if (call.includes('/cluster/resources')) this.#readAt.set(runner, now);
      return;
    }
    const form = new URLSearchParams(request.body);
    const at = this.#labs.nodes().find((n) => n.name === node);
    const [, owner, vmid] = /^DELETE .*\/nodes\/([^/]+)\/lxc\/(\d+)/.exec(call) ?? [];
    if (vmid !== undefined && this.#isOld(runner, Number(vmid))) this.#cleaned.add(`CT ${vmid} on ${owner}`);
    // One that dies this very moment is nobody's mistake.
    if (at?.power === 'on' && at.network === 'up' && !at.quorate)
      this.#break(`4: ${call} was sent through ${node}, which has no quorum`);
    if (form.get('force') === '1') this.#break(`2: force=1 in ${call}`);
    if (form.get('restore') === '1' && (form.get('start') === '1' || form.get('onboot') !== '0'))
      this.#break(
        `1: a restore with start=${form.get('start') ?? '0'}, onboot=${form.get('onboot') ?? 'unsaid'}`,
      );
    if (call.endsWith('/status/start') && now - (this.#readAt.get(runner) ?? 0) > FRESH_MS)
      this.#break(`1: ${call} on reads that are ${now - (this.#readAt.get(runner) ?? 0)} ms old`);
    const type = TASKS.find(([pattern]) => pattern.test(call))?.[1];
    if (type !== undefined && !this.#journalled(runner, type))
      this.#break(`6: ${call} is not in any journal`);
  }

  /** Before a root shell changes something for a runner. */
  shell(order: QuickOrder, runner: Runner | undefined): void {
    if (runner === undefined) return;
    if (order.kind === 'move-config') {
      const journals = this.#journals(runner);
      if (!journals.some((op) => op.data.moved !== null))
        this.#break(`6: the move of ${order.from} is not in any journal`);
      const [, node, vmid] = /^nodes\/([^/]+)\/lxc\/(\d+)\.conf$/.exec(order.from) ?? [];
      const runs = this.#labs.running().some((c) => c.node === node && c.vmid === Number(vmid));
      if (runs && !this.twoExpected)
        this.#break(`1: the config of CT ${vmid ?? ''} was moved away while it runs on ${node ?? ''}`);
    }
    if (order.kind === 'stop-orphan' && this.#journals(runner).length === 0)
      this.#break(`6: lxc-stop of CT ${order.vmid} is not in any journal`);
  }

  /** Its config has been moved aside, and its disk is where it was. */
  #aside(one: string): boolean {
    const [, vmid, node] = /^CT (\d+) on (\S+)$/.exec(one) ?? [];
    const file = new RegExp(`/CT${vmid ?? ''}-of-.*-from-[^/]*-${node ?? ''}-by-op-[^/]*\\.conf$`);
    const lab = this.#labs.of(node ?? '');
    return (
      lab.files('proxwarden/retired').some((path) => file.test(path)) &&
      lab.volumes(node ?? '', Number(vmid)).length > 0
    );
  }

  /** Before a plug is switched by a runner. */
  plug(node: string, turn: 'on' | 'off', runner: Runner | undefined): void {
    // A person who has typed it may.
    if (runner?.command.startsWith(`fence ${turn} `) === true) return;
    if (turn === 'on') this.#break(`5: ${node} was powered on`);
    const status = this.#labs.nodes().find((n) => n.name === node);
    if (status?.power !== 'on') return;
    for (const copy of this.#labs.running().filter((c) => c.node === node))
      for (const service of copy.services) {
        const forced = this.#network.forced.get(`${service.host}:${service.port}`);
        const answers = forced === undefined ? status.network === 'up' && service.up : forced !== 'nothing';
        if (answers) this.#break(`5: ${node} was powered off although ${copy.hostname} on it answers`);
      }
  }

  /** After every step. Throws with all that is broken. */
  check(log: string): void {
    const violations = this.#labs.all.flatMap((lab) => lab.violations);
    for (const { text } of this.twoExpected ? [] : violations) this.#break(`1: ${text}`);
    const there = new Set(this.#labs.containers().map((c) => `CT ${c.vmid} on ${c.node}`));
    for (const one of [...this.#originals, ...this.#everRan])
      if (!there.has(one) && !this.#aside(one) && !this.#cleaned.has(one) && !this.#movedByHa(one))
        this.#break(`2: ${one} is gone`);
    const backups = new Set(this.#labs.backups().map((b) => b.volid));
    for (const volid of this.#backups) if (!backups.has(volid)) this.#break(`2: backup ${volid} is gone`);
    if (log.includes(SECRET)) this.#break('10: the secret is in the output');
    assert.deepEqual(this.broken, [], 'a rule that never breaks is broken');
  }

  /** At the end: no file holds the secret. */
  files(folder: string): void {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      if (readFileSync(join(entry.parentPath, entry.name), 'utf8').includes(SECRET))
        this.#break(`10: the secret is in ${entry.name}`);
    }
    assert.deepEqual(this.broken, []);
  }

  /** Each lab watches its own copies; here, those of one container in several of them. */
  #twoClusters(): void {
    const seen = new Map<string, string>();
    for (const [name, lab] of this.#labs.named)
      for (const copy of lab.running()) {
        const before = seen.get(copy.mac);
        if (before !== undefined && before !== name)
          this.#break(`1: two copies of ${copy.hostname} run together, in ${before} and in ${name}`);
        seen.set(copy.mac, name);
      }
  }

  /** Rule 2: a person's cleanup, while another copy has run for seven days, and has a backup of its own. */
  #isOld(runner: Runner, vmid: number): boolean {
    const one = this.#labs.containers().find((c) => c.vmid === vmid);
    const others = this.#labs.running().filter((c) => c.hostname === one?.hostname && c.vmid !== vmid);
    return (
      this.#journals(runner).some((op) => op.kind === 'cleanup') &&
      others.length === 1 &&
      others.every((other) => {
        const since = this.#ranSince.get(`CT ${other.vmid} on ${other.node}`) ?? Infinity;
        const backups = this.#labs.backups().filter((b) => b.vmid === other.vmid);
        return this.#clock.now() - since >= SEVEN_DAYS_MS && backups.length > 0;
      })
    );
  }

  /** Proxmox's own HA manager moves what it runs. */
  #movedByHa(one: string): boolean {
    const [, vmid = '', node = ''] = /^CT (\d+) on (\S+)$/.exec(one) ?? [];
    return this.#labs
      .of(node)
      .events.some(({ text }) => text.startsWith(`HA: ct:${vmid} moved from ${node} `));
  }

  #break(text: string): void {
    if (!this.broken.includes(text)) this.broken.push(text);
  }

  #journalled(runner: Runner, type: string): boolean {
    return this.#journals(runner).some((op) =>
      op.steps.some((s) => s.status === 'started' && s.task?.type === type && s.task.upid === null),
    );
  }

  /** Of the operations that it carries out, with a step under way. */
  #journals(runner: Runner): Operation[] {
    const folder = join(this.#stateOf(runner), 'operations');
    if (!existsSync(folder)) return [];
    return (
      readdirSync(folder)
        .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
        // One that can't be read is nobody's.
        .flatMap((name) => readOperation(join(folder, name)) ?? [])
        .filter(
          (op) =>
            op.status === 'running' &&
            op.lease.pid === runner.pid &&
            op.steps.some((s) => s.status === 'started'),
        )
    );
  }
}

function readOperation(path: string): Operation | undefined {
  try {
    return Operation.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
