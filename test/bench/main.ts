/** `npm run bench`: all benchmarks, or those whose name holds one of the words; the table goes into the README. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { batch } from './batch.ts';
import { failover } from './failover.ts';
import { isMet, type Bench, type Measure } from './measure.ts';
import { ping } from './ping.ts';
import { probes } from './probes.ts';
import { quiet } from './quiet.ts';
import { scale } from './scale.ts';
import { startUp } from './start-up.ts';
import { stateWrite } from './state-write.ts';

/** In the order of the table. */
const BENCHES: Readonly<Record<string, Bench>> = {
  'start-up': startUp,
  quiet,
  probes,
  ping,
  failover,
  batch,
  scale,
  'state-write': stateWrite,
};

const MARK = /(<!-- bench -->\n)[^]*(<!-- \/bench -->)/;

function figure(value: number, unit: Measure['unit']): string {
  return unit === '×' ? `${value.toFixed(2)} ×` : `${Math.round(value)} ${unit}`;
}

function goalOf({ goal, unit }: Measure): string {
  if (goal === null) return '';
  return unit === '×' ? `≤ ${goal} ×` : `≤ ${goal} ${unit}`;
}

function tableOf(measures: readonly Measure[]): string {
  const missed = measures.filter((m) => !isMet(m));
  const rows = measures.map((m) => {
    const note = isMet(m) ? '' : ` (${missed.indexOf(m) + 1})`;
    return `| ${m.what} | ${m.ours} | ${m.against} | ${figure(m.value, m.unit)}${note} | ${goalOf(m)} |`;
  });
  const notes = missed.map((m, n) => `(${n + 1}) ${m.limit ?? 'missed in this run'}`);
  return [
    '| measure | ProxWarden | against, in the same run | | goal |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    ...(notes.length === 0 ? [] : ['', notes.join('\\\n')]),
  ].join('\n');
}

function machine(): string {
  const [processor] = cpus();
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${processor?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ${system}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`;
}

async function main(argv: readonly string[]): Promise<number> {
  const options = { quick: argv.includes('--quick'), long: argv.includes('--long') };
  const words = argv.filter((word) => !word.startsWith('-'));
  const measures: Measure[] = [];
  let skipped = false;
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
    console.error(`${name} …`);
    const result = await bench(options);
    if ('skipped' in result) {
      console.error(`  skipped: ${result.skipped}`);
      skipped = true;
      continue;
    }
    measures.push(...result);
    for (const m of result)
      console.error(
        `  ${m.what}: ${m.ours}; ${m.against}; ${figure(m.value, m.unit)}, goal ${goalOf(m) || 'none'}${options.quick || isMet(m) ? '' : '  MISSED'}`,
      );
  }
  if (options.quick) return measures.length > 0 ? 0 : 1;
  if (words.length === 0 && !skipped) {
    const readme = readFileSync('README.md', 'utf8');
    if (!MARK.test(readme)) throw new Error('the README has no place for the table');
    const text = `${machine()}:\n\n${tableOf(measures)}`;
    writeFileSync(
      'README.md',
      readme.replace(MARK, (_all, begin: string, end: string) => `${begin}\n${text}\n\n${end}`),
    );
  }
  // What is known to be out of reach is said, and no failure.
  return measures.some((m) => !isMet(m) && m.limit === undefined) ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
