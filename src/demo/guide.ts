/** What the demo tells its user: addresses, requests to try, and which line of which file to change. */
import { readFileSync } from 'node:fs';
import type { EndpointSlice, Ingress } from '../model/resources.ts';

export interface GuideInput {
  readonly version: string;
  readonly host: string;
  readonly httpPort: number;
  readonly adminUrl: string;
  readonly dir: string;
  readonly ingresses: readonly Ingress[];
  readonly slices: readonly EndpointSlice[];
  /** One line each. */
  readonly problems: readonly string[];
  /** File names as the user would type them. */
  readonly shownPath: (file: string) => string;
}

export function guide(input: GuideInput): string {
  const hosts = new Set(input.ingresses.flatMap((ingress) => ingress.rules.map((rule) => rule.host)));
  const parts = [
    `Holdfast ${input.version} serves ${input.dir}\n  traffic  http://${input.host}:${input.httpPort}\n  admin    ${input.adminUrl}/metrics  ${input.adminUrl}/api/v1/problems`,
    urls(input),
    requests(input, hosts),
    changes(input),
    input.problems.length === 0
      ? ''
      : `Problems in these manifests (everything else goes on):\n${indented(input.problems)}`,
    'Ctrl-C stops everything.',
  ];
  return parts.filter((part) => part !== '').join('\n\n') + '\n';
}

function urls({ ingresses, httpPort }: GuideInput): string {
  const rows = ingresses.flatMap(({ meta, rules }) =>
    rules.flatMap(({ host, paths }) =>
      paths.map(({ path, backend }) => {
        const url = `http://${host === '' ? 'localhost' : host}:${httpPort}${path}`;
        return `${url.padEnd(40)} ${meta.namespace}/${backend?.service ?? '?'}`;
      }),
    ),
  );
  return rows.length === 0 ? '' : `Hosts:\n${indented(rows)}`;
}

/** Each answer names its pod; only what the manifests really hold is proposed. */
function requests({ host, httpPort }: GuideInput, hosts: ReadonlySet<string>): string {
  const url = (name: string, path = '/'): string => `http://${name}.localhost:${httpPort}${path}`;
  const rows: string[] = [];
  if (hosts.has('shop.localhost')) {
    rows.push('# with a cookie: the same pod every time, one for / and one for /cart');
    rows.push(`for i in 1 2 3; do curl -s -c jar -b jar ${url('shop')} ${url('shop', '/cart')}; done`);
    rows.push('# without: any pod', `for i in 1 2 3; do curl -s ${url('shop')}; done`);
  }
  if (hosts.has('api.localhost')) {
    rows.push('# the header chooses the pod', `curl -s -H 'X-Session-Id: alice' ${url('api')}`);
  }
  if (hosts.has('assets.localhost')) rows.push('# no persistence', `curl -s ${url('assets', '/logo.png')}`);
  if (hosts.has('chat.localhost')) {
    const handshake = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: aG9sZGZhc3QtZGVtby1rZQ==',
    ];
    rows.push('# a WebSocket: 101, the pod and a cookie (/ws echoes messages)');
    rows.push(`curl -si -m 2 ${handshake.map((line) => `-H '${line}'`).join(' ')} ${url('chat', '/ws')}`);
  }
  const [first] = hosts;
  if (first !== undefined && first !== '') {
    rows.push('# where *.localhost has no address', `curl -s -H 'Host: ${first}' http://${host}:${httpPort}/`);
  }
  return rows.length === 0 ? '' : `Try:\n${indented(rows)}`;
}

/** Lines to edit, for the pods of the Service that the first file's slices belong to. */
function changes({ slices, shownPath }: GuideInput): string {
  const rows: string[] = [];
  const shop = slices.filter(({ meta, service }) => meta.namespace === 'shop' && service === 'web');
  for (const { meta, endpoints } of shop) {
    if (meta.location === undefined) continue;
    const { file } = meta.location;
    const at = conditionLines(file, meta.location.line);
    if (at === undefined) continue;
    const pod = endpoints[0]?.targetRef?.name ?? meta.name;
    rows.push(`${shownPath(file)}: pod ${pod}: line ${at.serving} serving, line ${at.terminating} terminating`);
  }
  if (rows.length === 0) return '';
  return `See a pod drain and its sessions move (a saved file takes effect at once):
  terminating: true   the pod drains: its sessions stay, new ones go elsewhere
  then serving: false the pod is gone: each of its sessions moves, once
${indented(rows)}`;
}

/** 1-based lines of the conditions in the document that begins at `from`. */
function conditionLines(file: string, from: number): { serving: number; terminating: number } | undefined {
  const lines = readFileSync(file, 'utf8').split('\n');
  const end = lines.indexOf('---', from);
  const find = (pattern: RegExp): number =>
    1 + lines.findIndex((line, index) => index >= from - 1 && (end < 0 || index < end) && pattern.test(line));
  const serving = find(/^\s*serving:/);
  const terminating = find(/^\s*terminating:/);
  return serving === 0 || terminating === 0 ? undefined : { serving, terminating };
}

function indented(rows: readonly string[]): string {
  return rows.map((row) => `  ${row}`).join('\n');
}
