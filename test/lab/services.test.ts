import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import * as dnsPacket from 'dns-packet';
import { startNas, startServices, type LabServices } from '../../lib/lab/services.ts';
import type { RunningCopy, ServiceSpec } from '../../lib/lab/types.ts';
import { FakeLab } from './fake-lab.ts';
import { dial, freePort, occupy, tcp } from './sockets.ts';

/** A wait that never ends is a failure. */
const timeout = 20_000;

const host = '127.0.0.1';

function copy(vmid: number, node: string, ...services: (ServiceSpec & { up?: boolean })[]): RunningCopy {
  return {
    vmid,
    node,
    hostname: 'web',
    mac: 'BC:24:11:00:01:02',
    services: services.map((service) => ({ up: true, ...service })),
  };
}

async function start(t: TestContext, lab: FakeLab, problems: string[] = []): Promise<LabServices> {
  const services = await startServices({ lab, onProblem: (sentence) => problems.push(sentence) });
  t.after(() => services.close());
  return services;
}

function nextMessage(socket: Socket): Promise<Buffer> {
  return new Promise((resolve) => {
    socket.once('message', resolve);
  });
}

async function ask(port: number, query: Buffer): Promise<dnsPacket.DecodedPacket> {
  const socket = createSocket('udp4');
  try {
    const answered = nextMessage(socket);
    socket.send(query, port, host);
    return dnsPacket.decode(await answered);
  } finally {
    socket.close();
  }
}

/** The typings don't know it. */
function rcode(packet: dnsPacket.DecodedPacket): unknown {
  return 'rcode' in packet ? packet.rcode : undefined;
}

function question(type: 'A' | 'TXT', name: string): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id: 4711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name }],
  });
}

test('an http service says which copy answers, or its own body', { timeout }, async (t) => {
  const [plain, own] = [await freePort(), await freePort()];
  const lab = new FakeLab('pve1');
  lab.run(
    copy(
      102,
      'pve1',
      { kind: 'http', host, port: plain },
      { kind: 'http', host, port: own, body: 'Pi-hole' },
    ),
  );
  await start(t, lab);
  const response = await fetch(`http://${host}:${plain}/any/path`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'web 102\n');
  assert.equal(await (await fetch(`http://${host}:${own}/`)).text(), 'Pi-hole');
});

test('a tcp service accepts and greets', { timeout }, async (t) => {
  const port = await freePort();
  const lab = new FakeLab('pve1');
  lab.run(copy(102, 'pve1', { kind: 'tcp', host, port }));
  await start(t, lab);
  const socket = await dial(port);
  t.after(() => socket.destroy());
  const greeting = await new Promise<string>((resolve) => {
    socket.once('data', (data) => resolve(data.toString()));
  });
  assert.equal(greeting, 'web 102\n');
});

test(
  'a name server answers any A query with one address, and keeps silent to what is no query',
  { timeout },
  async (t) => {
    const port = await freePort();
    const lab = new FakeLab('pve1');
    lab.run(copy(101, 'pve1', { kind: 'dns', host, port }, { kind: 'tcp', host, port }));
    await start(t, lab);
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    // Neither garbage nor an answer may get an answer or end the lab: the query after them is answered first.
    socket.send(Buffer.from('garbage'), port, host);
    socket.send(dnsPacket.encode({ type: 'response', id: 1 }), port, host);
    const answered = nextMessage(socket);
    socket.send(question('A', 'example.org'), port, host);
    const answer = dnsPacket.decode(await answered);
    assert.equal(answer.id, 4711);
    assert.equal(rcode(answer), 'NOERROR');
    assert.deepEqual(
      answer.answers?.map((entry) => ('data' in entry ? [entry.type, entry.name, entry.data] : [])),
      [['A', 'example.org', '10.0.0.1']],
    );
    const other = await ask(port, question('TXT', 'example.org'));
    assert.deepEqual([rcode(other), other.answers], ['NOERROR', []]);
    assert.equal(await tcp(port), 'open', 'tcp and udp share a port number');
  },
);

test(
  'a service that goes down closes its port and its connections; it opens again when it is mended',
  { timeout },
  async (t) => {
    const port = await freePort();
    const lab = new FakeLab('pve1');
    lab.run(copy(102, 'pve1', { kind: 'tcp', host, port }));
    const services = await start(t, lab);
    const socket = await dial(port);
    const ended = once(socket, 'close');
    lab.run(copy(102, 'pve1', { kind: 'tcp', host, port, up: false }));
    await services.settled();
    await ended;
    assert.equal(await tcp(port), 'ECONNREFUSED');
    lab.run(copy(102, 'pve1', { kind: 'tcp', host, port }));
    await services.settled();
    assert.equal(await tcp(port), 'open');
  },
);

test('after a failover the new copy answers at the same address', { timeout }, async (t) => {
  const port = await freePort();
  const lab = new FakeLab('pve1', 'pve2');
  lab.run(copy(102, 'pve1', { kind: 'http', host, port }));
  const services = await start(t, lab);
  lab.run(); // the node dies …
  lab.run(copy(1_000_102, 'pve2', { kind: 'http', host, port })); // … and the copy is there before anything was closed
  await services.settled();
  assert.equal(await (await fetch(`http://${host}:${port}/`)).text(), 'web 1000102\n');
});

test(
  'of two copies with one address the first answers, and it is no problem of the sockets',
  { timeout },
  async (t) => {
    const port = await freePort();
    const lab = new FakeLab('pve1', 'pve2');
    const first = copy(102, 'pve1', { kind: 'http', host, port });
    lab.run(first);
    const problems: string[] = [];
    const services = await start(t, lab, problems);
    lab.run(first, copy(1_000_102, 'pve2', { kind: 'http', host, port }));
    await services.settled();
    assert.equal(await (await fetch(`http://${host}:${port}/`)).text(), 'web 102\n');
    assert.deepEqual(problems, []);
  },
);

test(
  'a port taken by somebody else is an error at the start that names the container',
  { timeout },
  async (t) => {
    const [free, taken] = [await freePort(), await occupy(t)];
    const lab = new FakeLab('pve1');
    lab.run(copy(102, 'pve1', { kind: 'tcp', host, port: free }, { kind: 'tcp', host, port: taken }));
    await assert.rejects(startServices({ lab }), {
      name: 'FailedError',
      message: `the tcp service of web (102 on pve1) cannot listen on ${host}:${taken}: another process uses that port`,
    });
    assert.equal(await tcp(free), 'ECONNREFUSED');
  },
);

test('a udp port taken by somebody else is an error, too', { timeout }, async (t) => {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  const lab = new FakeLab('pve1');
  lab.run(copy(102, 'pve1', { kind: 'dns', host, port }));
  await assert.rejects(startServices({ lab }), /the dns service of web \(102 on pve1\) cannot listen on/);
});

test(
  'a port taken while the lab runs is reported, and tried again with the next change',
  { timeout },
  async (t) => {
    const port = await freePort();
    const lab = new FakeLab('pve1');
    const problems: string[] = [];
    const services = await start(t, lab, problems);
    await occupy(t, port);
    lab.run(copy(102, 'pve1', { kind: 'tcp', host, port }));
    await services.settled();
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /another process uses that port/);
  },
);

test('after close nothing listens, even when a change comes with it', { timeout }, async (t) => {
  const port = await freePort();
  const lab = new FakeLab('pve1');
  lab.run(copy(102, 'pve1', { kind: 'tcp', host, port }));
  const services = await start(t, lab);
  lab.changed();
  await services.close();
  lab.changed();
  await services.settled();
  assert.equal(await tcp(port), 'ECONNREFUSED');
});

test('the NAS accepts connections until it is closed', { timeout }, async () => {
  const port = await freePort();
  const nas = await startNas(port);
  assert.equal(await tcp(port), 'open');
  await nas.close();
  assert.equal(await tcp(port), 'ECONNREFUSED');
});
