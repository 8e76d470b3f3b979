/** What cron pays before anything is done. */
import { inTurn, PROXWARDEN, timed, wallOf } from './child.ts';
import { ms, type Bench } from './measure.ts';
import { openStage } from './peers.ts';

const STATUS_LIMIT =
  'of a start of Node, yargs takes half as long again, to build the schemas of state, journals and observation takes once as long, and to read and check these files two thirds; what is kept between runs is checked whenever it is read';

const FLEET = { clusters: 1, nodes: 3, containers: 50, checks: ['tcp', 'http'] } as const;

export const startUp: Bench = async ({ quick }) => {
  const stage = await openStage(FLEET);
  try {
    await timed([...PROXWARDEN, 'check-and-failover', ...stage.flags]);
    const [bare, version, status] = await inTurn(quick ? 1 : 25, [
      () => timed([process.execPath, '-e', '0']),
      () => timed([...PROXWARDEN, '--version']),
      () => timed([...PROXWARDEN, 'status', '--json', ...stage.flags]),
    ]);
    const node = wallOf(bare);
    const measure = (what: string, ours: number, goal: number, limit?: string) =>
      ({
        what,
        against: `\`node -e 0\`: ${ms(node)}`,
        ours: ms(ours),
        value: ours / node,
        goal,
        unit: '×',
        limit,
      }) as const;
    return [
      measure('start-up: `--version`', wallOf(version), 1.6),
      measure('start-up: `status --json`, 50 containers', wallOf(status), 2, STATUS_LIMIT),
    ];
  } finally {
    stage.stop();
  }
};
