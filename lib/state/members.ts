/** The cluster as pmxcfs on this node sees it. */
import * as z from 'zod';
import { FailedError, StandbyError } from '../errors.ts';
import { CLUSTER_FS } from './cluster-fs.ts';
import { readText } from './durable.ts';

const FILE = `${CLUSTER_FS}/.members`;

/** A node that is in no cluster has only its name there. */
const Members = z.object({
  nodename: z.string(),
  cluster: z.object({ quorate: z.number() }).optional(),
  nodelist: z.record(z.string(), z.object({ online: z.number() })).optional(),
});

function readMembers(): z.infer<typeof Members> {
  try {
    return Members.parse(JSON.parse(readText(FILE) ?? ''));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    throw new FailedError(`${FILE} can't be understood; run systemctl status pve-cluster on this node`, {
      cause: error,
    });
  }
}

/** Throws StandbyError when this node has no quorum: then nothing can be journalled here. */
export function assertQuorum(): void {
  if (readMembers().cluster?.quorate === 0)
    throw new StandbyError(
      'this node has no quorum, so the cluster file system is read-only here: its runner does nothing',
      { hint: 'the runners on the nodes that have quorum go on; look after the network of this node' },
    );
}

/** Whether a host is a node that the cluster, in a quorate view, believes offline. */
export function isOffline(host: string): boolean {
  const { cluster, nodelist = {} } = readMembers();
  // A host's name may have a domain, that of a node never has.
  const name = host.split('.')[0] ?? '';
  return cluster?.quorate === 1 && Object.hasOwn(nodelist, name) && nodelist[name]?.online === 0;
}
