// Bundles the command line into dist/: one small entry and one chunk per command, loaded only when that command
// runs (cron pays the start-up every minute). `npm ci` runs it through the `prepare` script.
import { build, transform } from 'esbuild';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

/** In its place comes the digest of all chunks: what one build keeps for its next run is no other's (memo.ts). */
const BUILD_PLACE = 'build'.padEnd(64, '-');

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const { outputFiles } = await build({
  // `warm` is for the code cache only.
  entryPoints: { main: 'scripts/proxwarden.ts', warm: 'scripts/dev/warm.ts' },
  outdir: 'dist',
  write: false,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: false,
  alias: { assert: resolve('scripts/dev/assert.ts') },
  logLevel: 'warning',
  define: { PROXWARDEN_VERSION: JSON.stringify(version), PROXWARDEN_BUILD: JSON.stringify(BUILD_PLACE) },
});
const cjs = { format: 'cjs', platform: 'node', target: 'node20', logLevel: 'warning' };
// esbuild splits ES modules only, and Node 20 takes a code cache for scripts only.
const chunks = await Promise.all(
  outputFiles.map(async ({ path, text }) => {
    const { code } = await transform(text, {
      ...cjs,
      supported: { 'dynamic-import': false },
      define: { 'import.meta.dirname': '__dirname', 'import.meta.url': '__url' },
    });
    const url = code.includes('__url')
      ? 'const __url=require("node:url").pathToFileURL(__filename).href;\n'
      : '';
    return { name: basename(path), code: url + code };
  }),
);
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
const digest = createHash('sha256');
for (const { code } of chunks) digest.update(code);
const id = digest.digest('hex');
for (const { name, code } of chunks) writeFileSync(join('dist', name), code.replaceAll(BUILD_PLACE, id));
writeFileSync('dist/package.json', '{ "type": "commonjs" }\n');
const loader = await transform(readFileSync('scripts/dev/loader.ts', 'utf8'), { ...cjs, loader: 'ts' });
writeFileSync('dist/proxwarden.js', `#!/usr/bin/env node\n${loader.code}`, { mode: 0o755 });
const warmed = spawnSync(process.execPath, ['scripts/dev/code-cache.mjs'], { stdio: 'inherit' });
for (const name of ['warm.js', 'warm.js.cache']) rmSync(join('dist', name), { force: true });
// Nothing is wrong without them, so an installation does not fail for it; that they are there is a test (dev/loader).
if (warmed.status !== 0) console.error('no code cache was made: each command starts a little slower');
