/** The provider of docs/providers.md, whose machines are agents on this host, with ways to make it fail. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAIN } from './harness.ts';

const PAGE = new URL('../../docs/providers.md', import.meta.url);
const OPERATIONS = ['create', 'delete', 'wake', 'sleep', 'describe'];

/** Records each hook, applies the fault, then runs the provider of the page. */
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

  /** Writes its files below `dir`. */
  constructor(dir: string) {
    this.#dir = join(dir, 'hooks');
    mkdirSync(join(this.#dir, 'bin'), { recursive: true });
    const script = /```sh\n(#!\/bin\/sh\n[\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8'))?.[1];
    if (script === undefined) throw new Error('docs/providers.md holds no script');
    this.#executable('provider', script);
    this.#executable('hook', WRAPPER);
    this.#executable('bin/execplane', `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  }

  /** The file for EXECPLANE_PROVIDERS; `settings` of the provider besides its command. */
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

  /** From now on hooks of this operation do that, until it is mended. */
  fail(operation: string, fault: 'hang' | 'hopeless'): void {
    writeFileSync(join(this.#dir, `fault-${operation}`), fault);
  }

  mend(operation: string): void {
    rmSync(join(this.#dir, `fault-${operation}`));
  }

  /** The hooks that were run, but for those that only looked. */
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
