/** IP addresses and CIDR blocks as numbers: parsing, printing, masking and containment; an IPv4-mapped IPv6 address is its IPv4 address. */

export interface Ip {
  readonly version: 4 | 6;
  /** Unsigned 32-bit words, most significant first: one for IPv4, four for IPv6. */
  readonly words: readonly number[];
}

export interface Cidr {
  readonly version: 4 | 6;
  /** Words of the network address; bits beyond the prefix are zero. */
  readonly words: readonly number[];
  /** 0..32 or 0..128. */
  readonly prefix: number;
}

/** undefined = not an IP address. Leading zeros in IPv4 parts (octal to some readers) and zone ids are refused. */
export function parseIp(text: string): Ip | undefined {
  if (text.length > 45) return undefined;
  if (!text.includes(':')) {
    const word = parseIpv4(text);
    return word === undefined ? undefined : { version: 4, words: [word] };
  }
  const words = parseIpv6(text);
  return words === undefined ? undefined : ipOfWords(words);
}

/** Of one word or four. */
export function ipOfWords(words: readonly number[]): Ip {
  if (words.length === 1) return { version: 4, words };
  return isMapped(words) ? { version: 4, words: words.slice(3) } : { version: 6, words };
}

/** `address/prefix`; undefined = not a CIDR block. Host bits beyond the prefix are dropped. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const address = text.slice(0, slash);
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  const mapped = ip.version === 4 && address.includes(':');
  const prefix = Number(digits) - (mapped ? 96 : 0);
  if (prefix < 0 || prefix > (ip.version === 4 ? 32 : 128)) return undefined;
  return { version: ip.version, words: maskWords(ip.words, prefix), prefix };
}

export function cidrContains(cidr: Cidr, ip: Ip): boolean {
  if (cidr.version !== ip.version) return false;
  let left = cidr.prefix;
  for (let i = 0; left > 0; i++, left -= 32) {
    if ((((cidr.words[i] ?? 0) ^ (ip.words[i] ?? 0)) & wordMask(left)) !== 0) return false;
  }
  return true;
}

/** Its four words as an IPv6 address; an IPv4 address is mapped. */
export function wordsOfIpv6({ version, words }: Ip): readonly number[] {
  return version === 6 ? words : [0, 0, 0xffff, ...words];
}

/** The canonical text: dotted decimal, or RFC 5952 for IPv6. */
export function formatIp(ip: Ip): string {
  return ip.version === 4 ? formatIpv4(ip.words[0] ?? 0) : formatIpv6(ip.words);
}

/** Text of the network that `ip` lies in, without the prefix: equal texts = same network. */
export function maskIp(ip: Ip, v4Prefix: number, v6Prefix: number): string {
  const prefix = ip.version === 4 ? v4Prefix : v6Prefix;
  return formatIp({ version: ip.version, words: maskWords(ip.words, prefix) });
}

/** 1 bits for as many of a word's 32 bits as the rest of a prefix covers; shifts take their count modulo 32, hence the cases. */
function wordMask(left: number): number {
  if (left >= 32) return -1;
  return left <= 0 ? 0 : -1 << (32 - left);
}

function maskWords(words: readonly number[], prefix: number): number[] {
  return words.map((word, i) => (word & wordMask(prefix - 32 * i)) >>> 0);
}

/** ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
function isMapped(words: readonly number[]): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
}

function parseIpv4(text: string): number | undefined {
  let word = 0;
  let parts = 0;
  let at = 0;
  while (parts < 4) {
    const start = at;
    let value = 0;
    for (; at < text.length && at - start < 4; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const length = at - start;
    if (length === 0 || value > 255 || (length > 1 && text.charCodeAt(start) === 48)) return undefined;
    word = word * 256 + value;
    parts++;
    if (parts < 4 && text.charCodeAt(at++) !== 46) return undefined;
  }
  return at === text.length ? word : undefined;
}

/** RFC 4291 section 2.2: eight groups, one `::`, the last two groups possibly dotted decimal. */
function parseIpv6(text: string): number[] | undefined {
  const gap = text.indexOf('::');
  if (gap < 0) {
    const groups = parseGroups(text);
    return groups?.length === 8 ? toWords(groups) : undefined;
  }
  if (text.includes('::', gap + 1)) return undefined;
  const head = parseGroups(text.slice(0, gap));
  const tail = parseGroups(text.slice(gap + 2));
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  if (text.slice(0, gap).includes('.')) return undefined;
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return toWords([...head, ...zeros, ...tail]);
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const word = i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (word === undefined) return undefined;
      groups.push(word >>> 16, word & 0xffff);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function toWords(groups: readonly number[]): number[] {
  return [0, 2, 4, 6].map((i) => (((groups[i] ?? 0) << 16) | (groups[i + 1] ?? 0)) >>> 0);
}

function formatIpv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return best < 0 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}
