/** A `pct` for shells that play a node of a running lab: `.lab/bin/pct`, to be put first on their PATH. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The node is the one that `uname -n` names, or PROXWARDEN_LAB_NODE. */
const PROGRAM = `#!/bin/sh
exec node --input-type=commonjs - "$(dirname "$0")/../run.json" "\${PROXWARDEN_LAB_NODE:-$(uname -n)}" "$@" <<'END'
const [, , file, name, ...args] = process.argv;
const { control, token } = JSON.parse(require('node:fs').readFileSync(file, 'utf8'));
fetch(control + '/pct', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + token },
  body: JSON.stringify({ node: name.split('.')[0], args }),
})
  .then((response) => response.json())
  .then(({ exitCode = 255, output, error }) => {
    console[exitCode === 0 ? 'log' : 'error'](output ?? error);
    process.exitCode = exitCode;
  });
END
`;

/** Writes it into the lab's folder. */
export async function writePct(folder: string): Promise<void> {
  await mkdir(join(folder, 'bin'), { recursive: true, mode: 0o700 });
  const path = join(folder, 'bin', 'pct');
  await writeFile(path, PROGRAM);
  await chmod(path, 0o755);
}
