import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { Agent } from 'node:https';
import { createServer } from 'node:net';
import { test, type TestContext } from 'node:test';
import { labCertificate, type LabCertificate } from '../../lib/lab/certificate.ts';
import { startLabServer, type LabServer } from '../../lib/lab/server.ts';
import type { LabResponse } from '../../lib/lab/types.ts';
import { FakeLab } from './fake-lab.ts';
import { callHttps, dial, freePort, occupy, tcp, temporaryFolder } from './sockets.ts';

/** A wait that never ends is a failure. */
const timeout = 20_000;

interface Started {
  readonly lab: FakeLab;
  readonly server: LabServer;
  readonly tls: LabCertificate;
  readonly problems: string[];
  readonly port: number;
}

async function start(t: TestContext, prepare?: (lab: FakeLab) => void): Promise<Started> {
  const lab = new FakeLab('pve1', 'pve2');
  prepare?.(lab);
  const tls = await labCertificate(await temporaryFolder(t), Date.now());
  const problems: string[] = [];
  const nodes = [
    { name: 'pve1', port: await freePort() },
    { name: 'pve2', port: 0 },
  ];
  const server = await startLabServer({ lab, nodes, tls, onProblem: (sentence) => problems.push(sentence) });
  t.after(() => server.close());
  return { lab, server, tls, problems, port: server.ports['pve1'] ?? 0 };
}

const error595: LabResponse = { status: 595, statusText: 'No route to host', headers: {}, body: '' };

test(
  'a request reaches the lab as it was sent, and the answer comes back with reason phrase and headers',
  { timeout },
  async (t) => {
    const { lab, tls, port } = await start(t);
    lab.reply = async () => ({
      status: 200,
      statusText: 'OK',
      headers: { 'content-type': 'application/json;charset=UTF-8', server: 'pve-api-daemon/3.0' },
      body: '{"data":"é"}',
    });
    const answer = await callHttps(port, '/api2/json/nodes/pve1/lxc?full=1', {
      ca: tls.cert,
      method: 'POST',
      headers: { authorization: 'PVEAPIToken=x', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'vmid=101',
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '{"data":"é"}');
    assert.equal(answer.headers['content-type'], 'application/json;charset=UTF-8');
    assert.equal(answer.headers['server'], 'pve-api-daemon/3.0');
    const [request] = lab.requests;
    assert.equal(request?.method, 'POST');
    assert.equal(request?.path, '/api2/json/nodes/pve1/lxc?full=1');
    assert.equal(request?.headers['authorization'], 'PVEAPIToken=x');
    assert.equal(request?.body, 'vmid=101');
  },
);

test(
  'an error is told in the reason phrase, whatever characters it has, and closes the connection',
  { timeout },
  async (t) => {
    const { lab, tls, port } = await start(t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const fine = await callHttps(port, '/', { ca: tls.cert, agent });
    assert.equal(fine.headers['connection'], 'keep-alive');
    lab.reply = async () => ({ ...error595, status: 500, statusText: "CT 101 — no\nsuch 'thing'" });
    const failed = await callHttps(port, '/', { ca: tls.cert, agent });
    assert.equal(failed.status, 500);
    assert.equal(failed.reason, "CT 101   no such 'thing'");
    assert.equal(failed.headers['connection'], 'close');
    lab.reply = async () => error595;
    const unreachable = await callHttps(port, '/', { ca: tls.cert, agent });
    assert.deepEqual(
      [unreachable.status, unreachable.reason, unreachable.body],
      [595, 'No route to host', ''],
    );
  },
);

test('a body over the limit is refused without asking the lab', { timeout }, async (t) => {
  const { lab, tls, port } = await start(t);
  const answer = await callHttps(port, '/', {
    ca: tls.cert,
    method: 'POST',
    body: 'x'.repeat(64 * 1024 + 1),
  });
  assert.deepEqual([answer.status, answer.reason], [501, 'for data too large']);
  assert.equal(lab.requests.length, 0);
  const fits = await callHttps(port, '/', { ca: tls.cert, method: 'POST', body: 'x'.repeat(64 * 1024) });
  assert.equal(fits.status, 200);
});

test(
  "the certificate is checked against the lab's CA, and a client that doesn't know it is turned away",
  { timeout },
  async (t) => {
    const { lab, port, tls } = await start(t);
    const other = await labCertificate(await temporaryFolder(t), Date.now());
    await assert.rejects(
      callHttps(port, '/', { ca: other.cert }),
      /self-signed certificate|unable to verify/,
    );
    assert.equal(lab.requests.length, 0);
    assert.equal((await callHttps(port, '/', { ca: tls.cert })).status, 200);
  },
);

test('plain HTTP on the port is redirected', { timeout }, async (t) => {
  const { port } = await start(t);
  const response = await fetch(`http://127.0.0.1:${port}/api2/json/version`, { redirect: 'manual' });
  assert.equal(response.status, 301);
  assert.equal(response.headers.get('location'), `https://127.0.0.1:${port}/api2/json/version`);
  assert.equal(await response.text(), 'Moved Permanently');
});

test(
  "a dead node's port is really closed, its connections end, and it answers on the same port when it is back",
  { timeout },
  async (t) => {
    const { lab, server, tls, port } = await start(t);
    const idle = await dial(port);
    const ended = once(idle, 'close');
    lab.kill('pve1');
    await ended;
    await server.settled();
    assert.equal(await tcp(port), 'ECONNREFUSED');
    assert.equal(await tcp(server.ports['pve2'] ?? 0), 'open');
    lab.set('pve1', { power: 'on', api: false });
    await server.settled();
    assert.equal(await tcp(port), 'ECONNREFUSED', 'it boots, its API is not up yet');
    lab.set('pve1', { api: true });
    await server.settled();
    assert.equal((await callHttps(port, '/', { ca: tls.cert })).status, 200);
  },
);

test('a node that dies in the middle of a request resets it', { timeout }, async (t) => {
  const { lab, tls, port } = await start(t);
  lab.reply = () => {
    queueMicrotask(() => lab.kill('pve1'));
    return new Promise(() => undefined);
  };
  await assert.rejects(callHttps(port, '/', { ca: tls.cert }), /ECONNRESET|socket hang up/);
});

test(
  'a cut node accepts connections and never answers; mending the network tears them down',
  { timeout },
  async (t) => {
    const { lab, server, tls, port } = await start(t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    await callHttps(port, '/', { ca: tls.cert, agent });
    lab.cut('pve1');
    await server.settled();
    const raw = await dial(port);
    const rawEnded = once(raw, 'close');
    let bytes = 0;
    raw.on('data', (chunk: Buffer) => (bytes += chunk.length));
    raw.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'); // plain HTTP: as a rule it is redirected
    const outcomes: string[] = [];
    const watched = [
      callHttps(port, '/', { ca: tls.cert, agent }), // on the connection from before the cut
      callHttps(port, '/', { ca: tls.cert }), // on a new one
    ].map((call) => call.then(String, String).then((outcome) => outcomes.push(outcome)));
    // Both have reached the server when a request to the other node, sent after them, is answered.
    await callHttps(server.ports['pve2'] ?? 0, '/', { ca: tls.cert });
    assert.equal(await tcp(port), 'open');
    assert.deepEqual(outcomes, []);
    lab.mendNetwork('pve1');
    await Promise.all(watched);
    await rawEnded;
    assert.equal(bytes, 0);
    for (const outcome of outcomes) assert.match(outcome, /ECONNRESET|socket hang up|disconnected/);
    assert.equal((await callHttps(port, '/', { ca: tls.cert })).status, 200);
  },
);

test('an answer that was under way when the node was cut is lost', { timeout }, async (t) => {
  const { lab, server, tls, port } = await start(t);
  const work = new EventEmitter();
  const asked = once(work, 'asked');
  const worked = once(work, 'done');
  lab.reply = async () => {
    work.emit('asked');
    await worked;
    return { status: 200, statusText: 'OK', headers: {}, body: '' };
  };
  const call = callHttps(port, '/', { ca: tls.cert });
  let outcome = 'nothing yet';
  const ended = call.then(
    () => (outcome = 'answered'),
    () => (outcome = 'lost'),
  );
  await asked;
  lab.cut('pve1');
  await server.settled();
  work.emit('done');
  await worked;
  // Time enough for the answer to arrive, were it sent.
  lab.reply = async () => ({ status: 200, statusText: 'OK', headers: {}, body: '' });
  await callHttps(server.ports['pve2'] ?? 0, '/', { ca: tls.cert });
  assert.equal(outcome, 'nothing yet');
  lab.mendNetwork('pve1');
  await ended;
  assert.equal(outcome, 'lost');
});

test('a node that is dead when the lab starts gets its port when it comes up', { timeout }, async (t) => {
  const { lab, server, port } = await start(t, (prepared) => prepared.kill('pve1'));
  assert.equal(await tcp(port), 'ECONNREFUSED');
  lab.revive('pve1');
  await server.settled();
  assert.equal(await tcp(port), 'open');
});

test(
  'a taken port is told in one sentence, and what was opened before it is closed again',
  { timeout },
  async (t) => {
    const taken = await occupy(t);
    const first = await freePort();
    const nodes = [
      { name: 'pve1', port: first },
      { name: 'pve2', port: taken },
    ];
    const tls = await labCertificate(await temporaryFolder(t), Date.now());
    await assert.rejects(startLabServer({ lab: new FakeLab('pve1', 'pve2'), nodes, tls }), {
      name: 'FailedError',
      message: `the API of pve2 cannot listen on 127.0.0.1:${taken}: another process uses that port`,
    });
    assert.equal(await tcp(first), 'ECONNREFUSED');
  },
);

test(
  "a port that is taken while its node is dead is reported, and the node's return tried again",
  { timeout },
  async (t) => {
    const { lab, server, port, problems } = await start(t);
    lab.kill('pve1');
    await server.settled();
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    lab.revive('pve1');
    await server.settled();
    assert.deepEqual(problems, [
      `the API of pve1 cannot listen on 127.0.0.1:${port}: another process uses that port`,
    ]);
    squatter.close();
    await once(squatter, 'close');
    lab.changed();
    await server.settled();
    assert.equal(await tcp(port), 'open');
  },
);

test("a fault of the lab's own is a 500 with its text, and reported", { timeout }, async (t) => {
  const { lab, tls, port, problems } = await start(t);
  lab.reply = () => Promise.reject(new TypeError('x is undefined'));
  const answer = await callHttps(port, '/a', { ca: tls.cert });
  assert.deepEqual([answer.status, answer.reason], [500, 'x is undefined']);
  assert.deepEqual(problems, ['the lab failed at GET /a on pve1: x is undefined']);
});

test('after close nothing listens, even when the lab changes once more', { timeout }, async (t) => {
  const { lab, server, port } = await start(t);
  const waiting = await dial(port);
  const ended = once(waiting, 'close');
  await server.close();
  await ended;
  lab.changed();
  await server.settled();
  assert.equal(await tcp(port), 'ECONNREFUSED');
});
