/** Reads secrets at the moment they are needed. Their values appear in no message. */
import { InputError } from '../errors.ts';
import { NotAFile, readRegularFile } from '../file.ts';
import { registerSecret } from '../redact.ts';
import { printable } from '../text.ts';
import { errorCode } from './files.ts';
import type { SecretRef } from './types.ts';

const MOST_BYTES = 4096;

/**
 * The secret that `ref` points to, without line ends behind it; registered for redaction. Throws InputError naming
 * the variable or file when it is missing, empty, of several lines, too large, or readable by others.
 */
export function readSecret(ref: SecretRef, env: Readonly<Record<string, string | undefined>>): string {
  const secret = ref.kind === 'env' ? fromEnvironment(ref.name, env) : fromFile(ref.path);
  // Neither a token nor a password is of several lines, but keys and lists of passwords are, which an inventory could name
  // to have them sent somewhere. To a fence agent a second line would be another option.
  if (/\p{Cc}/u.test(secret))
    throw new InputError(
      `the ${ref.kind === 'env' ? `environment variable ${ref.name}` : `secret file ${printable(ref.path)}`} holds more than one line of text, so it is no token and no password`,
      { hint: 'it should hold nothing but the secret, on one line' },
    );
  registerSecret(secret);
  return secret;
}

function withoutLineEnds(text: string): string {
  return text.replace(/[\r\n]{1,8}$/, '');
}

function fromEnvironment(name: string, env: Readonly<Record<string, string | undefined>>): string {
  const value = withoutLineEnds(env[name] ?? '');
  if (value === '') {
    throw new InputError(
      `the environment variable ${name}, which the inventory names for a secret, is ${env[name] === undefined ? 'not set' : 'empty'}`,
      {
        hint: `set ${name} for the user that runs proxwarden`,
      },
    );
  }
  return value;
}

function fromFile(path: string): string {
  const shown = printable(path);
  const fail = (why: string, hint: string): InputError =>
    new InputError(`the secret file ${shown} ${why}`, { hint });
  let file: ReturnType<typeof readRegularFile>;
  try {
    file = readRegularFile(path, { most: MOST_BYTES });
  } catch (error) {
    if (error instanceof NotAFile)
      throw fail('is not a regular file', 'point the inventory to an ordinary file');
    const missing = errorCode(error) === 'ENOENT';
    throw missing
      ? fail('does not exist', 'create it with the secret on one line, chmod 600')
      : fail(
          `can't be read (${errorCode(error)})`,
          'it must belong to the user that runs proxwarden, chmod 600',
        );
  }
  const { bytes, mode } = file;
  if ((mode & 0o077) !== 0) throw fail('can be read by others than its owner', `chmod 600 ${shown}`);
  if (bytes.length > MOST_BYTES) throw fail('is larger than 4 KiB', 'it should hold nothing but the secret');
  const value = withoutLineEnds(bytes.toString('utf8'));
  if (value === '') throw fail('is empty', 'write the secret into it, on one line');
  return value;
}
