/**
 * Any power-fencing program of the distribution's fence-agents packages (IPMI, iLO, iDRAC, APC, Eaton, libvirt …), by
 * ClusterLabs' contract (FenceAgentAPI.md): options as `name=value` lines on standard input, so that no secret is in
 * an argument; `action=status` ends with 0 for on and 2 for off, `action=off` with 0 once it is off.
 */
import { fenceName } from '../../decide/power.ts';
import { FailedError } from '../../errors.ts';
import { readSecret } from '../../inventory/secrets.ts';
import type { SwitchConfig } from '../../inventory/types.ts';
import { redact } from '../../redact.ts';
import type { ExecResult, Runtime } from '../../runtime.ts';
import { plainText } from '../../text.ts';
import type { PowerSwitch } from './driver.ts';

type AgentFence = Extract<SwitchConfig, { driver: 'agent' }>;

/** What agents call in turn (ipmitool, ssh, snmpget). */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A driver that runs the agent once per question. */
export function createAgentFence(config: AgentFence, runtime: Pick<Runtime, 'env' | 'exec'>): PowerSwitch {
  function ask(action: 'status' | 'off' | 'on', signal: AbortSignal | undefined): Promise<ExecResult> {
    const secrets = Object.entries(config.secrets).map(
      ([name, ref]) => [name, readSecret(ref, runtime.env)] as const,
    );
    const options = [...Object.entries(config.options), ...secrets, ['action', action] as const];
    return runtime.exec({
      file: `/usr/sbin/${config.agent}`,
      args: [],
      env: { PATH, LC_ALL: 'C' },
      stdin: options.map(([name, value]) => `${name}=${value}\n`).join(''),
      timeoutMs: config.timeoutMs,
      signal,
    });
  }

  async function order(turn: 'off' | 'on', signal: AbortSignal | undefined): Promise<void> {
    const result = await ask(turn, signal);
    if (result.exitCode !== 0)
      throw new FailedError(
        `${config.agent} does not switch ${turn}: ${words(result)}${installHint(config.agent, result)}`,
      );
  }

  return {
    name: fenceName(config),
    async status(signal) {
      const result = await ask('status', signal);
      const said = words(result);
      if (result.exitCode === 0) return { power: 'on', detail: said };
      // 2 is also how a program says that it was called wrongly: "off" takes the word, too.
      if (result.exitCode === 2 && /\boff\b/i.test(`${result.stdout}\n${result.stderr}`))
        return { power: 'off', detail: said };
      return { power: 'unknown', detail: `${said}${installHint(config.agent, result)}` };
    },
    off: (signal) => order('off', signal),
    on: (signal) => order('on', signal),
  };
}

/** The last line that it has said, which with these programs is the one that counts. */
function words({ exitCode, stdout, stderr, failure }: ExecResult): string {
  if (failure !== undefined) return failure;
  const lines = `${stderr}\n${stdout}`
    .split(/\r?\n/)
    .map((line) => plainText(redact(line), 200))
    .filter((line) => line !== '');
  return lines.at(-1) ?? `exit ${exitCode ?? '?'}`;
}

function installHint(agent: string, { failure }: ExecResult): string {
  return failure?.startsWith('not found') === true
    ? ` (is ${agent} installed? apt install fence-agents)`
    : '';
}
