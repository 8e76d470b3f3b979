/** The lab's folder `<inventory>/.lab`: the run file that says where a running lab is, its token, its certificate. */
import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import * as z from 'zod';
import { InputError, LockedError, messageOf } from '../errors.ts';
import { readRegularFile } from '../file.ts';

export const RunFile = z.object({
  pid: z.number().int().positive(),
  /** Base URL of the control endpoint. */
  control: z.string().regex(/^http:\/\/127\.0\.0\.1:\d{1,5}$/),
  /** Bearer token of the control endpoint. */
  token: z.string(),
  /** Ports by what listens there: `pve1`, `plugs`, … */
  ports: z.record(z.string(), z.number().int()),
  /** Epoch ms. */
  startedAt: z.number(),
});
export type RunFile = z.infer<typeof RunFile>;

/** The lab folder of an inventory folder. */
export function labFolder(dir: string): string {
  return join(dir, '.lab');
}

function runFilePath(dir: string): string {
  return join(labFolder(dir), 'run.json');
}

/** Makes the lab folder, for its owner only. Throws InputError when the inventory folder doesn't exist. */
export async function makeLabFolder(dir: string): Promise<string> {
  const folder = labFolder(dir);
  try {
    if (!(await stat(dir)).isDirectory()) throw new InputError(`${dir} is not a folder`);
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new InputError(`the inventory folder ${dir} does not exist`, { cause: error });
    }
    if (codeOf(error) !== 'EEXIST') throw error;
    // Made by somebody with another umask, or by hand.
    await chmod(folder, 0o700);
  }
  return folder;
}

/**
 * The run file of the lab that runs for `dir`, or null when there is none: a file whose process is gone is none.
 * Throws InputError when there is a file that isn't a run file.
 */
export async function readRunFile(dir: string): Promise<RunFile | null> {
  const run = await parseRunFile(dir);
  // The pid alone would not do: after a reboot it may be anybody's.
  return run !== null && alive(run.pid) && (await listens(run.control)) ? run : null;
}

async function parseRunFile(dir: string): Promise<RunFile | null> {
  const path = runFilePath(dir);
  let text: string;
  try {
    text = readRegularFile(path).bytes.toString('utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw new InputError(`${path}, which says where the lab is, can't be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = RunFile.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InputError(`${path} is not the run file of a lab`, {
    hint: 'Make sure that no lab is running there, then remove it.',
  });
}

/**
 * Claims `dir` for this process. Throws LockedError when a lab is running there already, even if both were started
 * in the same instant. A stale run file is cleaned away.
 */
export async function claimRunFile(dir: string, run: RunFile): Promise<void> {
  await refuseSecondLab(dir);
  const path = runFilePath(dir);
  const temporary = `${path}.${process.pid}`;
  await rm(path, { force: true });
  await writeFile(temporary, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 });
  try {
    // Unlike rename, link fails when somebody else was faster; and the file is complete when it appears.
    await link(temporary, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw locked(dir, undefined);
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Throws LockedError when a lab is running for `dir`. */
export async function refuseSecondLab(dir: string): Promise<void> {
  const running = await readRunFile(dir);
  if (running !== null) throw locked(dir, running.pid);
}

function locked(dir: string, pid: number | undefined): LockedError {
  return new LockedError(
    `a lab is running for ${dir} already${pid === undefined ? '' : ` (process ${pid})`}`,
    {
      hint: 'Use it, or end it with `proxwarden lab down`.',
    },
  );
}

/** Removes the run file of the lab with this control token; another's is left alone. */
export async function releaseRunFile(dir: string, token: string): Promise<void> {
  if ((await parseRunFile(dir))?.token === token) await rm(runFilePath(dir), { force: true });
}

/**
 * The secret of the API token in the lab folder's `token` file (`ID=SECRET`). Made at the first start and kept, so
 * that what has read it goes on working when the lab is started again.
 */
export async function labToken(folder: string, id: string): Promise<string> {
  const path = join(folder, 'token');
  try {
    const [name, secret] = readRegularFile(path).bytes.toString('utf8').trim().split('=');
    if (name === id && z.uuid().safeParse(secret).success && secret !== undefined) return secret;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const secret = randomUUID();
  await writeAtomically(path, `${id}=${secret}\n`);
  return secret;
}

/** Writes a file of mode 0600 that is either the old one or the complete new one. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, but somebody else's.
    return codeOf(error) === 'EPERM';
  }
}

const LISTENS_MS = 3_000;

/** Whether anybody accepts connections at `url`. A suspended process still does. */
async function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  let socket: Socket | undefined;
  try {
    socket = connect({ host: hostname, port: Number(port) });
    await once(socket, 'connect', { signal: AbortSignal.timeout(LISTENS_MS) });
    return true;
  } catch {
    // Refused, or a port that there can't be: nobody is there.
    return false;
  } finally {
    socket?.destroy();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
