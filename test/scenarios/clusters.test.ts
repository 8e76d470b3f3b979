/**
 * One inventory with two clusters and a stand-alone node, each with its own way to log in: what happens to one of them
 * is nothing to the others, and what holds over all of them does.
 */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { main } from '../../lib/cli/main.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabRequest, LabResponse, WorldSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { countingHex } from '../lab/world.ts';
import { password, tokenSecret } from '../secrets.ts';
import { probeLab } from './harness/prober.ts';
import { worldOf, WorldFile } from './harness/world.ts';

/** A lab that notes how whoever called it was authorised. */
class HeardLab extends Lab {
  readonly authorised = new Set<string>();
  readonly logins: string[] = [];
  override handle(node: string, request: LabRequest): Promise<LabResponse> {
    const { authorization, cookie } = request.headers;
    if (request.path.endsWith('/access/ticket')) this.logins.push(request.body);
    else this.authorised.add(authorization ?? decodeURIComponent(cookie ?? 'nothing').slice(0, 30));
    return super.handle(node, request);
  }
}

const HOME = `ha@pve!home=${tokenSecret(1)}`;
const ATTIC = `ha@pve!attic=${tokenSecret(3)}`;
const OFFICE = password('office');
const PLACES = ['home', 'office', 'attic'] as const;
type Place = (typeof PLACES)[number];
const NET: Readonly<Record<Place, string>> = { home: '10.1.0', office: '10.2.0', attic: '10.3.0' };

function neverAborted(): AbortSignal {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return signal;
}

/** Three nodes with a container on each of the first two; attic is one node with one container. */
function worldAt(place: Place): WorldSpec {
  const net = NET[place];
  const container = (vmid: number, node: string) => ({
    vmid,
    name: `${place}-${vmid}`,
    node,
    serves: [`tcp ${net}.${vmid}:80`],
  });
  const alone = place === 'attic';
  const world = worldOf(
    WorldFile.parse({
      cluster: alone ? null : place,
      ...(alone ? { nodes: ['pve1'] } : {}),
      containers: [container(101, 'pve1'), ...(alone ? [] : [container(102, 'pve2')])],
      backups: [101, 102].flatMap((vmid) => (alone ? [] : [{ vmid, age: '1h' }])),
    }),
  );
  const [granted] = world.tokens;
  assert.ok(granted !== undefined);
  const { privileges } = granted;
  const token = (text: string): WorldSpec['tokens'][number] => {
    const [id = '', secret = ''] = text.split('=');
    return { id, secret, privileges };
  };
  return {
    ...world,
    nodes: world.nodes.map((node, index) => ({ ...node, ip: `${net}.${11 + index}` })),
    tokens: place === 'office' ? [] : [token(place === 'home' ? HOME : ATTIC)],
    users: [{ id: 'ha@pve', password: OFFICE, privileges }],
  };
}

function inventoryOf(place: Place, more: string): string {
  const net = NET[place];
  const alone = place === 'attic';
  const nodes = alone ? [1] : [1, 2, 3];
  const endpoints = nodes.map((node) => `https://${net}.${10 + node}:8006`).join(', ');
  const login =
    place === 'office' ? 'user: ha@pve, password: env:OFFICE' : `token: env:${place.toUpperCase()}`;
  const entry = (vmid: number): string =>
    `  ${place}-${vmid}: { vmid: ${vmid}, ${alone ? 'mode: observe, ' : 'nodes: [pve3, pve2, pve1], '}checks: [tcp: '${net}.${vmid}:80'] }\n`;
  return `cluster: ${place}
api: { endpoints: [${endpoints}], ${login} }
canaries: [tcp:${net}.1:53]
defaults:
  failureThreshold: 1
  backup: { storage: nas }
  failover: { auto: true, restoreStorage: local, proof: offline-accepted }
containers:
${entry(101)}${alone ? '' : entry(102)}${more}`;
}

interface Ran {
  readonly code: number | null;
  readonly said: string;
  /** Virtual milliseconds. */
  readonly ms: number;
}

class Fleet {
  readonly clock = new VirtualClock();
  readonly labs: Readonly<Record<Place, HeardLab>>;
  env: Record<string, string> = { HOME, ATTIC, OFFICE };
  /** Canaries that answer. */
  readonly outside = new Set(PLACES.map((place) => `${NET[place]}.1:53`));
  readonly nodes = new Map(
    PLACES.flatMap((place) => [1, 2, 3].map((n) => [`${NET[place]}.${10 + n}`, `pve${n}`] as const)),
  );
  // Memory where there is some, since every journal write is synced.
  readonly #folder = mkdtempSync(
    join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'proxwarden-clusters-'),
  );

  constructor(t: TestContext, more = '') {
    const lab = (place: Place): HeardLab =>
      new HeardLab({ clock: this.clock, world: worldAt(place), randomHex: countingHex() });
    this.labs = { home: lab('home'), office: lab('office'), attic: lab('attic') };
    mkdirSync(join(this.#folder, 'inventory'));
    for (const place of PLACES)
      writeFileSync(
        join(this.#folder, 'inventory', `${place}.yaml`),
        inventoryOf(place, place === 'home' ? more : ''),
      );
    t.after(() => {
      for (const place of PLACES) this.labs[place].close();
      rmSync(this.#folder, { recursive: true });
    });
  }

  placeOf(host: string): Place {
    const place = PLACES.find((one) => host.startsWith(`${NET[one]}.`));
    assert.ok(place !== undefined, `nothing is at ${host}`);
    return place;
  }

  async run(...words: string[]): Promise<Ran> {
    const said: string[] = [];
    const begun = this.clock.now();
    const { clock } = this;
    const network = { runnerCut: false, outside: this.outside, forced: new Map(), nodes: this.nodes };
    const code = await clock.run(
      main(
        [...words, '--inventory', join(this.#folder, 'inventory'), '--state', join(this.#folder, 'state')],
        COMMANDS,
        {
          runtime: {
            clock,
            env: this.env,
            randomHex: countingHex(),
            dispatcher: (endpoint) => {
              const lab = this.labs[this.placeOf(new URL(endpoint).hostname)];
              return Promise.resolve(
                labDispatcher(lab, clock, (origin) => `pve${new URL(origin).hostname.slice(-1)}`),
              );
            },
            mail: () => Promise.reject(new Error('no mail is sent here')),
            detach: () => Promise.reject(new Error('no process is started here')),
            httpDispatcher: () => Promise.reject(new Error('there are no plugs')),
            shell: () => Promise.resolve({ kind: 'not-sent', why: 'there is no shell' }),
            probe: (spec, signal) => {
              assert.ok(spec.kind === 'tcp' || spec.kind === 'ping');
              return probeLab(spec, { labs: [this.labs[this.placeOf(spec.host)]], network, clock, signal });
            },
            exec: () => Promise.reject(new Error('there are no hooks')),
          },
          io: { out: (text) => said.push(text), err: (text) => said.push(text), tty: false, columns: 200 },
          signal: neverAborted(),
          cwd: this.#folder,
        },
      ),
    );
    return { code, said: said.join('\n'), ms: clock.now() - begun };
  }

  /** A minute in which a run has seen what is silent: before that the cluster's word alone is no proof. */
  async silentMinute(): Promise<Ran> {
    await this.minute();
    const ran = await this.run('check-and-failover');
    await this.minute();
    return ran;
  }

  /** A minute later, with what has been set off by then. */
  minute(): Promise<void> {
    return this.clock.advance(60_000);
  }

  /** Everybody who called was authorised as the inventory says for that place, and in no other way. */
  assertNothingCrossed(): void {
    const { home, office, attic } = this.labs;
    assert.deepEqual([...home.authorised], [`PVEAPIToken=${HOME}`]);
    assert.deepEqual([...attic.authorised], [`PVEAPIToken=${ATTIC}`]);
    for (const how of office.authorised) assert.match(how, /^PVEAuthCookie=PVE:ha@pve:/);
    assert.deepEqual([home.logins, attic.logins], [[], []]);
    for (const place of PLACES) assert.deepEqual(this.labs[place].violations, []);
  }
}

function lines({ said }: Ran, pattern: RegExp): number {
  return said.split('\n').filter((line) => pattern.test(line)).length;
}

test('all well: one run looks at all of them, each with its own credentials', async (t) => {
  const fleet = new Fleet(t);
  const ran = await fleet.run('check-and-failover');
  assert.equal(ran.code, 0, ran.said);
  assert.match(ran.said, /5 of 5 containers healthy/);
  assert.equal(fleet.labs.office.logins.length, 1);
  fleet.assertNothingCrossed();
});

test('one cluster out of reach and one with a wrong token: the third is failed over all the same', async (t) => {
  const fleet = new Fleet(t);
  assert.equal((await fleet.run('check-and-failover')).code, 0);
  fleet.env = { ...fleet.env, ATTIC: `ha@pve!attic=${tokenSecret(9)}` };
  // A whole site is gone; most of all the containers and canaries are silent.
  for (const node of ['pve1', 'pve2', 'pve3']) fleet.labs.office.cut(node);
  fleet.outside.delete('10.2.0.1:53');
  fleet.outside.delete('10.3.0.1:53');
  fleet.labs.home.kill('pve1');
  fleet.labs.attic.breakService('attic-101');
  const first = await fleet.silentMinute();
  const ran = await fleet.run('check-and-failover');
  assert.match(ran.said, /home-101: op-\S+ done: home-101 runs on pve3/, ran.said);
  assert.ok(
    fleet.labs.home.running().some((copy) => copy.hostname === 'home-101' && copy.node === 'pve3'),
    ran.said,
  );
  assert.equal(ran.code, 5, ran.said);
  assert.equal(lines(ran, /cluster attic: .*the API of cluster attic refuses the token/), 1, ran.said);
  assert.equal(
    lines(ran, /^warning: cluster office: .*(gave no ticket|gave no complete answer|cannot reach)/),
    3,
    ran.said,
  );
  assert.match(first.said, /office-101: .*no quorate view of cluster office can be had/);
  assert.match(first.said, /attic-101: .*no quorate view of cluster attic can be had/);
  for (const place of PLACES) assert.deepEqual(fleet.labs[place].violations, []);
  const [wrong] = fleet.labs.attic.authorised;
  assert.equal(wrong, `PVEAPIToken=${ATTIC}`);
});

test('a wrong password: one sentence about that cluster, tried once per endpoint at most, the others untouched', async (t) => {
  const fleet = new Fleet(t);
  fleet.env = { ...fleet.env, OFFICE: password('guessed') };
  const ran = await fleet.run('check-and-failover');
  assert.equal(ran.code, 5, ran.said);
  assert.equal(
    lines(ran, /cluster office: .*the API of cluster office refuses the password of ha@pve/),
    1,
    ran.said,
  );
  assert.match(ran.said, /5 of 5 containers healthy/);
  assert.ok(fleet.labs.office.logins.length <= 3);
  assert.ok(!ran.said.includes(fleet.env['OFFICE'] ?? ''));
  assert.equal(fleet.labs.office.authorised.size, 0);
});

test('credentials that cannot be read hold up no other cluster; when there is no other, nothing is done', async (t) => {
  const fleet = new Fleet(t);
  fleet.env = { HOME, ATTIC: 'no token at all' };
  const ran = await fleet.run('check-and-failover');
  assert.equal(ran.code, 5, ran.said);
  assert.equal(lines(ran, /cluster office: .*the environment variable OFFICE, .*is not set/), 1, ran.said);
  assert.equal(lines(ran, /cluster attic: .*the API token of cluster attic is not of the form/), 1, ran.said);
  assert.match(ran.said, /5 of 5 containers healthy/);
  assert.deepEqual([fleet.labs.office.authorised.size, fleet.labs.attic.authorised.size], [0, 0]);
  fleet.env = {};
  assert.equal((await fleet.run('check-and-failover')).code, 2);
});

test('limits count over all clusters', async (t) => {
  const fleet = new Fleet(t, 'limits: { failoversPerRun: 1 }\n');
  assert.equal((await fleet.run('check-and-failover')).code, 0);
  fleet.labs.home.kill('pve1');
  fleet.labs.office.kill('pve1');
  await fleet.silentMinute();
  const moved = (): string[] =>
    PLACES.flatMap((place) => fleet.labs[place].running())
      .filter((copy) => copy.vmid > 1_000_000)
      .map((copy) => copy.hostname);
  const first = await fleet.run('check-and-failover');
  assert.deepEqual(moved(), ['home-101'], first.said);
  assert.match(first.said, /office-101: blocked: limits: 1 failovers in this run, the limit is 1/);
  await fleet.minute();
  const second = await fleet.run('check-and-failover');
  assert.deepEqual(moved(), ['home-101', 'office-101'], second.said);
  fleet.assertNothingCrossed();
});
