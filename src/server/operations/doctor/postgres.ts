import { type Finding, fail, ok, warn } from '../../../node/finding.ts';
import type { PostgresExamination } from '../../../store/postgres/cluster/examine.ts';
import type { ServerConfig } from '../../config.ts';
import { loadServerKeys } from '../../seal.ts';

/** Number of connections of one server, including temporary ones. */
const CONNECTIONS_A_SERVER = 10;
/** Clock difference from which a warning is given, ms. It is large, because servers use the database's clock. */
const CLOCK_OFFSET_MS = 5000;

/** Checks that the PostgreSQL database is reachable, recent enough and durable, and has free connections and this server's secret key. */
export async function examineCluster(config: ServerConfig & { databaseUrl: string }): Promise<Finding[]> {
  let found: PostgresExamination;
  try {
    const { examinePostgres } = await import('../../../store/postgres/cluster/examine.ts');
    found = await examinePostgres(config.databaseUrl);
  } catch (error) {
    const remedy = 'Check EXECPLANE_DATABASE_URL, that PostgreSQL runs, and that pg_hba.conf lets this host in.';
    return [fail('database', (error as Error).message, remedy)];
  }
  return [
    ok('database', `PostgreSQL ${found.version} answers`),
    durability(found),
    standbys(found),
    ok('time zone', `${found.timeZone}; times do not depend on it`),
    clock(found),
    connections(found),
    schema(found),
    secretKey(found, config),
    servers(found),
  ];
}

function durability({ fsync, synchronousCommit }: PostgresExamination): Finding {
  const check = 'durability';
  if (!fsync)
    return fail(check, 'fsync is off', 'Set fsync = on: without it a crash of the host destroys the database.');
  if (synchronousCommit !== 'off') return ok(check, `synchronous_commit is ${synchronousCommit}`);
  const remedy = 'Set synchronous_commit = on: without it a crash loses executions that were acknowledged.';
  return fail(check, 'synchronous_commit is off', remedy);
}

function standbys({ standbys: count, waitsForStandbys }: PostgresExamination): Finding {
  const check = 'standbys';
  if (count === 0 && !waitsForStandbys) return ok(check, 'none');
  if (waitsForStandbys && count > 0) return ok(check, `${count}, and commits wait for them`);
  if (waitsForStandbys) {
    const remedy = 'Start a standby, or every write waits: synchronous_standby_names asks for one.';
    return fail(check, 'none is connected, and commits wait for one', remedy);
  }
  const remedy = 'Set synchronous_standby_names: otherwise a failover can lose executions that were acknowledged.';
  return warn(check, `${count}, and commits wait for none`, remedy);
}

function clock({ clockOffsetMs }: PostgresExamination): Finding {
  const message = `this host is ${Math.abs(clockOffsetMs)} ms ${clockOffsetMs > 0 ? 'behind' : 'ahead of'} the database`;
  if (Math.abs(clockOffsetMs) < CLOCK_OFFSET_MS) return ok('clock', message);
  const remedy = 'Synchronise both by NTP (timedatectl set-ntp true). Times of executions are those of the database.';
  return warn('clock', message, remedy);
}

function connections({ connections: used, maxConnections }: PostgresExamination): Finding {
  const message = `${used} of ${maxConnections} are used`;
  if (maxConnections - used >= CONNECTIONS_A_SERVER) return ok('connections', message);
  return warn('connections', message, `Raise max_connections: a server needs ${CONNECTIONS_A_SERVER}.`);
}

function schema({ schema: present, knownSchema, readableBy }: PostgresExamination): Finding {
  const message = `version ${present}; this build knows ${knownSchema}`;
  if (present === 0) return warn('schema', 'there is none yet', 'Start a server once: it makes the tables.');
  if (readableBy > knownSchema) {
    return fail('schema', message, 'Install the newer version that the other servers run.');
  }
  if (present >= knownSchema) return ok('schema', message);
  return warn('schema', message, 'Start a server of this build: it brings the database up to date.');
}

function secretKey({ fingerprint }: PostgresExamination, { dataDir, secretKeyFile }: ServerConfig): Finding {
  const check = 'secret key';
  try {
    const own = loadServerKeys(dataDir, secretKeyFile).fingerprint;
    if (fingerprint === undefined) return ok(check, 'no server has run yet');
    if (own.equals(fingerprint)) return ok(check, 'it is the one of the other servers');
    const remedy = 'Copy the file of a server that runs. With another key a server refuses to start.';
    return fail(check, `${secretKeyFile ?? dataDir} holds another key than the servers of this database have`, remedy);
  } catch (error) {
    return fail(check, (error as Error).message, 'Name the file that all servers share: EXECPLANE_SECRET_KEY_FILE.');
  }
}

function servers({ servers: versions }: PostgresExamination): Finding {
  if (versions.length === 0) return warn('servers', 'none is running', 'Start one.');
  return ok('servers', `${versions.length} are running: ${versions.join(', ')}`);
}
