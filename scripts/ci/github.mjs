// What the scripts of the workflows ask of GitHub, with the job's own token:
//   comment MARKER FILE        one comment on the pull request of the event, made or brought up to date
//   pull-request BRANCH FILE   one open pull request of that branch; an issue where the repository lets no job open any
//   issue MARKER FILE          one open issue
//   settle BRANCH              closes them
import { readFileSync } from 'node:fs';

const { GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_EVENT_PATH } = process.env;
const TITLE = 'Containers live elsewhere than the inventory says';
const [, , what, key, file] = process.argv;
const [owner] = GITHUB_REPOSITORY.split('/');
const body = file === undefined ? '' : `<!-- ${key} -->\n${readFileSync(file, 'utf8')}`.slice(0, 65_000);

/** A request to the repository's part of the API. Ends the process when GitHub refuses, unless the status is expected. */
async function ask(method, path, json, expected = []) {
  const answer = await fetch(`${GITHUB_API_URL}/repos/${GITHUB_REPOSITORY}${path}`, {
    method,
    signal: AbortSignal.timeout(30_000),
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${GITHUB_TOKEN}`,
      'user-agent': 'proxwarden',
    },
    body: json === undefined ? undefined : JSON.stringify(json),
  });
  if (answer.ok) return answer.json();
  if (expected.includes(answer.status)) return null;
  console.error(`GitHub answers ${answer.status} to ${method} ${path}`);
  process.exit(1);
}

/** The first of a list that is asked for page by page. */
async function find(path, fits) {
  for (let page = 1; page <= 20; page += 1) {
    const list = await ask('GET', `${path}${path.includes('?') ? '&' : '?'}per_page=100&page=${page}`);
    const found = list.find(fits);
    if (found !== undefined || list.length < 100) return found;
  }
  return undefined;
}

const ours = (one) => one.body?.startsWith(`<!-- ${key} -->`) === true && one.user?.type === 'Bot';
const openPull = async () =>
  (await ask('GET', `/pulls?state=open&head=${owner}:${encodeURIComponent(key)}&per_page=100`))[0];
const openIssue = () => find('/issues?state=open', (one) => one.pull_request === undefined && ours(one));

async function comment() {
  const { pull_request: pull, repository } = JSON.parse(readFileSync(GITHUB_EVENT_PATH, 'utf8'));
  if (pull.head.repo?.full_name !== repository.full_name) {
    console.log('a pull request of a fork: its job may not comment; the job summary has it all');
    return;
  }
  const there = await find(`/issues/${pull.number}/comments`, ours);
  if (there === undefined) await ask('POST', `/issues/${pull.number}/comments`, { body });
  else if (there.body !== body) await ask('PATCH', `/issues/comments/${there.id}`, { body });
}

async function issue() {
  const there = await openIssue();
  if (there === undefined) await ask('POST', '/issues', { title: TITLE, body });
  else if (there.body !== body) await ask('PATCH', `/issues/${there.number}`, { body });
}

async function pullRequest() {
  const there = await openPull();
  if (there !== undefined) {
    if (there.body !== body) await ask('PATCH', `/pulls/${there.number}`, { body });
    return;
  }
  const { default_branch: base } = await ask('GET', '');
  // 403, 422: "GitHub Actions is not permitted to create or approve pull requests", a setting of the repository.
  if ((await ask('POST', '/pulls', { title: TITLE, body, base, head: key }, [403, 422])) !== null) return;
  console.log('the repository lets no job open pull requests: an issue instead');
  await issue();
}

async function settle() {
  for (const there of [await openPull(), await openIssue()])
    if (there !== undefined) await ask('PATCH', `/issues/${there.number}`, { state: 'closed' });
}

await { comment, issue, 'pull-request': pullRequest, settle }[what]();
