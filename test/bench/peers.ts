/** The processes that a benchmark needs around it: labs and targets, each in a process of its own, ended with us. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { tokenSecret } from '../secrets.ts';
import { inventoryOf, TOKEN_ID, type Fleet } from './fleet.ts';

export interface Peer<T> {
  /** What it has said when it was ready. */
  readonly said: T;
  /** Sends it an empty line, and reads its answer. */
  ask(): Promise<string>;
  stop(): void;
}

/** Starts one of the programs beside this one, and waits for the line of JSON that says it is ready. */
export async function startPeer<T>(name: string, input: unknown, said: z.ZodType<T>): Promise<Peer<T>> {
  const script = join(dirname(fileURLToPath(import.meta.url)), `${name}.js`);
  const child = spawn(process.execPath, ['--enable-source-maps', script, JSON.stringify(input)], {
    // It ends when its standard input does, so also when we are killed.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  const answer = (): Promise<string> =>
    new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`${name} has ended with ${code ?? 'a signal'}`)));
      lines.once('line', resolve);
    });
  const first = await answer();
  return {
    said: said.parse(JSON.parse(first)),
    ask: () => {
      child.stdin.write('\n');
      return answer();
    },
    stop: () => void child.kill(),
  };
}

const Targets = z.object({ tcp: z.number(), http: z.number(), silent: z.number() });
const LabPorts = z.record(z.string(), z.number());

export interface Stage {
  readonly folder: string;
  readonly inventory: string;
  readonly state: string;
  readonly targets: z.infer<typeof Targets>;
  /** Of the API, by node. */
  readonly api: Readonly<Record<string, number>>;
  /** Flags for every command. */
  readonly flags: readonly string[];
  /** How many requests the clusters have answered since this was last asked. */
  requests(): Promise<number>;
  stop(): void;
}

export interface StageOptions {
  /** Further keys of every inventory file, in place of what is there: `checks`. */
  readonly edit?: ((yaml: string, targets: z.infer<typeof Targets>) => string) | undefined;
}

/** A fleet with everything around it, in a folder of its own. */
export async function openStage(fleet: Fleet, options: StageOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-bench-'));
  const inventory = join(folder, 'inventory');
  const state = join(folder, 'state');
  mkdirSync(inventory, { mode: 0o700 });
  writeFileSync(join(inventory, 'token'), `${TOKEN_ID}=${tokenSecret()}\n`, { mode: 0o600 });
  const stops: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = (): void => {
    for (const one of stops.splice(0).toReversed()) one();
  };
  try {
    const targets = await startPeer('targets', {}, Targets);
    stops.push(() => targets.stop());
    const lab = await startPeer('labs', { fleet, folder: inventory }, LabPorts);
    stops.push(() => lab.stop());
    for (const [name, text] of Object.entries(inventoryOf(fleet, { api: lab.said, targets: targets.said })))
      writeFileSync(join(inventory, name), options.edit?.(text, targets.said) ?? text);
    return {
      folder,
      inventory,
      state,
      targets: targets.said,
      api: lab.said,
      flags: ['--inventory', inventory, '--state', state],
      requests: async () => Number(await lab.ask()),
      stop,
    };
  } catch (error) {
    stop();
    throw error;
  }
}
