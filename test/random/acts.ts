/**
 * What can happen: sentences of scenarios (harness/steps.ts), so that a run that goes wrong can be told as one. What a
 * sensible person would not do (start an original that has been taken over from, say of a running node that it is off)
 * is left out when its time comes: play.ts.
 */
import * as fc from 'fast-check';
import { NAMES, NODES, type RandomWorld } from './worlds.ts';

/** Requests in whose midst something may happen, or whose answer may go wrong. */
const CALLS = [
  'POST .nodes.pve\\d.lxc vmid',
  'POST .*status.start',
  'POST .*status.(stop|shutdown)',
  'POST .*vzdump',
  'PUT .*config',
  'PUT .*content',
  'POST .cluster.ha',
  'DELETE .cluster.ha',
  'DELETE .nodes.*lxc',
  'GET .*status.current',
  'GET .*netstat',
  'GET .*tasks',
  'GET .cluster.status',
  'GET .cluster.resources',
  'GET .*content',
] as const;

const WAITS = ['5s', '10s', '30s', '2m', '6m'] as const;

const node = fc.constantFrom(...NODES);
const name = fc.constantFrom(...NAMES);
const host = fc.constantFrom(...NAMES.map((_, index) => `10.0.0.${101 + index}`));

/** Something in the world; never a command. */
function worldly(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: node.map((n) => `kill ${n}`) },
    { weight: 5, arbitrary: node.map((n) => `revive ${n}`) },
    { weight: 3, arbitrary: node.map((n) => `cut ${n}`) },
    { weight: 3, arbitrary: node.map((n) => `mend ${n}`) },
    { weight: 1, arbitrary: node.map((n) => `shutdown ${n}`) },
    { weight: 1, arbitrary: node.map((n) => `reboot ${n}`) },
    { weight: 1, arbitrary: node.map((n) => `hang ${n}`) },
    { weight: 1, arbitrary: node.map((n) => `unhang ${n}`) },
    { weight: 3, arbitrary: name.map((n) => `break ${n}`) },
    { weight: 2, arbitrary: name.map((n) => `fix ${n}`) },
    { weight: 2, arbitrary: name.map((n) => `crash of ${n}`) },
    { weight: 1, arbitrary: name.map((n) => `stop of ${n} by hand`) },
    { weight: 1, arbitrary: name.map((n) => `start of ${n} by hand`) },
    { weight: 1, arbitrary: fc.constantFrom('plugs silent', 'plugs stuck', 'plugs well', 'plugs well') },
    { weight: 1, arbitrary: fc.constantFrom('fill nas', 'fill local', 'drain nas', 'drain local') },
    { weight: 1, arbitrary: fc.constantFrom('unmount nas', 'mount nas') },
    { weight: 1, arbitrary: node.map((n) => `unmount nas from ${n}`) },
    { weight: 1, arbitrary: fc.constantFrom('runner cut', 'runner mended', 'runner mended') },
    { weight: 1, arbitrary: fc.constantFrom('canary 10.0.0.1:53 down', 'canary 10.0.0.9:8007 down') },
    { weight: 1, arbitrary: fc.constantFrom('canary 10.0.0.1:53 up', 'canary 10.0.0.9:8007 up') },
    { weight: 1, arbitrary: host.map((h) => `at ${h}:80 refused`) },
    { weight: 1, arbitrary: host.map((h) => `at ${h}:80 lab`) },
    { weight: 1, arbitrary: fc.constantFrom('clock -1h', 'clock +1h', 'clock +10m', 'clock -20s') },
  );
}

function command(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant('cron') },
    { weight: 6, arbitrary: fc.constant('cron 3') },
    { weight: 2, arbitrary: name.map((n) => `run failover ${n}`) },
    { weight: 2, arbitrary: name.map((n) => `run failover ${n} --planned`) },
    { weight: 1, arbitrary: fc.tuple(name, node).map(([n, to]) => `run failover ${n} --planned --to ${to}`) },
    { weight: 2, arbitrary: name.map((n) => `run ack ${n}`) },
    { weight: 1, arbitrary: name.map((n) => `run failback ${n}`) },
    { weight: 1, arbitrary: name.map((n) => `run backup ${n}`) },
    { weight: 1, arbitrary: fc.constant('run reconcile') },
    { weight: 1, arbitrary: fc.constantFrom('run pause --for 10m', 'run unpause', 'run unpause') },
    { weight: 1, arbitrary: name.map((n) => `run maintenance ${n} --for 5m`) },
    { weight: 1, arbitrary: node.map((n) => `run maintenance --node ${n} --for 5m`) },
    { weight: 1, arbitrary: name.map((n) => `run maintenance end ${n}`) },
    { weight: 1, arbitrary: fc.constant('run check --count') },
    { weight: 2, arbitrary: node.map((n) => `word that ${n} is off`) },
  );
}

/** Something goes wrong at the API, at the runner, or in the middle of what comes next. */
function trouble(): fc.Arbitrary<string> {
  const call = fc.constantFrom(...CALLS);
  const act = worldly();
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.integer({ min: 1, max: 2 }),
          call,
          fc.constantFrom('500 oops', '596 Connection timed out', 'lost', 'nothing'),
        )
        .map(([times, pattern, how]) => `${times} times /${pattern}/ answers ${how}`),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(call, fc.constantFrom('2s', '8s', '15s'))
        .map(([pattern, time]) => `1 times /${pattern}/ waits ${time}`),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom('before', 'after'), call, act)
        .map(([when, pattern, what]) => `${when} /${pattern}/: ${what}`),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom(...WAITS), act).map(([time, what]) => `in ${time}: ${what}`),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom('writes', 'calls'))
        .map(([count, what]) => `doom ${count} ${what}`),
    },
    { weight: 1, arbitrary: fc.constantFrom('as a', 'as b', 'wipe state', 'no faults') },
  );
}

/** The steps of one run, in a world of all nodes and containers; `fitted` makes them those of a smaller one. */
export const randomSteps: fc.Arbitrary<string[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: command() },
    { weight: 4, arbitrary: worldly() },
    { weight: 3, arbitrary: trouble() },
    { weight: 1, arbitrary: fc.constantFrom(...WAITS).map((time) => `wait ${time}`) },
  ),
  { minLength: 5, maxLength: 30, size: 'max' },
);

/** The step with nodes and containers that the world has. */
export function fitted(step: string, { nodes, containers }: RandomWorld): string {
  const wrapped = (index: number): number => index % containers.length;
  return step
    .replaceAll(/\bpve(\d)\b/g, (_, n: string) => `pve${((Number(n) - 1) % nodes.length) + 1}`)
    .replaceAll(/\b10\.0\.0\.10(\d)\b/g, (_, n: string) => `10.0.0.${101 + wrapped(Number(n) - 1)}`)
    .replaceAll(new RegExp(`\\b(${NAMES.join('|')})\\b`, 'g'), (found) => {
      const index = NAMES.findIndex((one) => one === found);
      return NAMES[wrapped(index)] ?? found;
    });
}

/** Whether it is a command of ProxWarden; everything else is a fault or a person. */
export function isCommand(step: string): boolean {
  return /^(cron|run|word)\b/.test(step);
}
