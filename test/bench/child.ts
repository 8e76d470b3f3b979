/** Programs as users run them, with the time that they take. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { median } from './measure.ts';

export interface Timed {
  readonly wallMs: number;
  /** User and system time, of its own children too. */
  readonly cpuMs: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TimedOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Exit codes that are in order. Default: 0. */
  readonly codes?: readonly number[] | undefined;
}

/** The command line as cron and systemd call it: node on the bundle. */
export const PROXWARDEN = [process.execPath, join(process.cwd(), 'dist', 'proxwarden.js')] as const;

const TIMES = /\nreal (\d+\.\d+) user (\d+\.\d+) sys (\d+\.\d+)\n$/;

/** Runs a program to its end, timed by bash (Node does not tell what a child's children have used). Throws when it fails. */
export async function timed(command: readonly string[], options: TimedOptions = {}): Promise<Timed> {
  const child = spawn(
    'bash',
    ['-c', 'TIMEFORMAT=$\'\\nreal %3R user %3U sys %3S\'; time "$@"', 'bash', ...command],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...options.env },
      cwd: options.cwd,
    },
  );
  const [stdout, stderr] = [child.stdout, child.stderr].map(textOf);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => resolve(exit ?? -1));
  });
  const said = stderr?.() ?? '';
  const [, real, user, sys] = TIMES.exec(said) ?? [];
  if (real === undefined || !(options.codes ?? [0]).includes(code))
    throw new Error(`${command.join(' ')}: exit ${code}\n${said.slice(-2000)}${stdout?.().slice(-2000)}`);
  return {
    wallMs: Number(real) * 1000,
    cpuMs: (Number(user) + Number(sys)) * 1000,
    code,
    stdout: stdout?.() ?? '',
    stderr: said.replace(TIMES, ''),
  };
}

function textOf(stream: NodeJS.ReadableStream): () => string {
  const parts: string[] = [];
  stream.setEncoding('utf8').on('data', (part: string) => void parts.push(part));
  return () => parts.join('');
}

/**
 * Several things in turn, so that all meet the same machine; one round before counts for nothing. The results are by
 * thing, in the order of `runs`.
 */
export async function inTurn<T>(rounds: number, runs: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const results = runs.map((): T[] => []);
  for (let round = -1; round < rounds; round += 1)
    for (const [n, run] of runs.entries()) {
      const one = await run();
      if (round >= 0) results[n]?.push(one);
    }
  return results;
}

/** The medians of what `inTurn` has given for one thing. */
export function wallOf(times: readonly Timed[] = []): number {
  return median(times.map((t) => t.wallMs));
}

export function cpuOf(times: readonly Timed[] = []): number {
  return median(times.map((t) => t.cpuMs));
}

/** Which of these programs are not installed. */
export function missing(...programs: readonly string[]): string[] {
  const folders = (process.env['PATH'] ?? '').split(':');
  return programs.filter((program) => !folders.some((folder) => isProgram(join(folder, program))));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
