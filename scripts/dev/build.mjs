// Bundles the command line into dist/: one small entry and one chunk per command, loaded only when that command
// runs (cron pays the start-up every minute). `npm ci` runs it through the `prepare` script.
import { build } from 'esbuild';
import { readFileSync, rmSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: { proxwarden: 'scripts/proxwarden.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: false,
  logLevel: 'warning',
  define: { PROXWARDEN_VERSION: JSON.stringify(version) },
  // Some bundled packages are CommonJS and call require() for Node's own modules.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
});
