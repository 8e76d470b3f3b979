/** The Runtime of a real machine: its clock, its environment, its network and its processes. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { systemClock } from './clock.ts';
import { execFile } from './exec.ts';
import { hindrance } from './inventory/programs.ts';
import type { ExecRequest, ExecResult, Runtime } from './runtime.ts';

/** Where cron jobs often have nothing, and where `ping` and plugins are. */
const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The outside world as it is. undici, TLS and zx are loaded when the first request or probe needs them. */
export function systemRuntime(env: Runtime['env'] = process.env): Runtime {
  const path = env['PATH'];
  const deps = {
    clock: systemClock,
    exec: (request: ExecRequest) => runCheck(request, env),
    path: path === undefined || path === '' ? FALLBACK_PATH : path,
  };
  return {
    clock: systemClock,
    env,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    dispatcher: async (endpoint, tls) => {
      const { endpointDispatcher } = await import('./dispatcher.ts');
      return endpointDispatcher(endpoint, tls);
    },
    httpDispatcher: async () => {
      const { plainDispatcher } = await import('./dispatcher.ts');
      return plainDispatcher();
    },
    probe: async (spec, signal) => {
      const { runProbe } = await import('./observe/probe.ts');
      return runProbe(spec, deps, signal);
    },
    exec: execFile,
    mail: async (request, limitMs, signal) => {
      const { sendMail } = await import('./tell/notify/mail.ts');
      return sendMail(request, limitMs, signal);
    },
    detach: (words, variables) => detachProcess(words, { ...env, ...variables }),
    shell: async (request) => {
      const { rootShell } = await import('./act/root-shell.ts');
      return rootShell(request, deps);
    },
  };
}

/**
 * In a session of its own, so that what ends the group of the present process (a terminal, `timeout`, cron's and CI's
 * clearing up) doesn't end it. systemd goes by the control group: the unit has to say KillMode=process.
 */
function detachProcess(words: readonly string[], env: Runtime['env']): Promise<void> {
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

/** An exec check of the inventory. */
function runCheck(request: ExecRequest, env: Runtime['env']): Promise<ExecResult> {
  const failure = hindrance(request.file, env);
  return failure === null
    ? execFile(request)
    : Promise.resolve({ exitCode: null, stdout: '', stderr: '', failure });
}
