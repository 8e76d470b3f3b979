/** A ping of a node's own address: its kernel may live while its API is silent. Reads only. */
import { isIP } from 'node:net';
import type { Runtime } from '../runtime.ts';

/** Together no longer than its API is waited for meanwhile, so that the ping makes no read older. */
const TIMEOUT_MS = 1_000;
const ATTEMPTS = 2;

/** True: something at `ip` answers. Null: that can't be asked, or an answer would say nothing. Rejects on abort only. */
export async function pingNode(
  { probe }: Pick<Runtime, 'probe'>,
  ip: string | null,
  signal: AbortSignal | undefined,
): Promise<boolean | null> {
  if (ip === null || isIP(ip) === 0 || isNobodys(ip)) return null;
  const label = `ping ${ip}`;
  const { answered, unknown } = await probe(
    { kind: 'ping', host: ip, label, timeoutMs: TIMEOUT_MS, attempts: ATTEMPTS },
    signal,
  );
  return unknown === true ? null : answered;
}

/**
 * Loopback, where the runner's own kernel answers for everybody (the lab), and the ranges set aside for documentation
 * (RFC 5737, 3849), where nobody does.
 */
function isNobodys(ip: string): boolean {
  return /^(?:127\.|0\.0\.0\.0$|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|::$|::1$|::ffff:127\.|2001:0?db8:)/i.test(
    ip,
  );
}
