/** Examines a PostgreSQL database without changing it. */
import { connect } from '../connections/connection.ts';
import { latestMigration } from '../connections/migrations.ts';
import { assertUsable } from '../connections/schema.ts';
import { parseDatabaseUrl } from '../connections/url.ts';
import { REPLICA_ALIVE } from '../statements/select-machine.ts';

export interface PostgresExamination {
  /** The version, such as `15.18`. */
  version: string;
  timeZone: string;
  fsync: boolean;
  synchronousCommit: string;
  /** The number of connected standbys, and whether commits wait for any of them. */
  standbys: number;
  waitsForStandbys: boolean;
  /** The database's clock minus this host's, ms. */
  clockOffsetMs: number;
  connections: number;
  maxConnections: number;
  /** The newest migration that was applied, and that this build knows; 0: none. */
  schema: number;
  knownSchema: number;
  /** The oldest build that may use the schema. */
  readableBy: number;
  /** Fingerprint of the secret key that the servers share. Absent: no server has run yet. */
  fingerprint?: Buffer;
  /** Versions of the living servers. */
  servers: string[];
}

const SETTINGS = `SELECT current_setting('server_version') AS version,
  current_setting('TimeZone') AS zone, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
  (SELECT count(*) FROM pg_stat_replication) AS standbys, current_setting('synchronous_standby_names') AS names,
  floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS max,
  to_regclass('schema_migrations') IS NOT NULL AS made`;

interface SettingsRow {
  version: string;
  zone: string;
  fsync: string;
  commit: string;
  standbys: number;
  names: string;
  clock: number;
  connections: number;
  max: number;
  made: boolean;
}

/** Examines the database at `url`. Rejects with DatabaseUrlError, StoreUnavailableError. */
export async function examinePostgres(url: string): Promise<PostgresExamination> {
  const address = parseDatabaseUrl(url);
  const connection = await connect(address);
  try {
    await assertUsable(connection, address);
    const askedAt = Date.now();
    const [row] = await connection.query<SettingsRow>({ text: SETTINGS });
    if (row === undefined) throw new Error('PostgreSQL answered nothing');
    const clockOffsetMs = Math.round(row.clock - (askedAt + Date.now()) / 2);
    const own = row.made ? await examineSchema(connection) : { schema: 0, readableBy: 0, servers: [] };
    return {
      version: row.version,
      timeZone: row.zone,
      fsync: row.fsync === 'on',
      synchronousCommit: row.commit,
      standbys: row.standbys,
      waitsForStandbys: row.names !== '',
      clockOffsetMs,
      // Without the connection of this examination.
      connections: row.connections - 1,
      maxConnections: row.max,
      knownSchema: latestMigration(),
      ...own,
    };
  } finally {
    await connection.close();
  }
}

async function examineSchema(connection: Awaited<ReturnType<typeof connect>>) {
  const [versions, keys, replicas] = await Promise.all([
    connection.query<{ schema: number | null; readable: number | null }>({
      text: 'SELECT max(version) AS schema, max(readable_by) AS readable FROM schema_migrations',
    }),
    connection.query<{ fingerprint: Buffer | null }>({ text: 'SELECT key_fingerprint AS fingerprint FROM cluster' }),
    connection.query<{ version: string }>({ text: `SELECT version FROM replicas WHERE ${REPLICA_ALIVE} ORDER BY id` }),
  ]);
  const fingerprint = keys[0]?.fingerprint ?? undefined;
  return {
    schema: versions[0]?.schema ?? 0,
    readableBy: versions[0]?.readable ?? 0,
    servers: replicas.map(({ version }) => version),
    ...(fingerprint && { fingerprint }),
  };
}
