/** The dns probe: one question to one server, which has to answer it with at least one record. */
import { Resolver } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { ProbeSpec } from '../../inventory/types.ts';
import { messageOf } from '../../errors.ts';
import { plainText } from '../../text.ts';
import { formatDuration } from '../../units.ts';
import { ProbeError, type Attempt, type Outcome } from './attempt.ts';
import { codeOf, connectionFailure, nameFailure } from './reasons.ts';
import { tcpAttempt } from './tcp.ts';

/** Asks once, by UDP (TCP when the answer is too long for it). Rejects with ProbeError. */
export async function dnsAttempt(
  spec: Extract<ProbeSpec, { kind: 'dns' }>,
  attempt: Attempt,
): Promise<Outcome> {
  const address = await serverAddress(spec.server, attempt);
  const { signal, timeoutMs } = attempt;
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  resolver.setServers([isIPv6(address) ? `[${address}]:${spec.port}` : `${address}:${spec.port}`]);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    if (signal.aborted) throw new ProbeError(`no answer within ${formatDuration(timeoutMs)}`, false);
    await resolver.resolve(spec.name, spec.type);
    attempt.alive();
    return { ok: true };
  } catch (error) {
    if (codeOf(error) !== 'ECONNREFUSED') throw dnsFailure(error, spec, timeoutMs);
    return await unreached(address, spec.port, attempt);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

async function serverAddress(server: string, attempt: Attempt): Promise<string> {
  try {
    const [first] = await attempt.lookUp(server);
    if (first !== undefined) return first.address;
  } catch (error) {
    throw connectionFailure(error, server);
  }
  throw nameFailure(server);
}

function dnsFailure(error: unknown, spec: { name: string; type: string }, timeoutMs: number): ProbeError {
  const code = codeOf(error);
  const name = plainText(spec.name);
  switch (code ?? '') {
    case 'ENOTFOUND':
      return new ProbeError(`NXDOMAIN for ${name}`, true);
    case 'ENODATA':
      return new ProbeError(`no ${spec.type} record for ${name}`, true);
    case 'ESERVFAIL':
      return new ProbeError('SERVFAIL', true);
    case 'EREFUSED':
      return new ProbeError('REFUSED: the server does not answer this machine', true);
    case 'ENOTIMP':
      return new ProbeError('NOTIMP: the server does not know the question', true);
    case 'EFORMERR':
      return new ProbeError('FORMERR: the server does not understand the question', true);
    case 'EBADRESP':
      return new ProbeError('the answer is not DNS', true);
    case 'ETIMEOUT':
    case 'ECANCELLED':
      return new ProbeError(`no answer within ${formatDuration(timeoutMs)}`, false);
    case 'EBADNAME':
      return new ProbeError(`${name} is not a name that can be asked for`, false, true);
    default:
      return new ProbeError(plainText(messageOf(error)), false);
  }
}

/**
 * The resolver says ECONNREFUSED for a living host without a DNS server, and also for one that cannot be reached at all.
 * That difference decides whether a node may be taken for dead; a TCP connection to the same port shows it.
 */
async function unreached(address: string, port: number, attempt: Attempt): Promise<Outcome> {
  await tcpAttempt({ host: address, port }, attempt);
  return { ok: false, reason: 'connection refused' };
}
