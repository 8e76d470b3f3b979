/** The machine that ProxWarden runs on. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { RunnerFacts } from '../../decide/doctor/facts.ts';
import { messageOf } from '../../errors.ts';
import { fitnessAt } from '../../state/place.ts';

/** Its own addresses, and whether the state folder can be written (nothing is). */
export function runnerFacts(stateDir: string): RunnerFacts {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => !one.internal);
  return {
    addresses: [...new Set(own.map((one) => one.address))],
    macs: [...new Set(own.map((one) => one.mac.toUpperCase()))],
    stateDir,
    stateProblem: stateProblem(stateDir),
    stateFs: fitnessAt(stateDir),
  };
}

/** The folder is made when it is first needed, so what counts then is the nearest one that is there. */
function stateProblem(dir: string): string | null {
  let nearest = resolve(dir);
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  try {
    if (!statSync(nearest).isDirectory()) return `${nearest} is not a folder`;
    accessSync(nearest, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
