/** What the `lab` command and a running lab say to each other. */
import * as z from 'zod';

/** Everything that can be done to a running lab, apart from `status` and `down`. Each takes one name. */
export const LAB_VERBS = [
  'kill',
  'revive',
  'shutdown',
  'reboot',
  'cut',
  'mend-network',
  'hang',
  'break',
  'mend',
  'fill',
  'drain',
  'unmount',
  'mount',
  'verify',
  'spoil',
  'start-by-hand',
  'stop-by-hand',
] as const;
export type LabVerb = (typeof LAB_VERBS)[number];

const OnOff = z.enum(['on', 'off']);
const list = <T extends z.ZodType>(entry: T): z.ZodReadonly<z.ZodArray<T>> => z.array(entry).readonly();

/** The answer of `status`: the lab's LabStatus, and what belongs to the process around it. Times are epoch ms. */
export const LabReport = z.object({
  nodes: list(
    z.object({
      name: z.string(),
      power: OnOff,
      network: z.enum(['up', 'cut']),
      api: z.boolean(),
      hung: z.boolean(),
      quorate: z.boolean(),
    }),
  ),
  containers: list(
    z.object({
      vmid: z.number().int(),
      node: z.string(),
      hostname: z.string(),
      state: z.enum(['running', 'stopped', 'off-with-node']),
      onboot: z.boolean(),
      tags: list(z.string()),
    }),
  ),
  backups: list(
    z.object({
      volid: z.string(),
      vmid: z.number().int(),
      at: z.number(),
      size: z.number(),
      protected: z.boolean(),
      verification: z.enum(['ok', 'failed']).nullable(),
    }),
  ),
  violations: list(z.object({ at: z.number(), rule: z.literal('never-two'), text: z.string() })),
  pid: z.number().int(),
  startedAt: z.number(),
  speed: z.number(),
  ports: z.record(z.string(), z.number().int()).readonly(),
  /** Smart plugs by node. */
  plugs: z.record(z.string(), OnOff).readonly(),
  /** The last ones, oldest first. */
  events: list(z.object({ at: z.number(), text: z.string() })),
  /** What went wrong in the lab itself, for example a port that somebody else took. */
  problems: list(z.string()),
});
export type LabReport = z.infer<typeof LabReport>;

/** The answer of everything else. */
export const LabDone = z.object({ message: z.string() });

/** The answer when it could not be done. */
export const LabRefusal = z.object({ error: z.string(), hint: z.string().optional() });

/** What the lab's `pct` asks for. */
export const LabPct = z.object({ node: z.string(), args: z.array(z.string()) });
