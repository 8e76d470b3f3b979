/** `notify` as a person types it, and a run that tells. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../observe/probe-helpers.ts';
import { openInside } from './in-process.ts';
import { assertRefused, told } from './stage.ts';

async function listener(t: TestContext) {
  const heard: string[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      heard.push(`${request.url} ${body}`);
      response.writeHead(status).end();
    });
  });
  const port = await listen(t, server);
  return { heard, url: `http://127.0.0.1:${port}`, answer: (code: number) => void (status = code) };
}

test('test, status, and a real outage, with a heartbeat', async (t) => {
  const { heard, url, answer } = await listener(t);
  const stage = await openInside(t, { speed: 20 });
  assertRefused(
    await stage.run('notify', 'test'),
    2,
    /the inventory names nobody to be told\n {2}→ add notify/,
  );
  writeFileSync(
    join(stage.dir, 'notify.yaml'),
    `notify:\n  to:\n    - { webhook: { url: "${url}/hook", body: "{{title}}" }, name: phone }\nheartbeat: { url: "${url}/beat" }\n`,
  );
  assertRefused(
    await stage.run('notify', 'test', 'fax'),
    2,
    /there is no target fax in notify\.to \(phone\)/,
  );
  const good = await stage.run('notify', 'test');
  assert.deepEqual(
    [good.code, good.stdout, heard.splice(0)],
    [0, 'phone was told\n', ['/hook Test: ProxWarden can reach you']],
  );
  assert.deepEqual((await stage.run('notify', 'status')).stdout, 'nothing waits to be told\n');

  const quiet = await stage.run('check-and-failover');
  assert.equal(quiet.code, 0, told(quiet));
  assert.deepEqual(heard.splice(0), ['/beat/start ', '/beat 4 of 4 containers healthy']);

  answer(503);
  // A count moves at most once in half an interval.
  await sleep(600);
  stage.lab.breakService('wiki');
  const down = await stage.run('check-and-failover');
  assert.match(down.stderr, /warning: phone \(webhook\) was not told: it answers 503\n/);
  assert.match(down.stderr, /warning: the heartbeat was not heard: it answers 503\n/);
  const waits = await stage.run('notify', 'status');
  assert.deepEqual(
    [
      waits.code,
      /phone +\S+ .*ago +1 +wiki is down +phone \(webhook\) was not told: it answers 503/.test(waits.stdout),
    ],
    [1, true],
    told(waits),
  );
  answer(200);
  heard.splice(0);
  const bad = await stage.run('notify', 'test', '--json');
  assert.deepEqual(JSON.parse(bad.stdout), [{ target: 'phone', failure: null }]);
  const dry = await stage.run('check-and-failover', '--dry-run');
  assert.equal(dry.code, 3, told(dry));
  assert.deepEqual(heard, ['/hook Test: ProxWarden can reach you'], 'a dry run tells nobody');
});
