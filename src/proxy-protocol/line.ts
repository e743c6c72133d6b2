/** Version 1: one line of text (proxy-protocol.txt section 2.1). */
import { inIpv4 } from '../model/ends.ts';
import type { End, Ends } from '../model/ends.ts';
import { formatIp, parseIp, wordsOfIpv6 } from '../model/ip.ts';
import type { HeaderRead } from './read.ts';

export const LINE_START = Buffer.from('PROXY ', 'latin1');
/** CR LF included. */
const MAX_LINE = 107;
const PORT = /^(?:0|[1-9]\d{0,4})$/;

export function readLine(bytes: Buffer): HeaderRead {
  const longest = bytes.subarray(0, MAX_LINE);
  const end = longest.indexOf('\r\n', 0, 'latin1');
  if (end < 0) return longest.length < MAX_LINE ? 'partial' : 'malformed';
  const length = end + 2;
  const [, family, client, server, clientPort, serverPort, ...rest] = longest.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { length, ends: undefined };
  if (rest.length > 0) return 'malformed';
  const ends = endsOf(endOf(family, client, clientPort), endOf(family, server, serverPort));
  return ends === undefined ? 'malformed' : { length, ends };
}

function endsOf(client: End | undefined, server: End | undefined): Ends | undefined {
  return client === undefined || server === undefined ? undefined : { client, server };
}

function endOf(family = '', address = '', port = ''): End | undefined {
  if (family !== (address.includes(':') ? 'TCP6' : 'TCP4') || !PORT.test(port) || Number(port) > 65_535)
    return undefined;
  const ip = parseIp(address);
  return ip && { ip, port: Number(port) };
}

/** `ends` unknown: the connection is our own. */
export function lineText(ends: Ends | undefined): string {
  if (ends === undefined) return 'PROXY UNKNOWN\r\n';
  const { client, server } = ends;
  const ipv4 = inIpv4(ends);
  const text = ({ ip }: End) => formatIp(ipv4 ? ip : { version: 6, words: wordsOfIpv6(ip) });
  return `PROXY TCP${ipv4 ? 4 : 6} ${text(client)} ${text(server)} ${client.port} ${server.port}\r\n`;
}
