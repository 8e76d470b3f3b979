// Bundles every test file (shared chunks, source maps) and runs them with Node's own test runner.
// What they print and write is looked through for their secrets (leaks.mjs).
// `npm test` runs all but REST, which `npm test -- --rest` runs (CI does both); `npm test -- inventory decide` runs the
// files whose path contains one of the words, whichever they are.
import { build } from 'esbuild';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

function walk(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? walk(join(dir, e.name)) : e.name.endsWith('.test.ts') ? [join(dir, e.name)] : [],
  );
}
const words = process.argv.slice(2).filter((a) => !a.startsWith('-'));
const rest = process.argv.includes('--rest');
const flags = process.argv.slice(2).filter((a) => a.startsWith('-') && a !== '--rest');
/**
 * `npm test` has four minutes on two cores, so these are not in it: what draws many cases of what others show by one, what
 * meets the machine's own programs (sshd, cron, fence agents, a browser), and the commands as processes but for the story.
 */
const REST = [
  /^test\/(ci|fuzz|random|waits)\//,
  /^test\/e2e\/(?!(story|cli|kill|lab-and-demo)\.)/,
  /^test\/(doctor\/faults|scenarios\/(lost|two-copies|overlap|runners|batch)|state\/hundred)\./,
  /^test\/(act\/(root-shell|pct|fence-agent)|security\/install|tell\/report\/page|docs\/(runbook|commands))\./,
];
/** In both: the scenarios of the regression list in `npm test`, the others in the rest (PROXWARDEN_TESTS). */
const BOTH = /^test\/scenarios\/scenarios\./;
const files = walk('test')
  .filter((f) =>
    words.length === 0
      ? BOTH.test(f) || REST.some((one) => one.test(f)) === rest
      : words.some((w) => f.includes(w)),
  )
  .toSorted();
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`);
  process.exit(2);
}
if (!existsSync('dist/proxwarden.js') || process.env['PROXWARDEN_SKIP_BUILD'] === undefined) {
  const built = spawnSync(process.execPath, ['scripts/dev/build.mjs'], { stdio: 'inherit' });
  if (built.status !== 0) process.exit(1);
}
/** The long ones, first and each in a process of its own; of the others a process takes eight: each costs a third of a second. */
const LONG = /^test\/(scenarios|faults|e2e|doctor|random|state|rules)\//;
const TOGETHER = 8;
const outdir = `.build/test-${process.pid}`;

/** Entry files that load several test files each. */
function grouped() {
  const folders = new Map();
  for (const file of files.filter((f) => !LONG.test(f)))
    folders.set(dirname(file), [...(folders.get(dirname(file)) ?? []), file]);
  const entries = [];
  for (const [folder, members] of folders)
    for (let n = 0; n < members.length; n += TOGETHER) {
      const entry = join(outdir, `${folder.replaceAll('/', '-')}-${n / TOGETHER + 1}.mjs`);
      const loads = members.slice(n, n + TOGETHER).map((f) => `import './${f.replace(/\.ts$/, '.js')}';\n`);
      writeFileSync(entry, loads.join(''));
      entries.push(entry);
    }
  return entries;
}
/** What the contract tests have covered, told at the end (test/contract/count.ts). */
const counts = `${outdir}/counts.txt`;
const leaks = resolve(outdir, 'leaks');
try {
  await build({
    entryPoints: files,
    outdir,
    outbase: '.',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
    define: { PROXWARDEN_VERSION: '"test"' },
  });
  mkdirSync(outdir, { recursive: true });
  writeFileSync(leaks, '');
  const run = spawnSync(
    process.execPath,
    [
      '--enable-source-maps',
      '--import',
      pathToFileURL(resolve('scripts/dev/leaks.mjs')).href,
      '--test',
      '--test-concurrency=4',
      ...flags,
      ...files.filter((f) => LONG.test(f)).map((f) => join(outdir, f.replace(/\.ts$/, '.js'))),
      ...grouped(),
    ],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        PROXWARDEN_COUNTS: counts,
        PROXWARDEN_LEAKS: leaks,
        PROXWARDEN_TESTS: words.length > 0 ? 'all' : rest ? 'rest' : 'first',
      },
    },
  );
  if (existsSync(counts)) console.log(`\ncovered:\n${readFileSync(counts, 'utf8')}`);
  process.exitCode = run.status ?? 1;
  const found = [...new Set(readFileSync(leaks, 'utf8').split('\n').filter(Boolean))];
  if (found.length > 0) {
    console.error(`secrets of tests have leaked:\n  ${found.join('\n  ')}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
