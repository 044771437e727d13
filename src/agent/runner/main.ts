/** The runner process, which the link starts as `main.ts --dir DIR`. It outlives the link. */
import { join, resolve } from 'node:path';
import { collectYoungAlone } from '../../node/native/garbage.ts';
import { startMemoryReturn } from '../../node/native/memory-return.ts';
import { readConfig } from './config.ts';
import { closeInherited } from './inherited.ts';
import { openLog } from './log.ts';
import { PolicyFile } from './policy/policy-file.ts';
import { Runner } from './runner.ts';
import { lockWithin } from './runner-lock.ts';
import { startSpawner } from './spawner/index.ts';
import { makeDirectory } from '../../node/directory.ts';

const STOP_GRACE_MS = 5000;
/** Time within which a leaving runner has left, with its last messages, ms. One that stays longer is the runner of this directory. */
const LEAVING_MS = 2000;

closeInherited();
collectYoungAlone();
const config = readConfig(process.argv.slice(2));
const directory = resolve(config.directory);
makeDirectory(directory, 0o700);

let runner: Runner | undefined;
// Set before the lock, by which links find this process: without a handler the signal would end it.
process.on('SIGHUP', () => void runner?.listenAnew().catch(reportDeaf));

if (await lockWithin(directory, LEAVING_MS)) {
  runner = new Runner({
    ...config,
    directory,
    log: openLog(config.logLevel),
    policy: new PolicyFile(join(directory, 'policy.json'), { required: config.policyRequired, watched: true }),
    startSpawner: (events) => startSpawner({ events, scratchDir: directory, softFileLimit: config.softFileLimit }),
  });
  const stop = (): void => runner?.stop(STOP_GRACE_MS);
  process.on('SIGTERM', stop).on('SIGINT', stop);
  startMemoryReturn();
  await runner.start();
  await runner.left;
  leave();
}

/** The commands keep running, and the next link asks again. */
function reportDeaf(error: Error): void {
  const message = 'The socket for links cannot be made again; the runner tries again when a link asks for it.';
  openLog(config.logLevel).warn({ err: { message: error.message } }, message);
}

/**
 * Ends this process immediately; everything is on disk and closed. It does not use process.exit, which joins the threads of V8 and of libuv:
 * one of them may be waiting for this one (https://github.com/nodejs/node/issues/54918), as seen on a busy machine. A runner that hangs like
 * that would never end, and would block its directory for every other runner.
 */
function leave(): void {
  process.kill(process.pid, 'SIGKILL');
}
