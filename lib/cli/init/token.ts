/** The API token: from where the inventory will look for it, or typed and, if wanted, written to a file of its own. */
import { rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { FailedError, InputError, messageOf } from '../../errors.ts';
import { secretRef } from '../../inventory/fields.ts';
import { placeInside } from '../../inventory/programs.ts';
import { readSecret } from '../../inventory/secrets.ts';
import { registerSecret } from '../../redact.ts';
import type { InitContext } from './types.ts';
import { makeFolder } from '../../folder.ts';

export interface Token {
  readonly value: string;
  /** As the inventory says it; null: it was typed. */
  readonly ref: string | null;
}

/** @throws InputError when it is a literal token, or can't be read */
export async function obtainToken(context: InitContext): Promise<Token> {
  const { flags, asker } = context;
  if (flags.token !== undefined) return { ref: flags.token, value: readRef(flags.token, context) };
  if (asker === null) throw new InputError('--token is missing');
  const given = await asker.ask('Where is the API token? env:NAME or file:PATH, or Enter to type it now:');
  if (given !== '') return { ref: given, value: readRef(given, context) };
  const value = await asker.secret('API token, USER@REALM!NAME=SECRET (it is not shown):');
  if (value === '') throw new InputError('no token was given; nothing was written');
  register(value);
  return { ref: null, value };
}

function register(value: string): void {
  registerSecret(value);
  registerSecret(value.slice(value.indexOf('=') + 1));
}

function readRef(written: string, { dir, invocation }: InitContext): string {
  const parsed = secretRef.safeParse(written);
  if (!parsed.success) {
    register(written);
    throw new InputError(
      'the API token is given by reference: env:NAME or file:PATH (absolute, or inside the inventory)',
      {
        hint: 'if that was the token itself, it may be in your history of commands now: make a new one',
      },
    );
  }
  const ref = parsed.data;
  const value = readSecret(
    ref.kind === 'file' && !isAbsolute(ref.path) ? { kind: 'file', path: inside(dir, ref.path) } : ref,
    invocation.runtime.env,
  );
  register(value);
  return value;
}

function inside(dir: string, path: string): string {
  const found = placeInside(dir, path);
  if ('path' in found) return found.path;
  throw new InputError(`the token's file ${path} ${found.message}`, { hint: found.fix });
}

export interface TokenFile {
  readonly path: string;
  readonly value: string;
}

/** What the inventory will say of a typed token, and the file that is to be written for it, if any. */
export async function keepToken(
  token: Token,
  cluster: string,
  context: InitContext,
): Promise<{ ref: string; file: TokenFile | null }> {
  if (token.ref !== null) return { ref: token.ref, file: null };
  const variable = `PROXWARDEN_${cluster.toUpperCase().replaceAll('-', '_')}_TOKEN`;
  const { asker, flags, invocation, dir } = context;
  if (asker === null || flags.dryRun) return { ref: `env:${variable}`, file: null };
  const usual = join(usualFolder(), `${cluster}.token`);
  const answer = await asker.ask(`File for the token (mode 600), or - to keep it in ${variable}`, usual);
  if (answer === '-') return { ref: `env:${variable}`, file: null };
  const path = resolve(invocation.cwd, answer.replace(/^~(?=\/)/, homedir()));
  const from = relative(dir, path);
  if (from !== '..' && !from.startsWith(`..${sep}`) && !isAbsolute(from))
    throw new InputError(
      'the token does not belong into the inventory folder, which is kept in git; nothing was written',
    );
  return { ref: `file:${path}`, file: { path, value: token.value } };
}

function usualFolder(): string {
  return process.getuid?.() === 0 ? '/etc/proxwarden' : join(homedir(), '.config', 'proxwarden');
}

/** Writes it with mode 0600; never over another file. Returns how to take it back. */
export function writeTokenFile({ path, value }: TokenFile): () => void {
  try {
    makeFolder(dirname(path), 0o700);
    writeFileSync(path, `${value}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new FailedError(`cannot write the token's file ${path}: ${messageOf(error)}; nothing was written`, {
      cause: error,
    });
  }
  return () => rmSync(path, { force: true });
}
