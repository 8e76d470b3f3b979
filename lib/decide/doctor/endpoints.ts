/** The API endpoints: do they answer, for this cluster, with a certificate that is accepted. Pure. */
import { formatDuration } from '../../units.ts';
import type { EndpointFacts, Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type Look } from './look.ts';

const SOON_MS = 14 * 86_400_000;

export function checkEndpoints(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) => [
    ...cluster.facts.endpoints.flatMap((one) => [
      ...answer(cluster, one),
      ...certificate(cluster, one, look.facts.at),
    ]),
    ...pinning(cluster),
    ...missing(cluster),
  ]);
}

function subject(cluster: ClusterLook, { endpoint }: Pick<EndpointFacts, 'endpoint'>): Subject {
  return { cluster: cluster.name, kind: 'endpoint', name: endpoint };
}

function answer(cluster: ClusterLook, one: EndpointFacts): Finding[] {
  const about = subject(cluster, one);
  if (cluster.facts.credentialProblem !== null) return [];
  if (!one.ok) {
    if (one.failure === 'auth' || (one.failure === 'tls' && isShared(cluster))) return [];
    const error = one.error ?? 'no answer';
    return one.failure === 'tls'
      ? [
          finding(
            'tls-mismatch',
            'fail',
            about,
            error,
            'compare its fingerprint or CA with the inventory; on that node:',
            ['pvenode cert info'],
          ),
        ]
      : [
          finding(
            'endpoint-silent',
            cluster.facts.endpoints.some((e) => e.ok) ? 'warn' : 'fail',
            about,
            error,
            'correct api.endpoints, or make the node reachable from this machine (port 8006)',
          ),
        ];
  }
  const view = cluster.view?.endpoints.find((e) => e.endpoint === one.endpoint);
  const known = cluster.facts.nodes.map((n) => n.name);
  if (one.node !== null && known.length > 0 && !known.includes(one.node))
    return [
      finding(
        'endpoint-foreign',
        'fail',
        about,
        `it is ${one.node}, which is not a node of ${cluster.name} (${listed(known)})`,
        'one file of the inventory is one cluster: give stand-alone nodes and other clusters a file each',
      ),
    ];
  if (view !== undefined && view.ok && !view.quorate && cluster.view !== null)
    return [
      finding(
        'endpoint-no-quorum',
        'fail',
        about,
        `${one.node ?? 'it'} has no quorum, and others have: it is cut off from the cluster`,
        'mend the cluster network of that node; on it:',
        ['pvecm status'],
      ),
    ];
  return [];
}

/** Some certificates are pinned and others are not: every node has one of its own. */
function isShared({ config, facts }: ClusterLook): boolean {
  const { tls } = config;
  if (tls.kind !== 'fingerprint') return false;
  const shown = facts.endpoints.flatMap((e) => e.certificate?.fingerprint ?? []);
  return shown.some((one) => tls.sha256.includes(one)) && !shown.every((one) => tls.sha256.includes(one));
}

function pinning(cluster: ClusterLook): Finding[] {
  const { config, facts } = cluster;
  const about: Subject = { cluster: cluster.name, kind: 'credential', name: 'TLS' };
  if (config.tls.kind === 'insecure')
    return [
      finding(
        'tls-insecure',
        'warn',
        about,
        'certificates are not checked (tls.insecure): whoever is in between gets the token',
        'copy /etc/pve/pve-root-ca.pem of any node to this machine and set tls: { ca: FILE }',
      ),
    ];
  if (config.tls.kind !== 'fingerprint' || !isShared(cluster)) return [];
  const { sha256 } = config.tls;
  const others = facts.endpoints.filter(
    (e) => e.certificate !== null && !sha256.includes(e.certificate.fingerprint),
  );
  return [
    finding(
      'tls-fingerprint-shared',
      'fail',
      about,
      `${sha256.length === 1 ? 'one fingerprint is' : `${sha256.length} fingerprints are`} pinned for ${facts.endpoints.length} endpoints, and every node has a certificate of its own: ${listed(others.map((e) => e.endpoint))} can't be used`,
      'pin each node’s fingerprint (`pvenode cert info` there), or copy /etc/pve/pve-root-ca.pem to this machine and set tls: { ca: FILE }, which holds for all nodes',
    ),
  ];
}

function certificate(cluster: ClusterLook, one: EndpointFacts, now: number): Finding[] {
  if (one.certificate === null) return [];
  const left = one.certificate.expires - now;
  if (left > SOON_MS) return [];
  const { kind } = cluster.config.tls;
  const refused = kind === 'ca' || kind === 'system';
  const when = left < 0 ? `expired ${formatDuration(-left)} ago` : `expires in ${formatDuration(left)}`;
  return [
    finding(
      'tls-expires',
      left < 0 && refused ? 'fail' : 'warn',
      subject(cluster, one),
      `its certificate ${when}${left < 0 || !refused ? '' : ', and is then refused'}${kind === 'fingerprint' ? '; a new one has another fingerprint' : ''}`,
      'Proxmox VE renews its own certificates two weeks before their end; on that node:',
      ['pvecm updatecerts --force', 'pvenode cert info'],
    ),
  ];
}

/** When the only endpoint dies with its node, nobody can be asked. */
function missing(cluster: ClusterLook): Finding[] {
  const { facts, view, config } = cluster;
  if (view === null || view.standalone) return [];
  const known = new Set(facts.endpoints.map((e) => e.node));
  // An endpoint that is silent now may be the node that is looked for.
  if (facts.endpoints.some((e) => !e.ok)) return [];
  const without = facts.nodes.filter((n) => !known.has(n.name));
  if (without.length === 0) return [];
  const one = config.endpoints.length === 1;
  const about: Subject = { cluster: cluster.name, kind: 'cluster', name: cluster.name };
  const add = without.map((n) => (n.ip === null ? n.name : `https://${n.ip}:8006`));
  return [
    finding(
      'endpoint-missing',
      one ? 'fail' : 'warn',
      about,
      one
        ? `${config.endpoints[0] ?? ''} is the only endpoint: when its node dies the cluster can't be asked, and nothing is failed over`
        : `${listed(without.map((n) => n.name))} ${without.length === 1 ? 'is' : 'are'} not among the endpoints: when the others are down nobody can be asked`,
      `add to api.endpoints: ${add.join(', ')}`,
    ),
  ];
}
