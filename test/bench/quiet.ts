/** A run of cron that finds everything in order, against the same work as a shell script. */
import { mkdirSync, copyFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cpuOf, inTurn, missing, PROXWARDEN, timed, wallOf, type Timed } from './child.ts';
import { containersOf } from './fleet.ts';
import { ms, type Bench } from './measure.ts';
import { openStage } from './peers.ts';

const FLEET = { clusters: 1, nodes: 3, containers: 50, checks: ['tcp', 'http'] } as const;

export const quiet: Bench = async ({ quick }) => {
  const lacks = missing('curl', 'nc', 'jq', 'xargs');
  if (lacks.length > 0) return { skipped: `${lacks.join(', ')} not installed` };
  const stage = await openStage(FLEET);
  try {
    const folder = join(stage.folder, 'script');
    mkdirSync(folder);
    for (const file of ['token', 'ca.pem']) copyFileSync(join(stage.inventory, file), join(folder, file));
    const api = Object.entries(stage.api).map(([node, port]) => `${node} https://127.0.0.1:${port}\n`);
    writeFileSync(join(folder, 'api'), api.join(''));
    const probes = containersOf(FLEET).flatMap(({ name, host }) =>
      FLEET.checks.map((kind) => `${name} ${kind} ${host} ${stage.targets[kind]}\n`),
    );
    writeFileSync(join(folder, 'probes'), probes.join(''));
    const script = resolve('test/bench/quiet.sh');
    const healthy = (said: RegExp, run: Promise<Timed>): Promise<Timed> =>
      run.then((one) => {
        if (!said.test(one.stdout)) throw new Error(`not quiet: ${one.stdout}${one.stderr}`);
        return one;
      });
    const [ours, theirs] = await inTurn(quick ? 1 : 15, [
      () => healthy(/^50 of 50 /, timed([...PROXWARDEN, 'check-and-failover', ...stage.flags])),
      () => healthy(/^50 healthy/, timed(['bash', script, folder])),
    ]);
    const what = 'quiet `check-and-failover`, 50 containers, 100 probes, 3 nodes';
    const measure = (kind: string, of: typeof wallOf) =>
      ({
        what: `${what}: ${kind}`,
        against: `shell script (curl, nc, jq, xargs -P16): ${ms(of(theirs))}`,
        ours: ms(of(ours)),
        value: of(ours) / of(theirs),
        goal: 0.5,
        unit: '×',
      }) as const;
    return [measure('wall', wallOf), measure('CPU', cpuOf)];
  } finally {
    stage.stop();
  }
};
