/** State folders with files that make no sense: refused in one clear line, or read for what they say. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after } from 'node:test';
import { main } from '../../lib/cli/main.ts';
import { EXIT, InputError } from '../../lib/errors.ts';
import type { Runtime } from '../../lib/runtime.ts';
import { sameAction } from '../../lib/decide/plan.ts';
import { readEvents } from '../../lib/state/events.ts';
import { readObservation } from '../../lib/state/observation.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { loadPlan } from '../../lib/state/plans.ts';
import { openState } from '../../lib/state/store.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { scratchFolder } from '../scratch.ts';
import { assertClear, assertClearProblem, assertReadable } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';
import { mutatedJson, mutatedLines } from './mutate.ts';
import { stateSamples } from './samples.ts';

const samples = await stateSamples();
const root = scratchFolder('fuzz');
after(() => rmSync(root, { recursive: true, force: true }));
const dir = join(root, 'state');
const clock = { now: () => samples.now, sleep: () => Promise.resolve() };
const texts = (of: readonly { readonly text: string }[]): string[] => of.map(({ text }) => text);
const [plan] = samples.plans;
const journal = samples.journals.at(-1);
assert.ok(plan !== undefined && journal !== undefined);

mkdirSync(join(root, 'inventory'));
writeFileSync(join(root, 'inventory', 'home.yaml'), samples.inventory);

/** The files as they were, and one of them as it is now. */
function put(name: string, content: Buffer): void {
  rmSync(dir, { recursive: true, force: true });
  const files: Readonly<Record<string, string>> = {
    'state.json': samples.states.at(-1) ?? '',
    'observation.json': samples.observations.at(-1) ?? '',
    [`operations/${journal?.id ?? ''}.json`]: journal?.text ?? '',
    [`plans/${plan?.id ?? ''}.json`]: plan?.text ?? '',
  };
  for (const [file, text] of Object.entries({ ...files, [name]: content })) {
    mkdirSync(dirname(join(dir, file)), { recursive: true, mode: 0o700 });
    writeFileSync(join(dir, file), text);
  }
}

/** What it returns, or undefined when it refuses. */
function tried<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    assertClear(error);
    return undefined;
  }
}

const READS_ONLY = (): never => assert.fail('it reads the state only');
const UNREACHED = () => Promise.reject(new InputError('there is no network in this test'));

function offline(no: () => Promise<never>): Runtime {
  return {
    clock,
    env: { PROXWARDEN_TOKEN: 'a@pve!b=c' },
    randomHex: (bytes) => 'ab'.repeat(bytes),
    dispatcher: no,
    httpDispatcher: no,
    probe: no,
    exec: no,
    mail: no,
    detach: no,
    shell: no,
  };
}

/** A command, to its end. Whatever it wants of the network is `no`. */
async function run(words: readonly string[], no: () => Promise<never> = READS_ONLY): Promise<number> {
  let said = '';
  const io = {
    out: (text: string) => void (said += `${text}\n`),
    err: (text: string) => void (said += `${text}\n`),
  };
  const code = await main([...words, '--inventory', join(root, 'inventory'), '--state', dir], COMMANDS, {
    runtime: offline(no),
    io: { ...io, tty: false, columns: 160 },
    signal: new AbortController().signal,
    cwd: root,
  });
  assertReadable(said, `\`${words.join(' ')}\``);
  return code;
}

const READ_ONLY = [
  ['status'],
  ['status', '--json'],
  ['decide', '--explain'],
  ['maintenance', 'list'],
] as const;

let turn = 0;

/** One after the other: each is twenty times what reading the file costs. */
async function command(): Promise<void> {
  const words = READ_ONLY[(turn += 1) % READ_ONLY.length] ?? ['status'];
  assert.ok(Object.values<number>(EXIT).includes(await run(words)));
}

fuzz('state.json', { runs: 30 }, mutatedJson(samples.states), async (bytes) => {
  put('state.json', bytes);
  const read = tried(() => openState(dir, { clock }).read());
  await command();
  // What can't be trusted is never replaced.
  if (read === undefined) assert.deepEqual(readFileSync(join(dir, 'state.json')), bytes);
});

fuzz('journals', { runs: 30 }, mutatedJson(texts(samples.journals)), async (bytes) => {
  const name = `operations/${journal.id}.json`;
  put(name, bytes);
  const operations = openOperations(dir, { clock });
  for (const { message } of operations.list().problems) {
    assertClearProblem(message);
    assert.match(message, /^operation journal .*\/operations\/op-[^\n]*$/);
  }
  tried(() => operations.load(journal.id));
  await command();
  assert.deepEqual(readFileSync(join(dir, name)), bytes);
});

fuzz('observation.json', { runs: 30 }, mutatedJson(samples.observations), async (bytes) => {
  put('observation.json', bytes);
  tried(() => readObservation(dir, { now: samples.now, maxAgeMs: 1e15 }));
  await command();
});

fuzz('plans', { runs: 30 }, mutatedJson(texts(samples.plans)), async (bytes) => {
  put(`plans/${plan.id}.json`, bytes);
  const read = tried(() => loadPlan(dir, plan.id, samples.now));
  for (const decision of read?.decisions ?? []) assert.ok(sameAction(decision, decision));
  // Whatever it says: nothing can be seen of the cluster here, so nothing is done.
  turn += 1;
  if (turn % 4 === 0) assert.notEqual(await run(['failover', 'web', '--plan', plan.id], UNREACHED), 0);
});

fuzz('events.ndjson', { runs: 60 }, mutatedLines(samples.events), (bytes) => {
  put('events.ndjson', bytes);
  const { events, skipped } = readEvents(dir);
  const lines = bytes
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '').length;
  assert.equal(events.length + skipped, lines);
});

fuzzCounted('state folders');
