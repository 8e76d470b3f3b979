/** What was asked of the lab's cluster: its own task lists, which a run cannot make prettier than they are. */
import assert from 'node:assert/strict';
import * as z from 'zod';
import { EXAMPLE_TOKEN_ID } from '../../lib/lab/example.ts';
import type { Stage } from './stage.ts';

const Tasks = z.object({
  data: z.array(z.looseObject({ type: z.string(), id: z.string(), upid: z.string() })),
});

/** `vzrestore 1000102`, `vzstart 1000102`, … of all nodes that answer, sorted. */
export async function tasksOf({ lab, secret }: Pick<Stage, 'lab' | 'secret'>): Promise<string[]> {
  const lists = lab
    .status()
    .nodes.filter((node) => node.api)
    .map(async ({ name }) => {
      const answer = await lab.handle(name, {
        method: 'GET',
        path: `/api2/json/nodes/${name}/tasks?limit=500&source=all`,
        headers: { authorization: `PVEAPIToken=${EXAMPLE_TOKEN_ID}=${secret}` },
        body: '',
      });
      assert.equal(answer.status, 200, answer.statusText);
      return Tasks.parse(JSON.parse(answer.body)).data.map((task) => `${task.type} ${task.id}`);
    });
  return (await Promise.all(lists)).flat().toSorted();
}
