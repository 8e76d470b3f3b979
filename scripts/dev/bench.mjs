// Bundles test/bench and runs it: all benchmarks, or those whose name holds one of the words.
//   npm run bench                 everything; writes the table into the README
//   npm run bench -- --quick      small sizes, judges nothing: CI
//   npm run bench -- probes       one
//   npm run bench -- --long       with restores of 200 s
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

const built = spawnSync(process.execPath, ['scripts/dev/build.mjs'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
const outdir = `.build/bench-${process.pid}`;
try {
  await build({
    // Those that main.ts starts as processes of their own, too.
    entryPoints: ['main', 'ask-exporter', 'bare', 'failing', 'labs', 'raw-failover', 'targets'].map(
      (name) => `test/bench/${name}.ts`,
    ),
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: true,
    logLevel: 'warning',
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  });
  const args = ['--enable-source-maps', `${outdir}/main.js`, ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
