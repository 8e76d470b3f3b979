/** The command line itself: help, flags, exit codes, and how it behaves in pipes and terminals. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../scripts/commands.ts';
import { formatHelp } from '../../lib/cli/help.ts';
import { wrapLines } from '../../lib/tell/wrap.ts';
import { assertRefused, COMMAND, proxwarden } from './stage.ts';

describe('the command line', { concurrency: 3 }, () => {
  for (const name of Object.keys(COMMANDS))
    test(`${name} --help: what it does, every flag described, an example, no word cut`, async () => {
      const ran = await proxwarden([name, '--help']);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      assert.ok(ran.stdout.startsWith(`proxwarden ${COMMANDS[name]?.usage}\n\n`), ran.stdout);
      assert.match(ran.stdout, /\nExamples:\n {2}\S/);
      const lines = ran.stdout.split('\n');
      for (const line of lines) assert.ok(line.length <= 110, line);
      const flags = lines.filter((line) => /^ {2}--/.test(line));
      assert.ok(flags.length > 0, ran.stdout);
      for (const flag of flags) assert.match(flag, /^ {2}--[a-z-]+ +[^\s[]/, `not described: ${flag}`);
    });

  test('without a command, with an unknown one, or an unknown flag: exit 2 and one line', async () => {
    assertRefused(await proxwarden([]), 2, /a command is needed \(see `proxwarden --help`\)/);
    assertRefused(await proxwarden(['chekc']), 2, /there is no command chekc \(see `proxwarden --help`\)/);
    assertRefused(await proxwarden(['--frobnicate']), 2, /--help/);
    assertRefused(
      await proxwarden(['status', '--frobnicate=3']),
      2,
      /there is no argument or flag: --frobnicate /,
    );
    assertRefused(await proxwarden(['--inventory', 'demo', 'check']), 2, /proxwarden: /);
  });

  test('--version and --help of the whole', async () => {
    assert.match((await proxwarden(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
    const help = await proxwarden(['--help']);
    assert.equal(help.code, 0);
    for (const name of Object.keys(COMMANDS))
      assert.match(help.stdout, new RegExp(`\\n {2}proxwarden ${name} `));
    for (const code of [0, 1, 2, 3, 4, 5, 75]) assert.match(help.stdout, new RegExp(`\\n {2}${code} +\\S`));
    assert.doesNotMatch(help.stdout, /\b(audit|drill|standby)\b/, 'what is not there is not shown');
  });

  test('of a flag that is given twice the last one counts', async () => {
    const [none, example] = ['/nowhere', resolve('inventory/example')];
    const ran = await proxwarden([
      'validate',
      '--json',
      '--inventory',
      none,
      '--json',
      '--inventory',
      example,
    ]);
    assert.equal(ran.code, 0, ran.stderr);
  });

  test('NO_COLOR and FORCE_COLOR change nothing in a pipe', async () => {
    for (const env of [{ NO_COLOR: '1' }, { FORCE_COLOR: '1' }])
      assert.equal((await proxwarden(['--help'], { env })).code, 0);
  });

  test('a reader that goes away (| head -1) is no error', async () => {
    const child = spawn(process.execPath, [COMMAND, 'validate', '--schema'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const closed = once(child, 'close');
    child.stdout.once('data', () => child.stdout.destroy());
    await closed;
    assert.deepEqual([child.exitCode, stderr], [0, '']);
  });

  test('on a terminal of 60 columns no line is longer, no word cut, and no colour with NO_COLOR', async (t) => {
    if (spawnSync('script', ['--version']).status !== 0)
      return t.skip('there is no `script` to make a terminal with');
    const inside = `stty cols 60; "${process.execPath}" "${COMMAND}" failover --help; "${process.execPath}" "${COMMAND}" nonsense`;
    const child = spawn('script', ['-qec', inside, '/dev/null'], {
      cwd: tmpdir(),
      env: { ...process.env, NO_COLOR: '1', TERM: 'xterm' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let seen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await once(child, 'close');
    const lines = seen.replaceAll('\r', '').split('\n');
    assert.ok(lines.includes('  --accept-data-loss  the age of that backup that is'), seen);
    assert.match(seen, /proxwarden: there is no command nonsense/);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(seen, /\u001b\[\d*m/);
    for (const line of lines)
      assert.ok(line.length <= 60 || !line.trim().includes(' '), `${line.length}: ${line}`);
  });
});

test('long lines are broken between words, and go on below their text', () => {
  const help =
    'Options:\n  --flag  words that are long enough to be wrapped somewhere in here [boolean] [default: false]';
  assert.deepEqual(formatHelp(help, 42).split('\n'), [
    'Options:',
    '  --flag  words that are long enough to be',
    '          wrapped somewhere in here',
  ]);
  assert.equal(wrapLines('  one two three four', 12), '  one two\n      three\n      four');
  assert.equal(wrapLines('unbreakable-but-long', 5), 'unbreakable-but-long');
});
