/** Chromium over HTTPS: pages, many fetches at once, tabs and WebSockets are one session, by HTTP/2 and by HTTP/1.1. */
import { beforeAll, describe, expect, test } from 'vitest';
import { startChromium } from './chromium.ts';
import type { Chromium, Tab } from './chromium.ts';
import { COOKIE, digest, LARGE, setPods, startSite } from './site.ts';
import type { RunningSite } from './site.ts';

/** A WebSocket over HTTP/2 is opened by 200, not by 101 (RFC 8441, section 5). */
const WAYS = [
  { name: 'HTTP/2', protocol: 'h2', flags: [], handshake: 200 },
  { name: 'HTTP/1.1', protocol: 'http/1.1', flags: ['--disable-http2'], handshake: 101 },
] as const;

/** Of the page: gives the pod that a WebSocket is with, the length of its echo, and the code that it is closed with. */
const CHAT = `() => new Promise((resolve, reject) => {
  const socket = new WebSocket('/chat');
  const told = [];
  socket.onmessage = ({ data }) => {
    if (told.length === 0) socket.send('x'.repeat(200_000));
    else socket.close();
    told.push(told.length === 0 ? data : data.length);
  };
  socket.onclose = ({ code }) => resolve([...told, code]);
  socket.onerror = () => reject(new Error('the WebSocket failed'));
})`;

let site: RunningSite;
let page: string;

beforeAll(async () => {
  site = await startSite();
  page = `${site.secure}/page`;
});

/** The pod that a page is of. */
async function podOf(tab: Tab): Promise<string> {
  return await tab.evaluate('document.body.innerText');
}

/** The pods that answer fetches made at once. */
async function fetched(tab: Tab, count: number): Promise<string[]> {
  const one = 'async (_, i) => (await fetch(`/${i}`)).text()';
  return await tab.evaluate(`Promise.all(Array.from({ length: ${count} }, ${one}))`);
}

async function moves(): Promise<number> {
  return (await site.app.metrics()).sum('holdfast_session_moves_total', { policy: 'web' });
}

describe.each(WAYS)('by $name', ({ protocol, flags, handshake }) => {
  let chromium: Chromium;

  beforeAll(async () => {
    chromium = await startChromium(...flags);
  });

  test('a page, and the cookie as it was set', async () => {
    const user = await chromium.newUser();
    const tab = await user.open(page);
    expect(await tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")).toBe(protocol);
    expect(await user.cookies()).toMatchObject([
      { name: COOKIE, domain: 'web.test', httpOnly: true, secure: true, sameSite: 'Strict' },
    ]);
    expect(await tab.evaluate('document.cookie')).toBe('');
  });

  test('20 fetches at once and another tab are of the same session', async () => {
    const user = await chromium.newUser();
    const tab = await user.open(page);
    const cookies = await user.cookies();
    const pod = await podOf(tab);
    expect(await fetched(tab, 20)).toEqual(Array.from({ length: 20 }, () => pod));
    const other = await user.open(page);
    expect(await podOf(other)).toBe(pod);
    expect(await user.cookies()).toEqual(cookies);
  });

  test('5 MB down and up again', async () => {
    const tab = await (await chromium.newUser()).open(page);
    const digested = await tab.evaluate(`(async () => {
      const body = await (await fetch('/large')).blob();
      return await (await fetch('/upload', { method: 'POST', body })).text();
    })()`);
    expect(digested).toBe(digest(LARGE));
  });

  test('WebSockets are of the same session, and echo', async () => {
    const tab = await (await chromium.newUser()).open(page);
    const [{ response }, echoes] = await Promise.all([
      tab.event('Network.webSocketHandshakeResponseReceived'),
      tab.evaluate(`Promise.all(Array.from({ length: 5 }, ${CHAT}))`),
    ]);
    const echo = [await podOf(tab), 200_000, 1005];
    expect(echoes).toEqual(Array.from({ length: 5 }, () => echo));
    expect(response).toMatchObject({ status: handshake });
  });

  test('when its pod is gone the session moves once', async () => {
    const user = await chromium.newUser();
    const tab = await user.open(page);
    const lost = await podOf(tab);
    const before = await moves();
    await setPods(
      site,
      site.pods.filter(({ pod }) => pod !== lost),
    );
    await tab.reload();
    const pod = await podOf(tab);
    expect(pod).not.toBe(lost);
    await setPods(site, site.pods);
    expect(await fetched(tab, 20)).toEqual(Array.from({ length: 20 }, () => pod));
    expect(await moves()).toBe(before + 1);
  });
});
