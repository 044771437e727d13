/** Rules of this repository that no linter checks: the direction of imports, forbidden imports of core and runner, file sizes. */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const MAX_LINES = 300;

interface Import {
  from: string;
  /** A path below the root for modules of this repository, else the name of the package or built-in module. */
  to: string;
  typeOnly: boolean;
}

const sources = filesUnder('src');
const imports = sources.flatMap(importsOf);

/** The folders from which a folder may import, besides itself. Type-only imports count too: they are dependencies like all others. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  api: ['core'],
  node: ['core'],
  store: ['core', 'node'],
  server: ['core', 'api', 'node', 'store', 'client', 'mcp'],
  agent: ['core', 'node'],
  client: ['core', 'api'],
  cli: ['node', 'api', 'client', 'mcp'],
  mcp: ['client'],
  console: ['core', 'api', 'client'],
};
/** Modules of server and agent that the CLI may import, to start them. Otherwise the CLI uses the HTTP API. */
const CLI_MAY_START = new Set(['src/server/main.ts', 'src/agent/main.ts']);
/** Node.js modules without input and output. */
const PURE_BUILTINS = new Set(['node:zlib']);

/** Packages that the runner may import. Each megabyte of its memory makes every start of a command slower. */
const TINY_PACKAGES = new Set(['nanoid']);

describe('imports point one way', () => {
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    const may = allowed.length === 0 ? 'nothing of ours' : allowed.join(' and ');
    test(`${folder} imports ${may}${folder === 'cli' ? ' but the two main.ts it starts' : ''}`, () => {
      const wrong = imports.filter(
        ({ from, to }) =>
          folderOf(from) === folder &&
          to.startsWith('src/') &&
          folderOf(to) !== folder &&
          !allowed.includes(folderOf(to)) &&
          !(folder === 'cli' && CLI_MAY_START.has(to)),
      );
      expect(wrong.map(importText)).toEqual([]);
    });
  }

  test('every source file belongs to one of these folders', () => {
    expect(sources.filter((file) => !(folderOf(file) in MAY_IMPORT))).toEqual([]);
  });

  test('nothing under src imports from outside of it', () => {
    expect(imports.filter(({ to }) => /^(test|bench|scripts)\//.test(to)).map(importText)).toEqual([]);
  });

  test('there is no cycle of run-time imports', () => {
    expect(cycles()).toEqual([]);
  });
});

const MAX_FILES = 15;

describe('folders', () => {
  test('do not import each other in a cycle; main.ts files construct, and are exempt', () => {
    const edges = Map.groupBy(
      imports.filter(({ from, to }) => to.startsWith('src/') && !from.endsWith('/main.ts') && !to.endsWith('/main.ts')),
      ({ from }) => dirname(from),
    );
    const reached = (folder: string): Set<string> => {
      const seen = new Set<string>();
      const visit = (next: string): void => {
        for (const { to } of edges.get(next) ?? []) {
          const other = dirname(to);
          if (other === next || seen.has(other)) continue;
          seen.add(other);
          visit(other);
        }
      };
      visit(folder);
      return seen;
    };
    expect([...edges.keys()].filter((folder) => reached(folder).has(folder))).toEqual([]);
  });

  test(`hold at most ${MAX_FILES} files`, () => {
    const wide = [...Map.groupBy(sources, dirname)].filter(([, files]) => files.length > MAX_FILES);
    expect(wide.map(([folder]) => folder)).toEqual([]);
  });
});

/** Folders of tests that use several parts, by kind of test. Test files directly in `test` check rules and pages of the repository. */
const WHOLE = new Set(['chaos', 'deploy', 'fuzz', 'integration', 'openapi', 'security']);

describe('tests mirror src', () => {
  test('each is named after a file or folder in the same place, with a topic appended if there are several', () => {
    const subjects = new Set(sources.flatMap((file) => [file.replace(/\.tsx?$/, ''), ...foldersOf(file)]));
    const stray = filesUnder('test')
      .filter((file) => file.endsWith('.test.ts') && dirname(file) !== 'test' && !WHOLE.has(folderOf(file)))
      .filter((file) => !namesOf(file).some((name) => subjects.has(name)));
    expect(stray).toEqual([]);
  });
});

describe('core is a leaf', () => {
  test('without I/O, clock or randomness from built-in modules', () => {
    const wrong = imports.filter(
      ({ from, to }) => folderOf(from) === 'core' && isBuiltin(to) && !PURE_BUILTINS.has(to),
    );
    expect(wrong.map(importText)).toEqual([]);
  });

  test('without clock, randomness, process or timer from globals', () => {
    const globals =
      /\b(Date\.now|new Date\(\)|Math\.random|crypto\.|process\.|performance\.|setTimeout|setInterval|fetch\()/;
    const wrong = sources.filter((file) => folderOf(file) === 'core' && globals.test(withoutComments(read(file))));
    expect(wrong).toEqual([]);
  });
});

describe('the client library runs anywhere', () => {
  const loaded = reachable('src/client/main.ts');

  test('loads only our own code: no built-in module of Node, no package', () => {
    const foreign = imports.filter(({ from, to, typeOnly }) => !typeOnly && loaded.has(from) && !to.startsWith('src/'));
    expect(foreign.map(importText)).toEqual([]);
  });

  test('imports only the types of the schemas, not their validator', () => {
    expect([...loaded].filter((file) => folderOf(file) === 'api')).toEqual([]);
  });
});

describe('the runner stays small', () => {
  test('loads its own code, built-in modules, and only tiny packages', () => {
    const loaded = reachable('src/agent/runner/main.ts');
    const packages = imports.filter(
      ({ from, to, typeOnly }) =>
        !typeOnly && loaded.has(from) && !to.startsWith('src/') && !isBuiltin(to) && !TINY_PACKAGES.has(to),
    );
    expect(packages.map(importText)).toEqual([]);
  });

  test('has no network', () => {
    const loaded = reachable('src/agent/runner/main.ts');
    const network = new Set(['node:http', 'node:https', 'node:http2', 'node:tls', 'node:dgram', 'node:dns']);
    expect(imports.filter(({ from, to }) => loaded.has(from) && network.has(to)).map(importText)).toEqual([]);
  });
});

describe('parsed JSON is checked', () => {
  test('no value of JSON.parse is given a type without a check', () => {
    const unchecked = /JSON\.parse\([^;]*\)\s*as\s+(?!unknown\b)/;
    expect(sources.filter((file) => unchecked.test(withoutComments(read(file))))).toEqual([]);
  });
});

describe('size', () => {
  test(`no file has more than ${MAX_LINES} lines`, () => {
    const files = ['src', 'test', 'bench', 'scripts'].flatMap(filesUnder);
    const long = files.filter((file) => read(file).trimEnd().split('\n').length > MAX_LINES);
    expect(long).toEqual([]);
  });
});

describe('names', () => {
  test('the keys of log lines are those of src/node/log-keys.ts, except err', () => {
    const calls = /\blog(?:ger)?\.(?:trace|debug|info|warn|error|fatal)\(\s*\{([^{}]*)\}/g;
    const own = /(?:^|,)(?!\s*(?:err\b|\.\.\.|\[LOG_KEY\.|$))/;
    const wrong = sources.filter((file) =>
      [...withoutComments(read(file)).matchAll(calls)].some(([, keys = '']) => own.test(keys.trim())),
    );
    expect(wrong).toEqual([]);
  });

  test('no file has a catch-all name', () => {
    expect(
      sources.filter((file) => /(^|\/)(utils?|helpers?|managers?|types|common|misc)(\/|\.ts$)/.test(file)),
    ).toEqual([]);
  });
});

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes('/node_modules/'))
    .sort();
}

/** The folders that a file is in: `src/a/b.ts` is in `src/a` and `src`. */
function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === '.' ? [] : [folder, ...foldersOf(folder)];
}

/** The modules that a test file can belong to: `test/a/b-c.test.ts` belongs to `src/a/b-c` or `src/a/b`. */
function namesOf(file: string): string[] {
  const words = file
    .replace(/^test\//, 'src/')
    .replace(/\.test\.ts$/, '')
    .split('-');
  return words.map((_, index) => words.slice(0, index + 1).join('-'));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

/** The imports and re-exports of a file. They can be parsed by line because of the formatter. */
function importsOf(from: string): Import[] {
  const text = withoutComments(read(from));
  const statement = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...text.matchAll(statement)].map((match) => {
    const name = match[2] ?? match[3] ?? '';
    const to = name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(from), name)) : name;
    return { from, to, typeOnly: match[1] !== undefined };
  });
}

function folderOf(file: string): string {
  return file.split('/')[1] ?? '';
}

function isBuiltin(name: string): boolean {
  return name.startsWith('node:') || builtinModules.includes(name);
}

function importText({ from, to }: Import): string {
  return `${from} → ${to}`;
}

/** `entry` and all modules of this repository that it loads at run time. */
function reachable(entry: string): Set<string> {
  const seen = new Set([entry]);
  for (const file of seen) {
    for (const { from, to, typeOnly } of imports) if (from === file && !typeOnly && to.startsWith('src/')) seen.add(to);
  }
  return seen;
}

function cycles(): string[] {
  return sources.filter((file) =>
    imports.some(
      ({ from, to, typeOnly }) => from === file && !typeOnly && to.startsWith('src/') && reachable(to).has(file),
    ),
  );
}
