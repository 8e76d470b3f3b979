/** The calls of the client that are about the HA manager's entries, groups (8.x) and rules (9.x). */
import * as z from 'zod';
import type { CallOptions, PveApi } from './api.ts';
import * as calls from './calls.ts';
import { get } from './calls.ts';
import type { Rotation } from './rotation.ts';
import { HaGroupsReply, HaManagerReply, HaResourcesReply, HaRulesReply } from './schemas.ts';
import type { Call } from './transport.ts';

type Methods = Pick<
  PveApi,
  | 'haResources'
  | 'haGroups'
  | 'haMaintenance'
  | 'haRules'
  | 'haLrms'
  | 'createHaGroup'
  | 'createHaRule'
  | 'createHaResource'
  | 'setHaState'
  | 'deleteHaResource'
  | 'deleteHaGroup'
  | 'deleteHaRule'
>;

export function haMethods({ read, write }: Pick<Rotation, 'read' | 'write'>): Methods {
  async function done(call: Call, options?: CallOptions): Promise<void> {
    await write(call, z.unknown(), options);
  }

  return {
    async haResources(options) {
      const call = get('reading the HA entries', null, '/cluster/ha/resources');
      const reply = await read(call, HaResourcesReply, options);
      return reply.map(({ sid, state, group, comment }) => ({ sid, state, group: group ?? null, comment }));
    },
    async haMaintenance(options) {
      const call = get('reading the state of the HA manager', null, '/cluster/ha/status/manager_status');
      const { manager_status: said } = await read(call, HaManagerReply, options);
      const asked = Object.entries(said?.node_request ?? {}).filter(([, { maintenance }]) => maintenance);
      const honoured = Object.entries(said?.node_status ?? {}).filter(([, state]) => state === 'maintenance');
      return [...new Set([...asked, ...honoured].map(([node]) => node))].toSorted();
    },
    async haGroups(options) {
      const call = get('reading the HA groups', null, '/cluster/ha/groups');
      const reply = await read(call, HaGroupsReply, options);
      return reply.map(({ group, nodes, restricted }) => ({ group, nodes: nodeNames(nodes), restricted }));
    },
    async haRules(options) {
      const call = get('reading the HA rules', null, '/cluster/ha/rules');
      const reply = await read(call, HaRulesReply, options);
      return reply.map(({ rule, type, nodes, resources, strict, disable }) => ({
        rule,
        type,
        nodes: nodeNames(nodes),
        resources: resources.split(',').flatMap((sid) => sid.trim() || []),
        strict,
        disabled: disable,
      }));
    },
    async haLrms(options) {
      const call = get('reading the state of the HA manager', null, '/cluster/ha/status/manager_status');
      const { manager_status: manager, lrm_status: lrms = {} } = await read(call, HaManagerReply, options);
      return {
        masterAt: manager?.timestamp === undefined ? null : manager.timestamp * 1000,
        words: Object.entries(lrms).flatMap(([node, { state, mode, timestamp }]) =>
          state === undefined || timestamp === undefined
            ? []
            : [{ node, state, mode: mode ?? 'unknown', timestamp }],
        ),
      };
    },
    createHaGroup: (group, nodes, options) => done(calls.createHaGroupCall(group, nodes), options),
    createHaRule: (rule, settings, options) => done(calls.createHaRuleCall(rule, settings), options),
    createHaResource: (sid, settings, options) => done(calls.createHaResourceCall(sid, settings), options),
    setHaState: (sid, state, options) => done(calls.setHaStateCall(sid, state), options),
    deleteHaResource: (sid, options) => done(calls.deleteHaResourceCall(sid), options),
    deleteHaGroup: (group, options) => done(calls.deleteHaGroupCall(group), options),
    deleteHaRule: (rule, options) => done(calls.deleteHaRuleCall(rule), options),
  };
}

/** `pve2:1,pve3`: the priorities don't matter here. */
function nodeNames(list: string): string[] {
  return list.split(',').flatMap((node) => node.split(':')[0]?.trim() || []);
}
