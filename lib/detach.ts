/** How an operation gets a process of its own. */
import { spawn } from 'node:child_process';
import type { Runtime } from './runtime.ts';

/**
 * Starts this very program anew, in a process that outlives the present one: in a session of its own, so that what ends the
 * group of the present process (a terminal, `timeout`, cron's and CI's clearing up) doesn't end it. systemd goes by the
 * control group: the unit has to say KillMode=process.
 */
export function detachProcess(words: readonly string[], env: Runtime['env']): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...words], {
      detached: true,
      stdio: 'ignore',
      // By this a GitHub runner finds what it ends after a job (actions/runner#598).
      env: { ...env, RUNNER_TRACKING_ID: '' },
    });
    child.once('error', reject);
    child.once('spawn', () => {
      child.unref();
      resolve();
    });
  });
}
