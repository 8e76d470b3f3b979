/** Every command line of the README is executed: in a lab, in the order in which one reads it, with names for what is written in capitals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commandLines } from './command-lines.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { openStage } from './runbook.ts';

/** Commands that meet the machine itself; what they do is tested there. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  lab: 'e2e/lab-and-demo: real processes and sockets',
  init: 'e2e/init: asks, and looks at certificates',
  doctor: 'e2e/doctor: looks at certificates',
  report: 'e2e/doctor: looks as doctor does; scenarios/report without a look',
  install: 'install: writes for cron and systemd',
  uninstall: 'install: writes for cron and systemd',
};

/** What stands for what a reader puts in. */
const WORDS: Readonly<Record<string, string>> = { NAME: 'db', NODE: 'pve1', ID: 'OP' };

/** Of commands that are right to refuse in a world that is well. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'forget db': /is in the inventory/,
  'failover db --resume OP': /has ended: done/,
  'notify test': /names nobody to be told/,
};

test('every command line of the README does what it should in a lab, or is refused for a good reason', async () => {
  const text = readFileSync('README.md', 'utf8')
    // Made by doctor, of other labs (doctor/readme-table).
    .replace(/<!-- made by[\s\S]*?<!-- end -->/, '');
  const { stage, shown } = openStage();
  const done: string[] = [];
  const skipped: string[] = [];
  try {
    for (let n = 0; n < 2; n += 1) await stage.cron([]);
    for (const line of commandLines(text)) {
      const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => WORDS[word] ?? word.replaceAll('"', ''));
      const [command = ''] = words;
      // What happens to the world in the README, happens here.
      if (command === 'lab' && ['kill', 'revive'].includes(words[1] ?? '')) {
        await carryOut(stage, words.slice(1, 3).join(' '));
        await carryOut(stage, 'wait 60s');
      }
      if (command === 'COMMAND' || Object.hasOwn(ELSEWHERE, command)) {
        skipped.push(command);
        continue;
      }
      shown.length = 0;
      await stage.command(words.map((word) => (word === 'OP' ? (stage.lastOperation() ?? '') : word)));
      const said = shown.flatMap(({ lines }) => lines).join('\n');
      const refusal = REFUSED[words.join(' ')];
      if (refusal === undefined)
        assert.ok([0, 3, 4, 5].includes(stage.exit ?? -1), `${line}: exit ${stage.exit}: ${said}`);
      else assert.match(said, refusal, line);
      stage.check();
      done.push(command);
    }
  } finally {
    stage.close();
  }
  assert.ok(done.length > 20, done.join());
  for (const command of Object.keys(ELSEWHERE))
    assert.ok(skipped.includes(command), `${command} is not in the README any more`);
});
