/**
 * dist/proxwarden.js: loads the bundle's chunks with V8's code cache, which spares compiling a megabyte in each of the runs
 * that cron makes. (Node does this by itself from 22 on, module.enableCompileCache; this is for 20.) A cache that isn't of
 * this very chunk, or damaged, is not used: V8 itself would run it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** It is built as CommonJS, where there are these. */
declare const __dirname: string;
declare const require: { (id: string): unknown; main: unknown };
declare const module: unknown;

const HEAD_BYTES = 8;
const modules = new Map<string, { readonly exports: unknown }>();

/** What has been compiled in this process, by file, for whoever writes the caches (code-cache.mjs). */
export const scripts = new Map<string, { readonly script: Script; readonly source: Buffer }>();

/** The head of a cache: checksums of its chunk and of itself. */
export function sums(source: Buffer, data: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(crc32(source), 0);
  head.writeUInt32LE(crc32(data), 4);
  return head;
}

function cacheOf(file: string, source: Buffer): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(`${file}.cache`);
  } catch {
    // Of a chunk that is rarely loaded; and without a cache it is only slower.
    return undefined;
  }
  const data = bytes.subarray(HEAD_BYTES);
  return bytes.subarray(0, HEAD_BYTES).equals(sums(source, data)) ? data : undefined;
}

/** Compiles a chunk, and runs nothing of it. */
export function compile(name: string): Script {
  const filename = join(__dirname, name);
  const source = readFileSync(filename);
  // Strict, as the modules are that it was made of: a write to what is frozen must not pass in silence.
  const text = `(function(exports,require,module,__filename,__dirname){"use strict";${source.toString('latin1')}\n})`;
  const script = new Script(text, { filename, cachedData: cacheOf(filename, source) });
  scripts.set(filename, { script, source });
  return script;
}

/** The exports of a chunk, which is run when it is first asked for. Throws what its code throws. */
export function load(name: string): unknown {
  const known = modules.get(name);
  if (known !== undefined) return known.exports;
  const chunk = { exports: {} };
  modules.set(name, chunk);
  const inner = (id: string): unknown => (id.startsWith('./') ? load(id) : require(id));
  const run: unknown = compile(name).runInThisContext();
  if (typeof run !== 'function') throw new Error(`bug: ${name} is no chunk`);
  Reflect.apply(run, undefined, [chunk.exports, inner, chunk, join(__dirname, name), __dirname]);
  return chunk.exports;
}

if (require.main === module) load('./main.js');
