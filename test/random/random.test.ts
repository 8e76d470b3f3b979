/**
 * Random worlds in which random things happen while the real commands run, on virtual time: nodes die, links are cut,
 * storages fill, clocks jump, the API answers nonsense, the runner is killed, people act in between. After every step the
 * lab's ground truth is held against the rules that never break; at the end everything heals, and every container must
 * be there once. (Issue 4, item 9.)
 *
 * The same stories every time; `RANDOM_RUNS=1000 npm test -- random` plays so many new ones.
 */
import { randomSteps } from './acts.ts';
import { tellStories } from './stories.ts';

tellStories({
  file: import.meta.url,
  title: 'whatever happens, no rule is broken and no container is lost',
  steps: randomSteps,
  fixed: { seeds: [1, 2], runs: 3 },
  variable: 'RANDOM',
  words: 'random',
  told: (all) =>
    `random stories: ${all.runs} runs, ${all.steps} steps, ${all.faults} faults and people's acts, ${all.operations} operations (${all.failovers} failovers done), ${all.held} containers down for a reason that is said`,
});
