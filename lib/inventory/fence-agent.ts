/** `agent:` fences: a program of ClusterLabs' fence-agents, and what may be said to it. */
import * as z from 'zod';
import * as f from './fields.ts';
import type { SecretRef, SwitchConfig } from './types.ts';

const AGENT_MS = 60_000;

/**
 * These do not switch power: a node that they have "fenced" goes on running its containers on its local disks. They cut
 * storage or network (no `reboot` in their metadata), say yes to anything, or only wait for a person.
 */
const NO_POWER = new Set(
  'ack_manual brocade cisco_mds compute crosslink dummy evacuate heuristics_ping ifmib kdump mpath sanbox2 sbd scsi'
    .split(' ')
    .map((name) => `fence_${name}`),
);

/** `missing_as_off` turns a wrong plug into "off"; the others run programs or write files of an inventory's choice. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^(action|option)$/, 'is set by proxwarden'],
  [/^missing_as_off$/, 'would take a wrong plug for one that is off'],
  [
    /(_path|_script|^exec|_file|^debug|^logfile|^ssh_options|^kubeconfig|^openrc)$/,
    'names a program or a file, which an inventory may not',
  ],
  [/^(delay|power_wait|random_sleep_range)$/, 'only makes it slower'],
];
const SECRET = /(passw(or)?d|secret|token|apikey|_key$)/;

const optionName = f.text(/^[a-z][a-z0-9_]*$/, "an option's name as in the agent's manual", 'ip');
// A line break would be the next option.
const optionValue = z
  .union([
    z
      .string()
      .max(500)
      .regex(/^[^\r\n]*$/, { error: f.said('must be one line', 'for example 10.0.0.9') }),
    z.number(),
    z.boolean(),
  ])
  .transform((value) => (typeof value === 'boolean' ? (value ? '1' : '0') : String(value)));

export const agent = f
  .strict({
    name: f
      .text(/^fence_[a-z0-9_]+$/, 'the name of a fence agent', 'fence_ipmilan')
      .describe('In /usr/sbin, from the package fence-agents: fence_ipmilan, fence_apc_snmp …')
      .meta({ written: ['fence_ipmilan'] }),
    options: z
      .record(optionName, optionValue)
      .optional()
      .describe("As in the agent's manual: ip, username, plug, lanplus … No secrets, no paths.")
      .meta({ written: [{ ip: '10.0.0.9', username: 'admin', lanplus: 1 }] }),
    password: f.secretRef
      .optional()
      .describe('Its password: env:NAME or file:PATH, never the password itself.'),
    secrets: z
      .record(optionName, f.secretRef)
      .optional()
      .describe('Further options that are secrets (snmp_priv_passwd, token …): env:NAME or file:PATH.'),
    timeout: f.duration({ maxMs: 600_000 }).optional().describe('How long one call may take. Default 60s.'),
  })
  .transform((given, context): SwitchConfig => {
    const { name, options = {}, secrets = {}, password, timeout } = given;
    if (NO_POWER.has(name))
      return f.refuse(context, `${name} does not switch the power of a node`, 'use an agent that does', [
        'name',
      ]);
    for (const [where, keys] of [
      ['options', Object.keys(options)],
      ['secrets', Object.keys(secrets)],
    ] as const)
      for (const key of keys) {
        const [, why] = REFUSED.find(([pattern]) => pattern.test(key)) ?? [];
        if (why !== undefined) f.refuse(context, why, 'leave it out', [where, key]);
        else if (where === 'options' && SECRET.test(key))
          f.refuse(context, 'is a secret', 'put it under password or secrets', [where, key]);
      }
    const all: Record<string, SecretRef> = { ...secrets, ...(password === undefined ? {} : { password }) };
    return { driver: 'agent', agent: name, options, secrets: all, timeoutMs: timeout ?? AGENT_MS };
  });
