/** The steps of a scenario: short sentences, one per line of steps.yaml, and what each of them does. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseDuration } from '../../../lib/units.ts';
import { garbler } from '../../fuzz/garbler.ts';
import { expectation } from './expect.ts';
import { crashOf, startOf, stopOf, wordOf } from './people.ts';
import type { Answer } from './prober.ts';
import type { Stage } from './stage.ts';

type Act = (stage: Stage, ...groups: string[]) => void | Promise<void>;
interface Sentence {
  readonly pattern: RegExp;
  readonly act: Act;
  /** Shown in the log; the lab's own events and commands show themselves. */
  readonly shown?: boolean;
}

const sentences: readonly Sentence[] = [
  // Commands.
  { pattern: /^cron(?: (\d+))?(?: (--.*))?$/, act: cron },
  { pattern: /^cron on ([\w ]+?)(?:, (\d+) times)?$/, act: cronOn },
  { pattern: /^run (.+) &$/, act: (s, words) => s.background(split(s, words)) },
  { pattern: /^run (.+)$/, act: (s, words) => s.command(split(s, words)) },
  { pattern: /^join$/, act: (s) => s.join() },
  { pattern: /^wait (\w+)$/, act: (s, time) => s.clock.advance(parseDuration(time)) },
  { pattern: /^systemd ends what is left$/, act: (s) => s.endDetached(), shown: true },
  { pattern: /^as (\w+)$/, act: (s, who) => void (s.who = who) },
  // The world.
  { pattern: /^kill (\S+)$/, act: (s, node) => s.labs.of(node).kill(node) },
  { pattern: /^revive (\S+)$/, act: (s, node) => s.labs.of(node).revive(node) },
  { pattern: /^shutdown (\S+)$/, act: (s, node) => s.labs.of(node).shutdown(node) },
  { pattern: /^reboot (\S+)$/, act: (s, node) => s.labs.of(node).reboot(node) },
  { pattern: /^cut (\S+)$/, act: (s, node) => s.labs.of(node).cut(node) },
  { pattern: /^mend (\S+)$/, act: (s, node) => s.labs.of(node).mendNetwork(node) },
  { pattern: /^hang (\S+)$/, act: (s, node) => s.labs.of(node).hang(node) },
  { pattern: /^unhang (\S+)$/, act: (s, node) => s.labs.of(node).unhang(node) },
  { pattern: /^maintain (\S+)$/, act: (s, node) => s.labs.of(node).maintain(node, 'enable') },
  { pattern: /^unmaintain (\S+)$/, act: (s, node) => s.labs.of(node).maintain(node, 'disable') },
  { pattern: /^break (\S+)$/, act: (s, name) => s.labs.serving(name).breakService(name) },
  { pattern: /^fix (\S+)$/, act: (s, name) => s.labs.serving(name).mendService(name) },
  { pattern: /^fill (\S+)$/, act: (s, storage) => s.lab.fill(storage), shown: true },
  { pattern: /^drain (\S+)$/, act: (s, storage) => s.lab.drain(storage), shown: true },
  { pattern: /^(unmount|mount) ([\w-]+)(?: (?:from|on) (\S+))?$/, act: reach },
  { pattern: /^verify BACKUP\((\d+),(\d+)\) (ok|failed)$/, act: verify },
  { pattern: /^start (\d+(?:@\S+)?) by hand$/, act: (s, which) => byHand(s, which, 'startByHand') },
  { pattern: /^stop (\d+(?:@\S+)?) by hand$/, act: (s, which) => byHand(s, which, 'stopByHand') },
  { pattern: /^destroy (\d+) by hand$/, act: destroy },
  { pattern: /^crash (\d+(?:@\S+)?)$/, act: crash },
  { pattern: /^crash of (\S+)$/, act: crashOf },
  { pattern: /^stop of (\S+) by hand$/, act: (s, name) => s.run(stopOf(s, name)) },
  { pattern: /^start of (\S+) by hand$/, act: (s, name) => s.run(startOf(s, name)) },
  { pattern: /^word that (\S+) is off$/, act: wordOf },
  { pattern: /^back up (\d+) on (\S+)$/, act: backUp },
  {
    pattern: /^plug (\S+) (on|off)$/,
    act: (s, node, how) => s.labs.of(node).setPlug(node, how === 'on' ? 'on' : 'off'),
  },
  { pattern: /^plugs (silent|stuck|well)$/, act: plugs, shown: true },
  { pattern: /^job (\S+) covers ([\d,]+)$/, act: job, shown: true },
  { pattern: /^plug (\S+) (stuck|well)$/, act: plug, shown: true },
  { pattern: /^api (.+)$/, act: async (s, call) => void (await admin(s, call)), shown: true },
  // The runner.
  {
    pattern: /^runner (cut|mended)$/,
    act: (s, how) => void (s.network.runnerCut = how === 'cut'),
    shown: true,
  },
  // Runners on nodes.
  { pattern: /^the next (mkdir|open|write|rename) of (\S+) takes (\w+)$/, act: slowWrite, shown: true },
  {
    pattern: /^runners on (\S+) sleep (\w+)$/,
    act: (s, node, time) => s.suspend(node ?? '', parseDuration(time ?? '')),
    shown: true,
  },
  { pattern: /^corosync of (\S+) (cut|mended)$/, act: corosync, shown: true },
  { pattern: /^canary (\S+) (down|up)$/, act: canary, shown: true },
  { pattern: /^at (\S+:\d+) (ok|refused|nothing|lab)$/, act: forced, shown: true },
  { pattern: /^clock ([+-])(\w+)$/, act: skew, shown: true },
  { pattern: /^inventory (\S+\.yaml)$/, act: inventory, shown: true },
  {
    pattern: /^hook (\S+) exits (\d+)$/,
    act: (s, hook, code) => void s.hookCodes.set(hook, Number(code)),
    shown: true,
  },
  { pattern: /^wipe state$/, act: (s) => s.wipe(), shown: true },
  { pattern: /^disk (well|full)(?: for (\S+))?$/, act: disk, shown: true },
  { pattern: /^lose (\S+)$/, act: (s, file) => rmSync(join(s.stateOf(s.who), file)), shown: true },
  { pattern: /^back up the state$/, act: (s) => s.keepState(), shown: true },
  { pattern: /^put the old state back$/, act: (s) => s.putStateBack(), shown: true },
  { pattern: /^doom (\d+) (writes|calls)$/, act: doom, shown: true },
  // What happens in the middle of things.
  { pattern: /^in (\w+): (.+)$/, act: later },
  { pattern: /^(before|after) \/(.+)\/: (.+)$/, act: trap },
  { pattern: /^(?:(\d+) times|always) \/(.+)\/ answers (.+)$/, act: fault, shown: true },
  { pattern: /^(\d+) times \/(.+)\/ waits (\w+)$/, act: slow, shown: true },
  { pattern: /^(\d+)% of answers garbled, seed (\d+)$/, act: garbled, shown: true },
  { pattern: /^no faults$/, act: noFaults, shown: true },
  { pattern: /^two copies may run$/, act: (s) => void (s.rules.twoExpected = true), shown: true },
  { pattern: /^expect (.+)$/, act: (s, what) => expectation(s, what) },
];

/** Carries one sentence out. Throws for a sentence that nobody understands, and for an expectation that is not met. */
export async function carryOut(stage: Stage, text: string): Promise<void> {
  for (const { pattern, act, shown = false } of sentences) {
    const match = pattern.exec(text);
    if (match === null) continue;
    if (shown) stage.note('then', text);
    await act(stage, ...match.slice(1).map((group) => group ?? ''));
    return;
  }
  throw new Error(`no such step: ${text}`);
}

async function cron(stage: Stage, times = '', flags = ''): Promise<void> {
  for (let n = 0; n < Number(times === '' ? '1' : times); n += 1) {
    await stage.cron(flags === '' ? [] : flags.split(' '));
    stage.check();
  }
}

async function cronOn(stage: Stage, nodes = '', times = ''): Promise<void> {
  for (let n = 0; n < Number(times === '' ? '1' : times); n += 1) {
    await stage.cronOn(nodes.split(' '));
    stage.check();
  }
}

/** `PLAN` is the plan that was printed last, `OP` the newest operation, `BACKUP(vmid, n)` the n-th newest backup of a vmid. */
function split(stage: Stage, words: string): string[] {
  return words
    .replaceAll('PLAN', () => stage.log.lastPlan() ?? 'none')
    .replaceAll('OP', () => stage.lastOperation() ?? 'none')
    .replaceAll(/BACKUP\((\d+),(\d+)\)/g, (_, vmid: string, n: string) =>
      stage.backup(Number(vmid), Number(n)),
    )
    .split(' ');
}

async function backUp(stage: Stage, vmid = '', storage = ''): Promise<void> {
  const node = stage.lab.status().containers.find((c) => c.vmid === Number(vmid))?.node ?? '';
  await admin(
    stage,
    `POST /nodes/${node}/vzdump vmid=${vmid} storage=${storage} mode=snapshot compress=zstd`,
  );
  await stage.clock.advance(20_000);
}

/** `pct unlock`, `pct destroy`. */
async function destroy(stage: Stage, vmid = ''): Promise<void> {
  const node = stage.lab.status().containers.find((c) => c.vmid === Number(vmid))?.node ?? '';
  await stage.run(stage.lab.unlockByHand(Number(vmid)));
  await admin(stage, `DELETE /nodes/${node}/lxc/${vmid}`);
  await stage.clock.advance(5_000);
}

function reach({ lab }: Stage, how = '', storage = '', node = ''): void {
  if (how === 'mount') lab.mount(storage, node === '' ? undefined : node);
  else lab.unmount(storage, node === '' ? undefined : node);
}

function verify(stage: Stage, vmid = '', n = '', result = ''): void {
  stage.lab.verify(stage.backup(Number(vmid), Number(n)), result === 'ok' ? 'ok' : 'failed');
}

/** A person with all rights at some node's API, or Proxmox's own jobs. */
async function admin(stage: Stage, call = ''): Promise<string> {
  const [method = 'GET', path = '', ...fields] = call.split(' ');
  const node = /^\/nodes\/([^/]+)/.exec(path)?.[1];
  const lab = node === undefined ? stage.lab : stage.labs.of(node);
  return stage.run(lab.admin(method, path, fields));
}

function job({ jobs }: Stage, id = '', vmids = ''): void {
  const one = jobs.find((j) => j.id === id);
  if (one === undefined) throw new Error(`no job ${id} in world.yaml`);
  one.vmids = vmids.split(',').map(Number);
}

function byHand(stage: Stage, which = '', what: 'startByHand' | 'stopByHand'): Promise<void> {
  const { lab, vmid } = stage.labs.withGuest(which);
  return stage.run(lab[what](vmid));
}

function crash({ labs }: Stage, which = ''): void {
  const { lab, vmid } = labs.withGuest(which);
  lab.crash(vmid);
}

function plugs({ labs }: Stage, how = ''): void {
  for (const lab of labs.all) {
    lab.plugsDead = how === 'silent';
    lab.plugsStuck = how === 'stuck';
  }
}

function plug({ lab }: Stage, name = '', how = ''): void {
  if (how === 'stuck') lab.stuck.add(name);
  else lab.stuck.delete(name);
}

function canary({ network }: Stage, address = '', how = ''): void {
  if (how === 'up') network.outside.add(address);
  else network.outside.delete(address);
}

const ANSWERS: Readonly<Record<string, Answer>> = { ok: 'ok', refused: 'refused', nothing: 'nothing' };

function slowWrite({ clusterFs }: Stage, syscall = '', node = '', time = ''): void {
  clusterFs?.slowDown(node, syscall, parseDuration(time));
}

function corosync({ clusterFs, clock }: Stage, node = '', how = ''): void {
  clusterFs?.part(node, how === 'cut' ? clock.now() : null);
}

function forced({ network }: Stage, address = '', how = ''): void {
  const answer = ANSWERS[how];
  if (answer === undefined) network.forced.delete(address);
  else network.forced.set(address, answer);
}

function skew(stage: Stage, sign = '', by = ''): void {
  stage.skewMs += parseDuration(by) * (sign === '-' ? -1 : 1);
}

function inventory(stage: Stage, file: string): void {
  stage.inventory(readFileSync(join(stage.scenario, file), 'utf8'));
}

function doom(stage: Stage, count = '', what = ''): void {
  stage.doom = what === 'writes' ? { writesLeft: Number(count) } : { callsLeft: Number(count) };
}

function disk(stage: Stage, how = '', file = ''): void {
  stage.disk.full = how === 'full' ? new RegExp(file === '' ? '/' : file) : null;
}

/** Something that happens by itself after a while, whatever is being done then. */
function later(stage: Stage, time = '', what = ''): void {
  stage.later(parseDuration(time), () => carryOut(stage, what));
}

/** Something that happens right before or after a certain call, once. */
function trap(stage: Stage, when = '', pattern = '', what = ''): void {
  stage.labs.traps.push({
    pattern: new RegExp(pattern),
    times: 1,
    when: when === 'before' ? 'before' : 'after',
    spring: () => {
      stage.sprung(carryOut(stage, what));
      return undefined;
    },
  });
}

/** So many of them say something else than they were sent to say. */
function garbled({ labs }: Stage, percent = '', seed = ''): void {
  labs.garble = garbler(Number(percent) / 100, Number(seed));
}

function noFaults({ labs }: Stage): void {
  labs.traps.splice(0);
  labs.garble = null;
}

/** It arrives late. */
function slow(stage: Stage, times = '', pattern = '', time = ''): void {
  stage.labs.traps.push({
    pattern: new RegExp(pattern),
    times: Number(times),
    when: 'before',
    spring: () => parseDuration(time),
  });
}

/** `500 got timeout`; `lost`: it is carried out, and the answer never comes; `nothing`: it never arrives. */
function fault(stage: Stage, times = '', pattern = '', answer = ''): void {
  const status = /^(\d{3}) (.*)$/.exec(answer);
  stage.labs.traps.push({
    pattern: new RegExp(pattern),
    times: times === '' ? null : Number(times),
    when: answer === 'lost' ? 'after' : 'before',
    spring: () =>
      status === null
        ? 'lost'
        : {
            status: Number(status[1]),
            statusText: status[2] ?? '',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ data: null, message: `${status[2] ?? ''}\n` }),
          },
  });
}
