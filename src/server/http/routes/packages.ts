/** Serves the installer of agents and its packages from the configured folder. No key is needed. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { App } from '../http-context.ts';
import { notFound } from '../replies/problem.ts';

const INSTALLER = 'install-agent.sh';
const SUMS = 'SHA256SUMS';
const SIGNATURE = `${SUMS}.sig`;

/**
 * Adds `GET /install.sh` and `GET /packages/{file}`. Only files that SHA256SUMS names are served, in their present state. The script contains
 * the URL of the server and the digest of SHA256SUMS, so that it can verify every package.
 */
export function packageRoutes(app: App, p: { packagesDir?: string; publicUrl?: string }): void {
  const { packagesDir } = p;
  if (packagesDir === undefined) return;
  const options = { config: { access: 'public' }, schema: { hide: true } } as const;
  app.get('/install.sh', options, async (request, reply) => {
    const url = (p.publicUrl ?? `${request.protocol}://${request.host}`).replace(/\/$/, '');
    const [script, sums] = await Promise.all([read(packagesDir, INSTALLER), read(packagesDir, SUMS)]);
    reply.type('text/x-shellscript; charset=utf-8').header('cache-control', 'no-cache');
    return reply.send(withDefaults(script.toString('utf8'), url, createHash('sha256').update(sums).digest('hex')));
  });
  app.get(
    '/packages/:file',
    { ...options, schema: { hide: true, params: Type.Object({ file: Type.String() }) } },
    async (request, reply) => {
      const { file } = request.params;
      const sums = (await read(packagesDir, SUMS)).toString('utf8');
      const isNamed = sums.split('\n').some((line) => line.slice(66) === file && file !== '');
      if (!isNamed && file !== SUMS && file !== SIGNATURE) throw noFile();
      const path = join(packagesDir, file);
      const { size } = await stat(path).catch(() => {
        throw noFile();
      });
      reply.type('application/octet-stream').header('content-length', size).header('cache-control', 'no-cache');
      return reply.send(createReadStream(path, { end: Math.max(0, size - 1) }));
    },
  );
}

/** Inserts the defaults into the script, after its first line. */
function withDefaults(script: string, url: string, sums: string): string {
  const [first = '', ...rest] = script.split('\n');
  const defaults = [
    `INSTALL_URL=${quoted(url)}`,
    `INSTALL_FROM=${quoted(`${url}/packages`)}`,
    `INSTALL_SUMS=${quoted(sums)}`,
  ];
  return [first, ...defaults, ...rest].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

async function read(folder: string, file: string): Promise<Buffer> {
  const bytes = await readFile(join(folder, file)).catch(() => undefined);
  if (bytes === undefined) throw noFile();
  return bytes;
}

function noFile() {
  return notFound('There is no such file.');
}
