/** The Runtime of a real machine: its clock, its environment, its network and its processes. */
import { systemClock } from './clock.ts';
import { once } from './once.ts';
import type { ExecRequest, ExecResult, Runtime } from './runtime.ts';

/** Where cron jobs often have nothing, and where `ping` and plugins are. */
const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const loadProbe = once(() => import('./observe/probe.ts'));

/** The outside world as it is. What reaches it is loaded when it is first needed: cron pays the start-up every minute. */
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
    randomHex: (bytes) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex'),
    dispatcher: async (endpoint, tls) => {
      const { endpointDispatcher } = await import('./dispatcher.ts');
      return endpointDispatcher(endpoint, tls);
    },
    httpDispatcher: async () => {
      const { plainDispatcher } = await import('./dispatcher.ts');
      return plainDispatcher();
    },
    probe: async (spec, signal) => (await loadProbe()).runProbe(spec, deps, signal),
    slots: async () => {
      const { fpingOn, FPING_SLOTS } = await import('./observe/probes/fping.ts');
      return fpingOn(deps.path) === undefined ? {} : { pings: FPING_SLOTS };
    },
    exec: async (request) => (await import('./exec.ts')).execFile(request),
    mail: async (request, limitMs, signal) => {
      const { sendMail } = await import('./tell/notify/mail.ts');
      return sendMail(request, limitMs, signal);
    },
    detach: async (words, variables) => {
      const { detachProcess } = await import('./detach.ts');
      return detachProcess(words, { ...env, ...variables });
    },
    shell: async (request) => {
      const { rootShell } = await import('./act/root-shell.ts');
      return rootShell(request, deps);
    },
  };
}

/** An exec check of the inventory. */
async function runCheck(request: ExecRequest, env: Runtime['env']): Promise<ExecResult> {
  const { hindrance } = await import('./inventory/programs.ts');
  const failure = hindrance(request.file, env);
  if (failure !== null) return { exitCode: null, stdout: '', stderr: '', failure };
  const { execFile } = await import('./exec.ts');
  return execFile(request);
}
