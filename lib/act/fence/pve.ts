/**
 * The node's own API shuts it down in order, while it answers: for people, never by itself, since rule 5 powers nothing
 * off that answers. Its "off" is no proof either: an API that is silent says nothing of the machine behind it.
 */
import { messageOf, PveError } from '../../errors.ts';
import type { PveApi } from '../../pve/api.ts';
import type { PowerSwitch } from './driver.ts';

/** `api` must be on an endpoint that is quorate. */
export function createPveFence(api: PveApi, node: string): PowerSwitch {
  return {
    name: 'pve',
    async status(signal) {
      try {
        return (await api.nodeAnswers(node, { signal }))
          ? { power: 'on', detail: 'its API answers' }
          : { power: 'unknown', detail: 'its API is silent, which proves nothing' };
      } catch (error) {
        if (!(error instanceof PveError) || signal?.aborted === true) throw error;
        return { power: 'unknown', detail: messageOf(error) };
      }
    },
    off: (signal) => api.powerNode(node, 'shutdown', { signal }),
    on: null,
  };
}
