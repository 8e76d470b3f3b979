/** All commands by name. `load` keeps the start of each one as cheap as it can be. */
import type { CommandEntry } from '../lib/cli/main.ts';

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  'check-and-failover': {
    usage: 'check-and-failover [names..]',
    describe: 'what cron runs every minute: resume, reconcile, check, decide, failover',
    load: async () => (await import('./check-and-failover.ts')).checkAndFailover,
  },
  check: {
    usage: 'check [names..]',
    describe: 'probe the services, look at the clusters, print a table',
    load: async () => (await import('./check.ts')).check,
  },
  decide: {
    usage: 'decide [names..]',
    describe: 'what should be done, and why; writes a plan and prints its id',
    load: async () => (await import('./decide.ts')).decideCommand,
  },
  failover: {
    usage: 'failover <name>',
    describe: 'move one container to another node by backup and restore, by hand',
    load: async () => (await import('./failover.ts')).failover,
  },
  failback: {
    usage: 'failback <name>',
    describe: 'move a container back to its home node: stopped, backed up, restored; nothing is lost',
    load: async () => (await import('./failback.ts')).failback,
  },
  backup: {
    usage: 'backup [action] [names..]',
    describe: 'back containers up now; list, prune, protect, unprotect backups',
    load: async () => (await import('./backup.ts')).backup,
  },
  restore: {
    usage: 'restore <name>',
    describe: 'restore a backup to a node as a vmid',
    load: async () => (await import('./restore.ts')).restore,
  },
  reconcile: {
    usage: 'reconcile',
    describe: 'keep returned originals down, clear leftovers, report drift',
    load: async () => (await import('./reconcile.ts')).reconcileCommand,
  },
  status: {
    usage: 'status [names..]',
    describe: 'what was last seen of every container, without touching anything',
    load: async () => (await import('./status.ts')).status,
  },
  notify: {
    usage: 'notify <action> [names..]',
    describe: 'whether people can be told: send a test message, or see what is still waiting',
    load: async () => (await import('./notify.ts')).notify,
  },
  history: {
    usage: 'history [names..]',
    describe: 'what has been done, step by step, from the journals',
    load: async () => (await import('./history.ts')).history,
  },
  report: {
    usage: 'report [names..]',
    describe: 'the state of everything as Markdown, as one HTML page, or as metrics',
    load: async () => (await import('./report.ts')).report,
  },
  fence: {
    usage: 'fence <action> [node]',
    describe: 'read the power of nodes, test their fences, switch by hand, or confirm that one is off',
    load: async () => (await import('./fence.ts')).fence,
  },
  pause: {
    usage: 'pause',
    describe: 'nothing is done by itself any more, until `unpause`; checks and counts go on',
    load: async () => (await import('./pause.ts')).pause,
  },
  unpause: {
    usage: 'unpause',
    describe: 'ends a pause: what is down is counted anew, and then acted on',
    load: async () => (await import('./unpause.ts')).unpause,
  },
  maintenance: {
    usage: 'maintenance [action] [names..]',
    describe: 'leave containers or nodes alone for a while; list, end',
    load: async () => (await import('./maintenance.ts')).maintenance,
  },
  ack: {
    usage: 'ack [name]',
    describe: 'a person has looked after an error, or has seen that a node is off',
    load: async () => (await import('./ack.ts')).ack,
  },
  drift: {
    usage: 'drift [names..]',
    describe: 'containers that live elsewhere than the inventory says; --write records it there',
    load: async () => (await import('./drift.ts')).drift,
  },
  cleanup: {
    usage: 'cleanup <name>',
    describe: 'delete the copies that a container was moved away from, after seven days',
    load: async () => (await import('./cleanup.ts')).cleanup,
  },
  forget: {
    usage: 'forget <name>',
    describe: 'no longer follow a container that has left the inventory after a failover',
    load: async () => (await import('./forget.ts')).forgetCommand,
  },
  init: {
    usage: 'init',
    describe: 'write an inventory from a live cluster; asks, or takes flags; changes nothing there',
    load: async () => (await import('./init.ts')).init,
  },
  validate: {
    usage: 'validate',
    describe: 'check the inventory files, offline; --schema prints their JSON Schema',
    load: async () => (await import('./validate.ts')).validate,
  },
  doctor: {
    usage: 'doctor [names..]',
    describe: 'check online everything that a failover will need; changes nothing',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  install: {
    usage: 'install',
    describe: 'have check-and-failover run every minute as a user of its own, by systemd or cron',
    load: async () => (await import('./install.ts')).install,
  },
  uninstall: {
    usage: 'uninstall',
    describe: 'remove what `install` has written; inventory, state and tokens stay',
    load: async () => (await import('./uninstall.ts')).uninstall,
  },
  lab: {
    usage: 'lab <action> [name]',
    describe: 'a simulated cluster to play with: up, status, kill, revive, cut, break, mend, fill, down',
    load: async () => (await import('./lab.ts')).lab,
  },
  demo: {
    usage: 'demo',
    describe: 'the whole story in the lab, in under a minute',
    load: async () => (await import('./demo.ts')).demo,
  },
};
