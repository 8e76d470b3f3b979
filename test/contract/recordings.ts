/** The recordings of a genuine cluster as they lie there: every request with its answer, in order. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

const DIR = '../shared/pve/recordings';

/** They are not part of the repository. */
export const haveRecordings = existsSync(DIR);
export const SKIP_WITHOUT = {
  skip: haveRecordings ? false : `the recordings (${DIR}) are not here`,
} as const;

const Fields = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const Entry = z.object({
  name: z.string().default(''),
  request: z
    .object({
      method: z.string(),
      path: z.string(),
      form: z.union([Fields, z.string()]).optional(),
      query: z.union([Fields, z.string()]).optional(),
      auth: z.string().optional(),
    })
    .optional(),
  status: z.number().optional(),
  statusText: z.string().optional(),
  body: z.unknown().optional(),
});
export type Entry = z.infer<typeof Entry>;

export function recorded(file: string): Entry[] {
  const entries: unknown = JSON.parse(readFileSync(join(DIR, `${file}.json`), 'utf8'));
  // The privilege matrices are tables, not requests.
  return z
    .array(z.unknown())
    .parse(entries)
    .flatMap((entry) => Entry.safeParse(entry).data ?? []);
}

export function recordingFiles(): string[] {
  return readdirSync(DIR)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .toSorted();
}

export interface Reply {
  /** `03-lifecycle-and-errors: start ct 101` */
  readonly where: string;
  readonly name: string;
  readonly method: string;
  /** Below /api2/json, without its query. */
  readonly path: string;
  readonly status: number;
  readonly statusText: string;
  readonly body: unknown;
}

export function replies(): Reply[] {
  return recordingFiles().flatMap((file) =>
    recorded(file).flatMap(({ name, request, status, statusText, body }) =>
      request === undefined || status === undefined
        ? []
        : [
            {
              where: `${file}: ${name}`,
              name,
              method: request.method,
              path: request.path.replace('/api2/json', '').split('?')[0] ?? '',
              status,
              statusText: statusText ?? '',
              body,
            },
          ],
    ),
  );
}
