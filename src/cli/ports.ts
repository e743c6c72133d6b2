/** Looks whether the ports are free before anything starts, so that a taken one is told by the name of its flag. */
import { createServer } from 'node:net';
import type { Config, HostPort } from '../config/config.ts';

/** One sentence a port that cannot be had; empty = all is well. */
export async function portProblems(config: Config): Promise<string[]> {
  const { bindAddress, httpPort, httpsPort, adminAddress } = config;
  const problems = [
    await problemOf({ host: bindAddress, port: httpPort }, '--http-port', '--bind-address', String),
    httpsPort === undefined
      ? undefined
      : await problemOf({ host: bindAddress, port: httpsPort }, '--https-port', '--bind-address', String),
    await problemOf(adminAddress, '--admin-address', '--admin-address', (port) =>
      hostPortText({ ...adminAddress, port }),
    ),
  ];
  return problems.filter((problem) => problem !== undefined);
}

export function hostPortText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function problemOf(
  address: HostPort,
  portFlag: string,
  hostFlag: string,
  text: (port: number) => string,
): Promise<string | undefined> {
  const code = await listenError(address);
  switch (code) {
    case undefined:
      return undefined;
    case 'EADDRINUSE': {
      const free = await nextFree(address);
      const instead = free === undefined ? 'another one' : `${portFlag} ${text(free)}`;
      return `${portFlag} ${text(address.port)} is taken: stop what listens on ${hostPortText(address)}, or use ${instead}`;
    }
    case 'EACCES':
      return `${portFlag} ${text(address.port)} needs more rights than this process has: use a port from 1024 up`;
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      // Without IPv6 the wildcard falls back to 0.0.0.0.
      if (address.host === '::') return problemOf({ ...address, host: '0.0.0.0' }, portFlag, hostFlag, text);
      return `${hostFlag} ${address.host}: no interface of this machine has that address`;
    default:
      return `${portFlag} ${text(address.port)}: cannot listen on ${hostPortText(address)} (${code})`;
  }
}

async function nextFree({ host, port }: HostPort): Promise<number | undefined> {
  for (let next = port + 1; next <= Math.min(port + 20, 65535); next++) {
    if ((await listenError({ host, port: next })) === undefined) return next;
  }
  return undefined;
}

/**
 * Listens for a moment. Without `reusePort`, so that a second Holdfast on the same port is found too: the kernel would
 * let its workers and ours share the port, and clients would land on either.
 */
async function listenError({ host, port }: HostPort): Promise<string | undefined> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  return await promise;
}
