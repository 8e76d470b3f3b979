/**
 * Runs a property over inputs that make no sense: a few, the same ones every time, each with a limit on its CPU time.
 *
 * `FUZZ_RUNS=500 npm test -- fuzz/` takes so many new ones of each kind, SOAK=1 ten thousand; then there is a limit on the
 * memory that they leave behind, too, and a watchdog ends a process that an input hangs up for ever, with the seed printed.
 * What goes wrong is made smaller and printed with the command that replays it. FUZZ_NAME=plans: only that kind.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import { clearErrors } from './clear.ts';

/** So many inputs of each kind, new ones; 0: the few of an ordinary run. */
export const RUNS = Number(process.env['FUZZ_RUNS'] ?? (process.env['SOAK'] === undefined ? '0' : '10000'));
const SEED = process.env['FUZZ_SEED'];
const PATH = process.env['FUZZ_PATH'];
const ONLY = process.env['FUZZ_NAME'];

/** Of one input: a busy machine makes it no longer. */
const CPU_MS_MAX = 2_000;
/** Of one input, before the process is given up. */
const STUCK_MS = 120_000;
/** What all inputs of one property may leave behind. */
const GROWTH_MAX = 48 * 1024 ** 2;

interface Counted {
  readonly name: string;
  readonly inputs: number;
  /** Of them: ended in a clear error. The others have led to a result that was found to be right. */
  readonly refused: number;
}
const counted: Counted[] = [];

export interface Fuzzed {
  /** Inputs in an ordinary run. */
  readonly runs: number;
}

/** A test of that name. `use` throws when the input has done harm; a refusal is for it to look at. */
export function fuzz<T>(
  name: string,
  { runs }: Fuzzed,
  input: fc.Arbitrary<T>,
  use: (input: T) => void | Promise<void>,
): void {
  if (ONLY !== undefined && ONLY !== name) return;
  test(name, async () => {
    const numRuns = PATH !== undefined ? 1 : RUNS > 0 ? RUNS : runs;
    const seed = SEED !== undefined ? Number(SEED) : RUNS > 0 ? randomInt(2 ** 31) : hashOf(name);
    const long = RUNS > 0;
    const watchdog = long ? new Watchdog(`${name}: an input has not ended: FUZZ_SEED=${seed}`) : null;
    const heap = long ? heapAfterCollection() : 0;
    let [slowest, refused] = [0, 0];
    try {
      const result = await fc.check(
        fc.asyncProperty(input, async (one) => {
          watchdog?.beat();
          const cpu = process.cpuUsage();
          const before = clearErrors();
          await use(one);
          if (clearErrors() > before) refused += 1;
          const { user, system } = process.cpuUsage(cpu);
          const ms = (user + system) / 1000;
          slowest = Math.max(slowest, ms);
          assert.ok(ms < CPU_MS_MAX, `it took ${Math.round(ms)} ms of CPU`);
          assert.equal(Reflect.get({}, 'polluted'), undefined, 'the prototype of all objects was changed');
        }),
        { seed, numRuns, endOnFailure: false, ...(PATH === undefined ? {} : { path: PATH }) },
      );
      if (result.failed)
        throw new Error(
          [
            `replay it with: FUZZ_NAME=${JSON.stringify(name)} FUZZ_SEED=${seed} FUZZ_PATH=${result.counterexamplePath ?? ''} npm test -- fuzz/`,
            `input: ${shown(result.counterexample)}`,
            result.errorInstance instanceof Error
              ? (result.errorInstance.stack ?? '')
              : String(result.errorInstance),
          ].join('\n'),
        );
    } finally {
      watchdog?.end();
    }
    counted.push({ name, inputs: numRuns, refused });
    if (!long) return;
    const growth = heapAfterCollection() - heap;
    console.log(
      `# ${name}: ${numRuns} inputs, seed ${seed}, slowest ${Math.round(slowest)} ms, ${(growth / 1024 ** 2).toFixed(1)} MiB left`,
    );
    assert.ok(
      growth < GROWTH_MAX,
      `${numRuns} inputs have left ${Math.round(growth / 1024 ** 2)} MiB behind`,
    );
  });
}

/** The last test of a file: says how many inputs there were, and how they have ended. None of these tests passes with a hang. */
export function fuzzCounted(what: string): void {
  test('inputs counted', (t: TestContext) => {
    const kinds = counted.splice(0);
    const told = ({ inputs, refused }: Omit<Counted, 'name'>): string =>
      `${inputs} inputs: ${refused} ended in a clear error, ${inputs - refused} in a correct result; hangs 0, stack traces 0`;
    if (RUNS > 0) for (const kind of kinds) count(t, `fuzzed ${kind.name}: ${told(kind)}`);
    else if (kinds.length > 0) {
      const sum = (of: 'inputs' | 'refused') => kinds.reduce((all, kind) => all + kind[of], 0);
      const names = kinds.map(({ name, inputs }) => `${name} ${inputs}`).join(', ');
      count(t, `fuzzed ${what}: ${told({ inputs: sum('inputs'), refused: sum('refused') })} (${names})`);
    }
  });
}

/** Node's own collector, which it hides. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('gc');
  return z.custom<() => void>((value) => typeof value === 'function').parse(found);
}

const collect = collector();

function heapAfterCollection(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

/** The same inputs for the same name, in every run. */
function hashOf(name: string): number {
  let hash = 7;
  for (const character of name) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0;
  return hash & 0x7fffffff;
}

function shown(input: unknown): string {
  const text = fc.stringify(input);
  return text.length > 3_000 ? `${text.slice(0, 3_000)}… (${text.length} characters)` : text;
}

/** A loop that never ends can't be interrupted from within: a thread beside it looks whether there is progress. */
class Watchdog {
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  constructor(message: string) {
    this.#worker = new Worker(
      `const { workerData: { beats, message, stuckMs, pid } } = require('node:worker_threads');
      let seen = -1;
      setInterval(() => {
        const now = Atomics.load(beats, 0);
        if (now === seen) {
          require('node:fs').writeSync(2, message + ', input number ' + now + '\\n');
          process.kill(pid, 'SIGKILL');
        }
        seen = now;
      }, stuckMs);`,
      { eval: true, workerData: { beats: this.#beats, message, stuckMs: STUCK_MS, pid: process.pid } },
    );
    this.#worker.unref();
  }

  beat(): void {
    Atomics.add(this.#beats, 0, 1);
  }

  end(): void {
    void this.#worker.terminate();
  }
}
