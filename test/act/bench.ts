/** What an operation works with, around a cluster in memory: real state and journals in a folder, a virtual clock. */
import { chmodSync, rmSync } from 'node:fs';
import type { Dispatcher } from 'undici';
import type { ActContext } from '../../lib/act/context.ts';
import type { OperationContext } from '../../lib/act/journal.ts';
import { newOperation } from '../../lib/act/new-operation.ts';
import { begin, carryOut } from '../../lib/act/operate.ts';
import type { Outcome } from '../../lib/act/outcome.ts';
import { observeClosely } from '../../lib/act/start-gate.ts';
import { foldObservation } from '../../lib/act/fold.ts';
import { decide } from '../../lib/decide/decide.ts';
import type { Decision, Request } from '../../lib/decide/model.ts';
import type { Container } from '../../lib/inventory/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import type { ExecRequest, ExecResult, Runtime, ShellRequest, ShellResult } from '../../lib/runtime.ts';
import { openOperations } from '../../lib/state/operations.ts';
import type { Operation } from '../../lib/state/model.ts';
import { openState } from '../../lib/state/store.ts';
import { Turns } from '../../lib/act/turns.ts';
import type { Event } from '../../lib/tell/events.ts';
import { backupOf, MINUTE, NOW } from '../decide/parts.ts';
import { world, type World } from '../decide/world.ts';
import { scratchFolder } from '../scratch.ts';
import { password } from '../secrets.ts';
import { fakeApi } from './fake-pve.ts';
import { FakePve } from './fake-world.ts';

export class ActBench {
  readonly clock = new VirtualClock(NOW);
  readonly pve: FakePve;
  readonly events: Event[] = [];
  readonly execs: ExecRequest[] = [];
  readonly shells: ShellRequest[] = [];
  /** What becomes of an order to a root shell. */
  shellResult: (request: ShellRequest) => ShellResult = () => ({
    kind: 'not-sent',
    why: 'no shell in this test',
  });
  /** What hooks end with. */
  execResult: ExecResult = { exitCode: 0, stdout: '', stderr: '' };
  /** Where calls to plugs go. */
  plugs: Dispatcher | null = null;
  readonly dir: string;
  readonly context: ActContext;
  readonly world: World;

  /** `dns` (101) runs on pve1; it has a backup of an hour ago. */
  constructor(
    t: { after(end: () => void): unknown },
    entry: Parameters<World['entry']>[1] = {},
    change: (world: World) => unknown = () => undefined,
  ) {
    const dir = scratchFolder('act');
    chmodSync(dir, 0o700);
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    this.pve = new FakePve(this.clock);
    this.pve.add('pve1', 101);
    this.pve.backups.push(backupOf());
    this.dir = dir;
    this.world = world().entry('dns', entry);
    change(this.world);
    let hex = 0;
    const runtime: Runtime = {
      clock: this.clock,
      env: { PLUG_PASSWORD: password('plug') },
      randomHex: (bytes) => (hex += 1).toString(16).padStart(bytes * 2, '0'),
      dispatcher: () => Promise.reject(new Error('no network in this test')),
      mail: () => Promise.reject(new Error('no mail is sent here')),
      detach: () => Promise.reject(new Error('no process is started here')),
      httpDispatcher: () =>
        this.plugs === null
          ? Promise.reject(new Error('no network in this test'))
          : Promise.resolve(this.plugs),
      probe: (spec) => Promise.resolve(this.pve.probe(spec.label)),
      exec: (request) => {
        this.execs.push(request);
        return Promise.resolve(this.execResult);
      },
      shell: (request) => {
        this.shells.push(request);
        return Promise.resolve(this.shellResult(request));
      },
    };
    this.context = {
      runtime,
      inventory: this.world.inventory,
      apis: new Map([['home', fakeApi(this.pve)]]),
      state: openState(dir, { clock: this.clock }),
      operations: openOperations(dir, { clock: this.clock }),
      teller: { tell: (event) => void this.events.push(event), end: () => Promise.resolve() },
      turns: new Turns(),
      signal: undefined,
    };
  }

  get container(): Container {
    return this.world.container();
  }

  /** Drives the virtual clock until `promise` settles. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.run(promise);
  }

  /** A look at everything, remembered in the state as a run does. */
  async look(): Promise<void> {
    const observation = await this.run(observeClosely(this.context, this.container));
    await this.run(foldObservation(this.context, observation, { count: true }));
  }

  /** Looks until the container's failures have been counted; an interval apart. */
  async fail(times = 3): Promise<void> {
    for (let index = 0; index < times; index += 1) {
      await this.clock.advance(MINUTE);
      await this.look();
    }
  }

  async decide(request?: Omit<Request, 'container'>): Promise<Decision> {
    const observation = await this.run(observeClosely(this.context, this.container));
    const [decision] = decide({
      inventory: this.context.inventory,
      observation,
      state: this.context.state.read(),
      now: this.clock.now(),
      busy: new Map(),
      underWay: [],
      request: request === undefined ? undefined : { ...request, container: 'dns' },
    });
    if (decision === undefined) throw new Error('no decision');
    return decision;
  }

  /** Decides and carries out what was decided. Throws when nothing was. */
  async act(request?: Omit<Request, 'container'>): Promise<{ op: Operation; outcome: Outcome }> {
    const decision = await this.decide(request);
    if (decision.kind === 'blocked' || decision.kind === 'wait' || decision.kind === 'none')
      throw new Error(`${decision.kind}: ${decision.why}`);
    const op = await this.run(begin(this.context, { container: this.container, decision }));
    return { op, outcome: await this.run(carryOut(this.context, op)) };
  }

  /** An operation of `dns` to run single steps in. */
  operation(data: Partial<Operation['data']> = {}): OperationContext {
    const given = { kind: 'failover', reason: 'a test', action: null, data } as const;
    return {
      ...this.context,
      op: newOperation(this.context, this.container, given),
      container: this.container,
    };
  }

  /** The journal as it is on disk. */
  journal(id: string): Operation {
    return this.context.operations.load(id);
  }
}
