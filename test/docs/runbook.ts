/** Documents whose commands are executed: what stands in their comments happens in a lab, and what is said goes below them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';
import { plain, Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { WorldFile } from '../scenarios/harness/world.ts';

const SHOW = /<!-- show\n([\s\S]*?)-->\n(?:\n?```console\n[\s\S]*?\n```\n)?/g;
const FOLDER = join('test', 'docs', 'runbook');

/** What a reader sees of one command. */
interface Shown {
  readonly command: string;
  readonly lines: string[];
}

/** A lab as the document's inventory describes it. */
export function openStage(): { readonly stage: Stage; readonly shown: Shown[] } {
  const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
  const stage = new Stage(WorldFile.parse(parse(read('world.yaml'))), { inventory: read('inventory.yaml') });
  const shown: Shown[] = [];
  stage.program = (start) => {
    const words = start.argv.slice(0, start.argv.indexOf('--inventory'));
    const lines: string[] = [];
    shown.push({ command: words.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' '), lines });
    const say = (text: string): void =>
      void lines.push(...text.replaceAll(`${stage.folder}/`, '').split('\n'));
    const io = {
      ...start.io,
      out: (text: string): void => {
        say(text);
        start.io.out(text);
      },
      err: (text: string): void => {
        say(text);
        start.io.err(text);
      },
      columns: 300,
    };
    return plain({ ...start, io });
  };
  return { stage, shown };
}

/** The document with what its commands really say; each `##` has a lab of its own. Rejects where a step goes wrong. */
export async function executed(text: string): Promise<{ readonly text: string; readonly commands: number }> {
  const parts = text.split(/(?=^## )/m);
  const done: string[] = [];
  let commands = 0;
  for (const part of parts) {
    const { stage, shown } = openStage();
    try {
      let result = '';
      let last = 0;
      for (const match of part.matchAll(SHOW)) {
        const steps = z.array(z.string()).parse(parse(match[1] ?? ''));
        const visible: string[] = [];
        for (const step of steps) {
          shown.length = 0;
          await carryOut(stage, step).catch((error: unknown) => {
            const log = stage.finish().split('\n').slice(-60).join('\n');
            throw new Error(`at "${step}" of ${part.split('\n')[0] ?? ''}:\n${log}`, { cause: error });
          });
          await stage.run(stage.settled());
          stage.check();
          if (!step.startsWith('run ')) continue;
          if (stage.exit === 2)
            throw new Error(`"${step}" is not understood: ${shown[0]?.lines.join(' ') ?? ''}`);
          for (const { command, lines } of shown) {
            commands += 1;
            visible.push(`$ proxwarden ${command}`, ...lines.map((line) => line.trimEnd()), '');
          }
        }
        result += `${part.slice(last, match.index)}<!-- show\n${match[1] ?? ''}-->\n\n\`\`\`console\n${visible.join('\n').trimEnd()}\n\`\`\`\n`;
        last = match.index + match[0].length;
      }
      done.push(result + part.slice(last));
    } finally {
      stage.close();
    }
  }
  return { text: done.join(''), commands };
}
