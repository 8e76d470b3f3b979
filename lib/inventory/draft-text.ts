/** A draft as the text of an inventory file, with the comments that a newcomer needs. Pure: the same draft, the same text. */
import { Document, isMap, isNode, isScalar, isSeq } from 'yaml';
import { plainText } from '../text.ts';
import type { Draft, DraftContainer, ProposedCheck } from './draft.ts';

/** The whole file; loads without a problem. */
export function draftText(draft: Draft): string {
  return `${[
    header(draft),
    section([], { cluster: draft.cluster }),
    api(draft),
    canaries(draft),
    nodes(draft),
    defaults(draft),
    section(['Brakes for a bad day.'], { limits: { failoversPerRun: 3, failoversPerHour: 6 } }, (at) =>
      at.flow('limits'),
    ),
    containers(draft),
    leftOut(draft),
  ]
    .filter((text) => text !== '')
    .join('\n\n')}\n`;
}

/** How many places of a file a person should look at. */
export function reviews(text: string): number {
  return text.match(/\bREVIEW:/g)?.length ?? 0;
}

function header({ cluster, standalone, date }: Draft): string {
  const what = standalone ? 'The stand-alone Proxmox VE node' : 'The Proxmox VE cluster';
  return [
    '# yaml-language-server: $schema=./schema.json',
    '#',
    ...lines([
      `${what} ${plainText(cluster)}, as \`proxwarden init\` saw it on ${date}. It is yours from now on: keep it in git.`,
      'Read it from top to bottom. What needs a look of yours is marked with REVIEW.',
      'Nothing is moved while failover.auto is false. Next: `proxwarden validate`, `proxwarden doctor`, `proxwarden check`.',
    ]),
  ].join('\n');
}

function api(draft: Draft): string {
  const { tls } = draft;
  const used = draft.endpoints.filter(({ left }) => !left);
  const left = draft.endpoints.filter((endpoint) => endpoint.left);
  const value = {
    api: {
      endpoints: used.map(({ url }) => url),
      token: draft.token,
      ...(tls.kind === 'fingerprint'
        ? { tls: { fingerprint: tls.sha256 } }
        : tls.kind === 'ca'
          ? { tls: { ca: tls.path } }
          : {}),
    },
  };
  return section(['How its API is reached. When one node is dead, the next one is asked.'], value, (at) => {
    for (const [index, { note }] of used.entries()) at.behind(['api', 'endpoints', index], note);
    at.after(
      ['api', 'endpoints'],
      left.map(({ url, note }) => `- ${url} # REVIEW: ${note}`),
    );
    at.before(
      ['api', 'token'],
      [
        'Where the API token is, never the token itself: env:NAME or file:PATH (one line, USER@REALM!NAME=SECRET, chmod 600).',
      ],
    );
    if (tls.kind === 'fingerprint') {
      at.before(
        ['api', 'tls'],
        [
          'SHA-256 of the certificates. After a renewal put the new one here (`pvenode cert info` on the node shows it), or',
          'name the CA that signs them all: { ca: FILE }, a copy of /etc/pve/pve-root-ca.pem.',
        ],
      );
      for (const [index, pin] of tls.sha256.entries())
        at.behind(['api', 'tls', 'fingerprint', index], draft.pinned.get(pin) ?? '');
    } else if (tls.kind === 'ca')
      at.before(['api', 'tls'], ["The certificate that has signed the nodes' own."]);
  });
}

function canaries(draft: Draft): string {
  const answering = draft.canaries.filter(({ silent }) => silent === null);
  const silent = draft.canaries.filter((canary) => canary.silent !== null);
  const about = [
    'Things that answer as long as the network of the machine that runs ProxWarden works: a gateway, a NAS, a backup',
    'server. When fewer than half of them answer, the trouble is on our side, and nothing is done.',
    ...(answering.length < 2
      ? ['REVIEW: name two or three: ping:HOST, tcp:HOST:PORT, http:URL or dns:SERVER/NAME.']
      : []),
    ...silent.map(({ canary, note, silent: why }) => `Not listed: ${canary}, ${note}: ${why}`),
  ];
  return section(about, { canaries: answering.map(({ canary }) => canary) }, (at) => {
    for (const [index, { note }] of answering.entries()) at.behind(['canaries', index], note);
  });
}

function nodes(draft: Draft): string {
  if (draft.nodes.length === 0) return '';
  const about = [
    'How a node is made provably off before its containers are started elsewhere. `manual` is your word: when a node is',
    'dead, you look, and type `proxwarden fence confirm NODE`. REVIEW: a smart plug does it without you; for a Shelly:',
    '  - shelly: { host: 10.0.0.71, gen: 2 }',
    ...(draft.nodes.length === 2
      ? [
          'With two nodes and no QDevice there is no quorum when one is dead, and so no failover: add a QDevice.',
        ]
      : []),
  ];
  const value = Object.fromEntries(draft.nodes.map((node) => [node, { fence: ['manual'] }]));
  return section(about, { nodes: value }, (at) => {
    for (const node of draft.nodes) at.flow('nodes', node);
  });
}

function defaults({ backupStorage, restoreStorage }: Draft): string {
  const value = {
    defaults: {
      interval: '60s',
      failureThreshold: 3,
      recoveryThreshold: 2,
      backup: { storage: backupStorage.storage, maxAge: '24h' },
      failover: { auto: false, proof: 'stopped', restoreStorage: restoreStorage.storage },
    },
  };
  const doubt = (purpose: string, review: string | null): string =>
    review === null ? purpose : `REVIEW: ${review}`;
  return section(['What holds for every container below, unless it says otherwise itself.'], value, (at) => {
    at.behind(['defaults', 'interval'], 'how often `check-and-failover` is run by cron');
    at.behind(['defaults', 'failureThreshold'], 'so many runs in a row must fail before anything is done');
    at.behind(
      ['defaults', 'recoveryThreshold'],
      'and so many must succeed before it counts as healthy again',
    );
    at.behind(['defaults', 'backup', 'storage'], doubt('where the backups are', backupStorage.review));
    at.behind(
      ['defaults', 'backup', 'maxAge'],
      'REVIEW: the most data, in time, that may be lost without your consent',
    );
    at.behind(['defaults', 'failover', 'auto'], 'REVIEW: true once you trust it; until then it only tells');
    at.behind(
      ['defaults', 'failover', 'proof'],
      'a copy is started only when the original is proven stopped, or its node off',
    );
    at.behind(
      ['defaults', 'failover', 'restoreStorage'],
      doubt("where the copies' disks go", restoreStorage.review),
    );
  });
}

function containers(draft: Draft): string {
  const value = Object.fromEntries(draft.containers.map((each) => [each.name, plainContainer(each)]));
  const about =
    draft.containers.length === 0
      ? ['REVIEW: the token sees no container that could be protected: does it have VM.Audit on /vms?']
      : [
          'One entry for each container. All checks of one must pass (`require: any`: one of them); they go to its own address,',
          'never through a reverse proxy. `nodes` are where it may go, in that order.',
        ];
  return section(about, { containers: value }, (at) => {
    for (const [index, { name, remarks, checks }] of draft.containers.entries()) {
      at.before(['containers', name], remarks, index > 0);
      at.flow('containers', name, 'nodes');
      at.flow('containers', name, 'failover');
      for (const [number, { check, note, review }] of checks.entries()) {
        const [kind = ''] = Object.keys(check);
        const path = ['containers', name, 'checks', number, kind];
        at.flow(...path);
        at.behind(path, review === undefined ? (note ?? '') : `REVIEW: ${review}`);
      }
    }
  });
}

function plainContainer(container: DraftContainer): Record<string, unknown> {
  return {
    vmid: container.vmid,
    ...(container.mode === null ? {} : { mode: container.mode }),
    ...(container.nodes.length === 0 ? {} : { nodes: container.nodes }),
    ...(container.checks.length === 0
      ? {}
      : { checks: container.checks.map((one: ProposedCheck) => one.check) }),
    ...(container.vmids.length === 0 ? {} : { failover: { vmids: container.vmids } }),
  };
}

function leftOut({ leftOut: all }: Draft): string {
  if (all.length === 0) return '';
  return lines(['Not in here:', ...all.map((text) => `  ${text}`)]).join('\n');
}

type Path = readonly (string | number)[];

/** Puts comments and styles to the nodes of a document. */
class Decorator {
  readonly #doc: Document;
  constructor(doc: Document) {
    this.#doc = doc;
  }

  /** On the same line. */
  behind(path: Path, text: string): void {
    const node = this.#doc.getIn(path, true);
    if (text !== '' && isNode(node)) node.comment = ` ${oneLine(text)}`;
  }

  /** On lines of their own, before the key. */
  before(path: Path, texts: readonly string[], blank = false): void {
    const map = path.length === 1 ? this.#doc.contents : this.#doc.getIn(path.slice(0, -1), true);
    const pair = isMap(map)
      ? map.items.find(({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)))
      : undefined;
    if (!isScalar(pair?.key)) return;
    if (texts.length > 0) pair.key.commentBefore = texts.map((text) => ` ${oneLine(text)}`).join('\n');
    if (blank) pair.key.spaceBefore = true;
  }

  /** After the last entry of a list. */
  after(path: Path, texts: readonly string[]): void {
    const node = this.#doc.getIn(path, true);
    if (texts.length > 0 && isNode(node)) node.comment = texts.map((text) => ` ${oneLine(text)}`).join('\n');
  }

  /** On one line, in braces or brackets. */
  flow(...path: Path): void {
    const node = this.#doc.getIn(path, true);
    if (isMap(node) || isSeq(node)) node.flow = true;
  }
}

/** A top-level key with its comments. */
function section(about: readonly string[], value: object, decorate?: (at: Decorator) => void): string {
  const doc = new Document(value);
  decorate?.(new Decorator(doc));
  const text = doc.toString({ lineWidth: 0, singleQuote: true }).trimEnd();
  return [...lines(about), text].join('\n');
}

function lines(texts: readonly string[]): string[] {
  return texts.map((text) => `# ${/^ */.exec(text)?.[0] ?? ''}${oneLine(text)}`);
}

/** What comes from a cluster can't break out of its comment. */
function oneLine(text: string): string {
  return plainText(text, 400);
}
