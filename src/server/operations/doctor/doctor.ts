/** Implements `execplane doctor server`: checks everything that the server needs, from another process. Changes nothing. */
import type { Finding } from '../../../node/finding.ts';
import { presentAdminKey } from '../../http/authentication/admin-key.ts';
import type { ServerConfig } from '../../config.ts';
import { examineData } from './data.ts';
import { examineDirectory } from './directory.ts';
import { examineListener } from './listener.ts';
import { examineCluster } from './postgres.ts';

/** Runs all checks; `now` in ms since the epoch. Does not reject. */
export async function examineServer(config: ServerConfig, now: number): Promise<Finding[]> {
  const directory = examineDirectory(config.dataDir);
  const usable = directory.every(({ check, state }) => check !== 'data directory' || state !== 'fail');
  const { databaseUrl } = config;
  const data = usable ? () => examineData(config, now) : () => [];
  return [
    ...directory,
    ...(databaseUrl === undefined ? data() : await examineCluster({ ...config, databaseUrl })),
    ...(await examineListener(config, presentAdminKey(config), now)),
  ];
}
