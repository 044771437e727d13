/** The provider script of docs/providers.md, whose machines are agents on this host. Tests can make its hooks fail. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAIN } from './harness.ts';

const PAGE = new URL('../../docs/providers.md', import.meta.url);
const OPERATIONS = ['create', 'delete', 'wake', 'sleep', 'describe'];

/** Records the hook, applies the fault and runs the provider script. */
const WRAPPER = `#!/bin/sh
request=$(cat)
field() { printf '%s' "$request" | sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p"; }
echo "$(field operation) $(field operation_id) $$" >>"$HOOKS/log"
fault=$(cat "$HOOKS/fault-$(field operation)" 2>/dev/null || true)
case $fault in
  hang) sleep 1000 ;;
  hopeless) echo '{"ok": false, "error_code": "no_quota", "message": "none left", "retryable": false}'; exit 1 ;;
esac
printf '%s' "$request" | "$HOOKS/provider"
`;

export interface HookRun {
  operation: string;
  operationId: string;
  pid: number;
}

export class TestProvider {
  readonly #dir: string;

  /** Writes the files of the provider below `dir`. */
  constructor(dir: string) {
    this.#dir = join(dir, 'hooks');
    mkdirSync(join(this.#dir, 'bin'), { recursive: true });
    const script = /```sh\n(#!\/bin\/sh\n[\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8'))?.[1];
    if (script === undefined) throw new Error('docs/providers.md holds no script');
    this.#executable('provider', script);
    this.#executable('hook', WRAPPER);
    this.#executable('bin/execplane', `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  }

  /** Writes the file for EXECPLANE_PROVIDERS and returns its path. `settings`: fields of the provider besides its command. */
  file(settings: Record<string, unknown> = {}): string {
    const path = join(this.#dir, 'providers.json');
    const env = {
      HOOKS: this.#dir,
      MACHINES: join(this.#dir, 'machines'),
      PATH: `${join(this.#dir, 'bin')}:/usr/bin:/bin`,
    };
    const test = { command: [join(this.#dir, 'hook')], env, capabilities: OPERATIONS, ...settings };
    writeFileSync(path, JSON.stringify({ default: 'test', providers: { test } }));
    return path;
  }

  /** Makes the hooks of `operation` fail in this way until `mend`. */
  fail(operation: string, fault: 'hang' | 'hopeless'): void {
    writeFileSync(join(this.#dir, `fault-${operation}`), fault);
  }

  mend(operation: string): void {
    rmSync(join(this.#dir, `fault-${operation}`));
  }

  /** The hooks that ran, except `describe`. */
  runs(): HookRun[] {
    const log = join(this.#dir, 'log');
    if (!existsSync(log)) return [];
    return readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([operation = '', operationId = '', pid]) => ({ operation, operationId, pid: Number(pid) }))
      .filter(({ operation }) => operation !== 'describe');
  }

  #executable(name: string, text: string): void {
    writeFileSync(join(this.#dir, name), text);
    chmodSync(join(this.#dir, name), 0o755);
  }
}
