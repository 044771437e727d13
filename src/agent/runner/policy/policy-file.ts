import { lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Policy, PolicyRequest, PolicyVerdict, ResolvedRequest } from './policy.ts';
import { parseJson } from '../../../core/json.ts';
import { LastLook } from '../../../node/directory.ts';
import { errorReason } from '../../../node/error-code.ts';
import { readRegularFile } from '../../../node/private-file.ts';
import { POLICY_RULES } from '../../schemas/checks.ts';
import type { Rules } from '../../schemas/policy.ts';
import { brokenRule, checkRules } from './rules.ts';

const WRITABLE_BY_OTHERS = 0o022;

type Loaded = { rules: Rules } | { fault: string };

/**
 * The policy in a file. Without a file everything is allowed, unless a file is required. Nothing is allowed if the file cannot be read,
 * is malformed, or is writable by users other than root and the agent's user. The file is read again after a change.
 */
export class PolicyFile implements Policy {
  readonly #path: string;
  readonly #missing: Loaded;
  /** Whether there is no file. A file that exists is looked at each time: it may be a link, or mounted from elsewhere. */
  readonly #isMissing: LastLook<boolean> | undefined;
  #version = '';
  #loaded: Loaded = { fault: 'policy.json is not read yet' };

  /**
   * `watched`: while there is no file, a notice of the kernel tells when there is one. Notices arrive between the turns of the event loop, so
   * that `check` sees a file at the latest when it is called for a request that was sent after the file was made.
   */
  constructor(path: string, options: { required: boolean; watched?: boolean }) {
    this.#path = path;
    if (options.watched === true) this.#isMissing = new LastLook(dirname(path), () => isMissing(path));
    this.#missing = options.required
      ? { fault: 'policy.json is missing, and EXECPLANE_POLICY requires it' }
      : { rules: {} };
  }

  /** The reason why the file allows nothing. Undefined if the file is sound, or if there is none and none is required. */
  fault(): string | undefined {
    this.#refresh();
    return 'fault' in this.#loaded ? this.#loaded.fault : undefined;
  }

  check(request: PolicyRequest): PolicyVerdict {
    this.#refresh();
    if ('fault' in this.#loaded) return { allowed: false, rule: this.#loaded.fault };
    return checkRules(this.#loaded.rules, request);
  }

  brokenRule(request: ResolvedRequest): string | undefined {
    this.#refresh();
    return 'fault' in this.#loaded ? this.#loaded.fault : brokenRule(this.#loaded.rules, request);
  }

  #refresh(): void {
    let stats: Stats | undefined;
    try {
      stats = this.#isMissing?.value ? undefined : statSync(this.#path, { throwIfNoEntry: false });
    } catch (error) {
      this.#version = '';
      this.#loaded = { fault: `policy.json cannot be read: ${errorReason(error)}` };
      return;
    }
    const version = stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}` : 'none';
    if (version === this.#version) return;
    this.#version = version;
    this.#loaded = stats === undefined ? this.#missing : load(this.#path, stats);
  }
}

function isMissing(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

function load(path: string, stats: Stats): Loaded {
  const isOwnFile = stats.uid === 0 || stats.uid === process.getuid?.();
  if (!isOwnFile || (stats.mode & WRITABLE_BY_OTHERS) !== 0) return { fault: 'other users can change policy.json' };
  let text: string | undefined;
  try {
    text = readRegularFile(path)?.bytes.toString();
  } catch (error) {
    return { fault: `policy.json cannot be read: ${errorReason(error)}` };
  }
  if (text === undefined) return { fault: 'policy.json was removed while it was read' };
  const value = parseJson(text);
  const fault = findFault(value);
  return fault === undefined ? { rules: value as Rules } : { fault };
}

/** An unknown rule is a fault: a misspelt rule would otherwise not be applied. */
function findFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'policy.json must be a JSON object of rules, such as {"max_timeout_ms": 60000}: correct it';
  }
  for (const [name, rule] of Object.entries(value)) {
    const check = POLICY_RULES.get(name);
    if (check === undefined) {
      return `policy.json: there is no rule ${name}. Correct its name, or remove it; the rules are ${[...POLICY_RULES.keys()].join(', ')}`;
    }
    if (!check.fits(rule)) return `policy.json: ${name} ${check.expected}. Correct it, or remove it to limit nothing`;
  }
  return undefined;
}
