/** One nginx process with the settings that its roles have in common. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { fileIn } from './files.ts';

/** `http`: the rest of that block of its configuration. */
export function nginx(name: string, folder: string, cores: string, http: string): Child {
  mkdirSync(join(folder, 'temporary'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, 'temporary', kind)};`)
    .join(' ');
  const file = fileIn(
    folder,
    'nginx.conf',
    `daemon off;
master_process off;
pid ${join(folder, 'pid')};
error_log stderr error;
events { worker_connections 12000; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 3600;
  ${temporary}
  ${http}
}
`,
  );
  return new Child(name, cores, 'nginx', ['-e', 'stderr', '-p', folder, '-c', file]);
}
