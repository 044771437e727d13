/** A plugin of the bundler that makes programs load modules of Node partially. */
import { isBuiltin } from 'node:module';
import type { Plugin } from 'vite';

const PREFIX = '\0builtin:';

/**
 * An import statement reads all properties of a module of Node, and some of them load much code when they are read: `WebSocket` of `node:http`
 * loads all of undici. With this plugin a program reads only the properties that it uses. Functions of the modules in `called` are read when
 * they are called.
 */
export function loadBuiltinsInPart(called: ReadonlySet<string> = new Set()): Plugin {
  return {
    name: 'load-builtins-in-part',
    enforce: 'pre',
    resolveId: (id) => (id.startsWith('node:') && isBuiltin(id) ? PREFIX + id : null),
    load: (id) => {
      if (!id.startsWith(PREFIX)) return null;
      return { code: partsOf(id.slice(PREFIX.length), called), moduleSideEffects: false };
    },
  };
}

function partsOf(id: string, called: ReadonlySet<string>): string {
  const names = Object.keys(process.getBuiltinModule(id) ?? {}).filter((name) => name !== 'default');
  const module = `process.getBuiltinModule(${JSON.stringify(id)})`;
  const parts = names.map((name) => {
    const isCalled = called.has(id) && /^[a-z]/.test(name);
    const value = isCalled ? `(...given) => ${module}.${name}(...given)` : `/* @__PURE__ */ ${module}.${name}`;
    return `export const ${name} = ${value};`;
  });
  const whole = called.has(id) ? `new Proxy({}, { get: (_target, name) => ${module}[name] })` : module;
  return [`export default /* @__PURE__ */ ${whole};`, ...parts].join('\n');
}
