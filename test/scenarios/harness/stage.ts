/** One lab with one runner (or two) in front of it, on virtual time: where a scenario is played. */
import { setMaxListeners } from 'node:events';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main } from '../../../lib/cli/main.ts';
import type { Io } from '../../../lib/cli/command.ts';
import { withDeadline } from '../../../lib/clock.ts';
import { labDispatcher } from '../../../lib/lab/dispatcher.ts';
import type { LabRequest, LabResponse } from '../../../lib/lab/types.ts';
import { VirtualClock } from '../../../lib/lab/virtual-clock.ts';
import type { Runtime } from '../../../lib/runtime.ts';
import { openOperations } from '../../../lib/state/operations.ts';
import type { State } from '../../../lib/state/model.ts';
import { openState } from '../../../lib/state/store.ts';
import { COMMANDS } from '../../../scripts/commands.ts';
import { CLUSTER_MOUNT, ClusterFs, mountLine, type Machine } from './cluster-fs.ts';
import { watchFiles } from './files.ts';
import { countingHex } from './hex.ts';
import { scratchFolder } from '../../scratch.ts';
import { Labs } from './labs.ts';
import { Log } from './log.ts';
import { probeLab, type Network } from './prober.ts';
import { Rules } from './rules.ts';
import { Runner, runners, type Disk } from './runner.ts';
import { shellOnLab } from './shell.ts';
import { PLUGS, type StagedLab } from './staged-lab.ts';
import { TOKEN, type WorldFile } from './world.ts';

/** Where runners on nodes have their state. */
const ON_CLUSTER = '/etc/pve/proxwarden';
const MINUTE_MS = 60_000;

/** Every request and every probe in flight listens to it. */
function neverAborted(): AbortSignal {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return signal;
}

/** A command line that is to be run, and all that it may touch. */
export interface Start {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly runner: Runner;
  readonly runtime: Runtime;
  readonly io: Io;
  readonly clock: VirtualClock;
  /** A request to a PVE API or to a smart plug, as it comes in there. Rejects with LabUnreachable. */
  readonly serve: (to: 'api' | 'http', origin: string, request: LabRequest) => Promise<LabResponse>;
}

/** What runs a command line: resolves to its exit code, or to null when it was killed. */
export type Program = (start: Start) => Promise<number | null>;

/** The commands, in this process: a runner that dies there goes on without ever getting an answer. */
const here: Program = (start) =>
  Promise.race([runners.run(start.runner, () => plain(start)), start.runner.died.then(() => null)]);

/** The same for a runner that can't die and meets the file system as it is: it costs less. */
export const plain: Program = ({ argv, cwd, runtime, io }) =>
  main(argv, COMMANDS, { runtime, io, signal: neverAborted(), cwd });

export class Stage {
  readonly clock = new VirtualClock();
  readonly labs: Labs;
  /** The first of them. */
  readonly lab: StagedLab;
  readonly network: Network;
  readonly log: Log;
  readonly rules: Rules;
  /** Proxmox's backup jobs. */
  readonly jobs: WorldFile['jobs'];
  /** Temporary; holds the inventory and the state folders. */
  readonly folder: string;
  /** /etc/pve of the nodes; null: no runner is on one. */
  readonly clusterFs: ClusterFs | null;
  /** How far the runner's clock is off. */
  skewMs = 0;
  /** Whose state folder the next command uses. */
  who = 'a';
  /** Exit code of the last command; null: it was killed. */
  exit: number | null = null;
  lastRunner: Runner | null = null;
  /** The next command's runner dies after so many writes or calls. */
  readonly disk: Disk = { full: null };
  doom: Pick<ConstructorParameters<typeof Runner>[0], 'writesLeft' | 'callsLeft' | 'fate'> = {};
  readonly hookCodes = new Map<string, number>();
  /** `before of op-…: hook.sh`, in the order of their beginning. */
  readonly hooksRun: string[] = [];
  /** Runs the next commands. */
  program: Program = here;
  #lastCron = -1;
  readonly #background: Promise<void>[] = [];
  readonly #detached: Runner[] = [];
  readonly #hex: (bytes: number) => string;
  #pids = 100;
  readonly #sprung: Promise<void>[] = [];
  readonly #alive = new Map<number, Runner>();
  readonly #scenario: string | null;
  readonly #realOwners: boolean;

  /**
   * `realOwners`: operations belong to the processes that they are really carried out by. `hex`: random digits; by default
   * the same in every run, which come round again when there are hundreds of operations.
   */
  constructor(
    world: WorldFile,
    options: {
      inventory: string;
      scenario?: string | null;
      realOwners?: boolean;
      hex?: (bytes: number) => string;
    },
  ) {
    watchFiles();
    this.#hex = options.hex ?? countingHex(7);
    this.#realOwners = options.realOwners ?? false;
    this.jobs = world.jobs;
    this.folder = scratchFolder('scenario');
    this.#scenario = options.scenario ?? null;
    mkdirSync(join(this.folder, 'inventory'));
    if (this.#scenario !== null && existsSync(join(this.#scenario, 'hooks')))
      cpSync(join(this.#scenario, 'hooks'), join(this.folder, 'inventory', 'hooks'), { recursive: true });
    this.inventory(options.inventory);
    const nodes = new Map<string, string>();
    this.network = { runnerCut: false, outside: new Set(world.outside), forced: new Map(), nodes };
    this.labs = new Labs(world, { clock: this.clock, network: this.network, hex: countingHex });
    for (const lab of this.labs.all) for (const [ip, name] of lab.addresses) nodes.set(ip, name);
    this.lab = this.labs.main;
    this.log = new Log(this.folder);
    this.rules = new Rules({ labs: this.labs, network: this.network, clock: this.clock }, (runner) =>
      this.stateOf(runner.name),
    );
    writeFileSync(
      this.#mounts,
      [
        mountLine('/', 'ext4'),
        mountLine(this.folder, world.stateFs),
        world.onNodes ? CLUSTER_MOUNT : '',
      ].join(''),
    );
    this.clusterFs = world.onNodes ? new ClusterFs(this.folder, this.lab) : null;
    this.lab.onChange(() => this.#machines());
    for (const [, lab] of this.labs.named) {
      lab.rules = this.rules;
      lab.onChange(() => this.#events());
    }
  }

  /** Several documents are several files: one per cluster. */
  inventory(text: string): void {
    for (const [index, part] of text.split(/^---\n/m).entries())
      writeFileSync(join(this.folder, 'inventory', index === 0 ? 'home.yaml' : `other-${index}.yaml`), part);
  }

  #events(): void {
    for (const [name, lab] of this.labs.named) this.log.events(lab.events, name);
  }

  /** The state folder of a runner, as it really is. */
  stateOf(who: string): string {
    const machine = this.#machineOf(who);
    return machine?.fs.real(machine.node, ON_CLUSTER) ?? join(this.folder, `state-${who}`);
  }

  get #mounts(): string {
    return join(this.folder, 'mounts');
  }

  #machineOf(who: string): Machine | null {
    const { clusterFs } = this;
    return clusterFs !== null && this.lab.hasNode(who) ? { node: who, fs: clusterFs } : null;
  }

  /** The runners on a node stand still, as their machine or they themselves have been suspended. */
  suspend(node: string, ms: number): void {
    for (const runner of this.#alive.values()) if (runner.name === node) runner.block(this.clock.now() + ms);
  }

  /** What has become of the nodes concerns the runners on them. */
  #machines(): void {
    const { clusterFs } = this;
    if (clusterFs === null) return;
    // Whoever has caused it may be dead by now.
    runners.exit(() => clusterFs.settle());
    const off = new Set(
      this.lab.status().nodes.flatMap(({ name, power }) => (power === 'off' ? [name] : [])),
    );
    for (const runner of this.#alive.values()) if (off.has(runner.machine?.node ?? '')) runner.die();
  }

  note(who: string, text: string, at = this.clock.now()): void {
    this.#events();
    this.log.add(at, who, text);
  }

  /** Lets time pass until `promise` has settled. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.run(promise);
  }

  /** Check-and-failover at the next full minute, as cron would. */
  async cron(flags: readonly string[]): Promise<void> {
    await this.#nextMinute();
    await this.command(['check-and-failover', ...flags]);
  }

  /** The same on several nodes in the same second, on those that are on. Nothing is waited for. */
  async cronOn(nodes: readonly string[]): Promise<void> {
    await this.#nextMinute();
    const on = this.lab.status().nodes.flatMap(({ name, power }) => (power === 'on' ? [name] : []));
    for (const node of nodes.filter((name) => on.includes(name))) {
      this.who = node;
      this.background(['check-and-failover']);
    }
  }

  async #nextMinute(): Promise<void> {
    let next = Math.ceil(this.clock.now() / MINUTE_MS) * MINUTE_MS;
    if (next <= this.#lastCron) next += MINUTE_MS;
    await this.clock.advanceTo(next);
    this.#lastCron = next;
  }

  /** Runs a command line to its end, or to that of its runner. */
  async command(argv: readonly string[]): Promise<void> {
    this.#events();
    this.log.blank();
    this.log.mark();
    await this.run(this.#launch(argv, ''));
  }

  /** The same beside what comes next. */
  background(argv: readonly string[]): void {
    this.#events();
    this.log.blank();
    this.log.mark();
    this.#background.push(this.#launch(argv, '&'));
  }

  async join(): Promise<void> {
    await this.run(Promise.all(this.#background.splice(0)));
  }

  /** What is left of earlier runs is ended, as systemd ends what is left in the control group of a unit. */
  endDetached(): void {
    for (const runner of this.#detached.splice(0)) runner.die();
  }

  /** `variables`: of one that an earlier run has detached; nobody hears what it says. */
  async #launch(
    argv: readonly string[],
    how: string,
    variables: Readonly<Record<string, string>> | null = null,
  ): Promise<void> {
    const name = this.who;
    const runner = this.#runner(name, { command: argv.join(' '), ...this.doom });
    this.doom = {};
    this.lastRunner = runner;
    this.#alive.set(runner.pid, runner);
    const prefix = name === 'a' ? '' : `${name}:`;
    if (variables !== null) this.#detached.push(runner);
    const say = (who: string, text: string): void => {
      if (variables !== null && who !== '$') return;
      if (!runner.dead) this.note(`${prefix}${who}`, text, runner.now());
    };
    say('$', `proxwarden ${argv.join(' ')}${how === '' ? '' : ` ${how}`}`);
    const state = runner.machine === null ? this.stateOf(name) : ON_CLUSTER;
    const places = ['--inventory', join(this.folder, 'inventory'), '--state', state];
    const { clock, labs } = this;
    const code = await this.program({
      argv: [...argv, ...places],
      cwd: this.folder,
      runner,
      runtime: this.#runtime(runner, say, variables ?? {}),
      io: {
        out: (text) => say('out', text),
        err: (text) => say('err', text),
        tty: false,
        columns: 160,
      },
      clock,
      serve: (to, origin, request) =>
        labs.serve(to === 'api' ? labs.nodeAt(new URL(origin).hostname) : PLUGS, request, runner),
    });
    if (runner.heldUp && !runner.dead) await runner.free();
    this.#alive.delete(runner.pid);
    this.exit = code;
    this.note(`${prefix}exit`, code === null ? 'killed' : String(code));
  }

  #runner(name: string, more: Pick<ConstructorParameters<typeof Runner>[0], 'command'>): Runner {
    return new Runner({
      name,
      pid: this.#realOwners ? process.pid : (this.#pids += 1),
      clock: this.clock,
      machine: this.#machineOf(name),
      disk: this.disk,
      mounts: this.#mounts,
      ...more,
    });
  }

  /** Does something as a program on the machine of a runner would. */
  #as<T>(who: string, work: (state: string) => T): T {
    const machine = this.#machineOf(who);
    return machine === null
      ? work(this.stateOf(who))
      : runners.run(this.#runner(who, { command: '' }), () => work(ON_CLUSTER));
  }

  #runtime(
    runner: Runner,
    say: (who: string, text: string) => void,
    variables: Readonly<Record<string, string>>,
  ): Runtime {
    const { clock, labs, network } = this;
    const own = {
      // Whole milliseconds, as a machine has them.
      now: () => Math.floor(runner.now()) + this.skewMs,
      // From its own now on, should it be held up.
      sleep: (ms: number, signal?: AbortSignal) =>
        runner.alive(clock.sleep(Math.ceil(ms) + runner.now() - clock.now(), signal)),
    };
    const host = runner.machine?.node ?? 'runner';
    const its = {
      handle: (node: string, request: LabRequest) => labs.serve(node, request, runner),
    };
    const api = labDispatcher(its, clock, (origin) => labs.nodeAt(new URL(origin).hostname));
    return {
      clock: own,
      env: { PROXWARDEN_TOKEN: TOKEN, SUDO_USER: 'anna', ...variables },
      randomHex: this.#hex,
      dispatcher: () => Promise.resolve(api),
      httpDispatcher: () => Promise.resolve(labDispatcher(its, clock, () => PLUGS)),
      probe: (spec, signal) =>
        runner.alive(
          probeLab(spec, { labs: labs.all, network, clock, signal, from: runner.machine?.node ?? null }),
        ),
      exec: async ({ file, env, signal }) => {
        const hook = file.slice(file.lastIndexOf('/') + 1);
        const code = this.hookCodes.get(hook) ?? 0;
        const { PROXWARDEN_HOOK: when = '', PROXWARDEN_OPERATION: operation = '' } = env;
        this.hooksRun.push(`${when} of ${operation}: ${hook}`);
        say(
          'hook',
          `${hook} ${when}: ${env['PROXWARDEN_FROM_NODE'] ?? ''}/${env['PROXWARDEN_FROM_VMID'] ?? ''} → ${env['PROXWARDEN_TO_NODE'] ?? ''}/${env['PROXWARDEN_TO_VMID'] ?? ''}, exits ${code}`,
        );
        await runner.alive(clock.sleep(100, signal));
        return { exitCode: code, stdout: '', stderr: code === 0 ? '' : 'no' };
      },
      mail: async ({ subject, to }, _limitMs, signal) => {
        say('mail', `${to.join(', ')}: ${subject}`);
        await runner.alive(clock.sleep(100, signal));
      },
      detach: (words, more) => {
        this.#background.push(this.#launch(words.slice(0, words.indexOf('--inventory')), '&', more));
        return Promise.resolve();
      },
      shell: ({ node, order, signal }) =>
        runner.alive(
          withDeadline(clock, MINUTE_MS, signal, () =>
            shellOnLab(labs.of(node), { clock, node, order, runner }),
          ),
        ),
      ...(this.#realOwners
        ? {}
        : {
            runner: {
              self: { host, pid: runner.pid, started: String(runner.pid) },
              liveness: (owner) =>
                owner.host !== host ? 'unknown' : this.#alive.has(owner.pid) ? 'alive' : 'dead',
            },
          }),
    };
  }

  /** Something that happens by itself after `ms`, beside whatever is being done then. */
  later(ms: number, what: () => Promise<void>): void {
    this.clock.sleep(ms).then(
      () => this.sprung(what()),
      () => undefined,
    );
  }

  /** Something that has been set off and may still be going on. */
  sprung(what: Promise<void>): void {
    this.#sprung.push(what);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#sprung.splice(0));
  }

  /** The rules that never break, after every step. */
  check(): void {
    this.#events();
    this.rules.check(this.log.text());
  }

  finish(): string {
    this.#events();
    return this.log.text();
  }

  state(): State {
    return this.#as(this.who, (dir) => openState(dir, { clock: this.clock }).read());
  }

  wipe(): void {
    rmSync(this.stateOf(this.who), { recursive: true, force: true });
  }

  /** An admin's nightly copy of it. */
  keepState(): void {
    cpSync(this.stateOf(this.who), join(this.folder, 'kept'), { recursive: true, verbatimSymlinks: true });
  }

  putStateBack(): void {
    this.wipe();
    cpSync(join(this.folder, 'kept'), this.stateOf(this.who), { recursive: true, verbatimSymlinks: true });
  }

  lastOperation(): string | null {
    return this.#as(
      this.who,
      (dir) => openOperations(dir, { clock: this.clock }).list().operations.at(-1)?.id ?? null,
    );
  }

  /** The volid of the n-th newest backup of a vmid, 1 the newest. */
  backup(vmid: number, n: number): string {
    const found = this.lab.status().backups.filter((b) => b.vmid === vmid);
    return found.toSorted((a, b) => b.at - a.at)[n - 1]?.volid ?? 'none';
  }

  /** The scenario's folder. */
  get scenario(): string {
    if (this.#scenario === null) throw new Error('this stage is not a scenario of a folder');
    return this.#scenario;
  }

  close(): void {
    for (const lab of this.labs.all) lab.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
