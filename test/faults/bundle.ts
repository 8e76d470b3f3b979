/** Makes the program that world.ts starts: one file with everything in it, and its loader. */
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { Bundle } from './world.ts';

export async function makeBundle(folder: string): Promise<Bundle> {
  const made = {
    loader: join(folder, 'loader.cjs'),
    bundle: join(folder, 'process.cjs'),
    cache: join(folder, 'process.cache'),
  };
  await build({
    entryPoints: { loader: resolve('test/faults/loader.ts'), process: resolve('test/faults/process.ts') },
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // The loader takes every character for one byte.
    charset: 'ascii',
    minifyWhitespace: true,
    logLevel: 'warning',
    define: {
      PROXWARDEN_VERSION: '"test"',
      'import.meta.url': '"file:///"',
      'import.meta.dirname': '""',
    },
    plugins: [{ name: 'undici', setup: (build_) => build_.onResolve({ filter: /^undici$/ }, lean) }],
  });
  return made;
}

/** Only for what sends requests; the rest of the bundle is never loaded. */
function lean({ importer }: { importer: string }): { path: string } | undefined {
  return /\/lib\/(undici|lab\/dispatcher)\.ts$/.test(importer)
    ? { path: resolve('test/faults/undici.mjs') }
    : undefined;
}
