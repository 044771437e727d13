/** Generates completion scripts. They list ids of machines, executions and the like from the server, with the user's own settings. */

/** A command, as described to the completion scripts. */
export interface CommandSpec {
  /** Its words, such as `executions show`. */
  path: string;
  children: readonly string[];
  options: readonly string[];
  /** The operands. Those without a list command are new names. */
  operands: readonly { name: string; choices: readonly string[] }[];
}

/** The commands that list the ids for an operand. An EXECUTION is looked up on the machine before it. */
const LISTS: Readonly<Record<string, string>> = {
  MACHINE: 'machines ls',
  EXECUTION: 'executions ls',
  BATCH: 'batches ls',
  KEY: 'keys ls',
  TOKEN: 'tokens ls',
};

/** Shell → its completion script for these commands. */
export const SHELLS: Readonly<Record<string, (specs: readonly CommandSpec[]) => string>> = { bash, zsh, fish };

/** Words for the operand at each place after a command: `[place, words or command]`. */
interface Place {
  path: string;
  /** Position of the word; 1 is the first word after `execplane`. */
  at: number;
  words?: string;
  /** The list command to run, with `$MACHINE` if it needs that. */
  ask?: string;
}

function places(specs: readonly CommandSpec[]): Place[] {
  return specs.flatMap(({ path, children, operands }) => {
    const depth = path.split(' ').length;
    const own = children.length === 0 ? [] : [{ path, at: depth + 1, words: children.join(' ') }];
    const more = operands.flatMap(({ name, choices }, index): Place[] => {
      const at = depth + 1 + index;
      const list = LISTS[name];
      if (choices.length > 0) return [{ path, at, words: choices.join(' ') }];
      return list === undefined ? [] : [{ path, at, ask: name === 'EXECUTION' ? `${list} "$MACHINE"` : list }];
    });
    return [...own, ...more];
  });
}

function topLevel(specs: readonly CommandSpec[]): string {
  return specs
    .filter(({ path }) => !path.includes(' '))
    .map(({ path }) => path)
    .join(' ');
}

/** Sorts the longest paths first: `agent stop` before `agent`. */
function deepestFirst<T extends { path: string }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => b.path.split(' ').length - a.path.split(' ').length);
}

function bash(specs: readonly CommandSpec[]): string {
  const options = deepestFirst(specs).map(({ path, options }) => `    "${path} "*) words="${options.join(' ')}" ;;`);
  const operands = deepestFirst(places(specs)).map(
    ({ path, at, words, ask }) =>
      `      "${at} ${path} "*) ${words === undefined ? `words=$(_execplane_ask ${ask})` : `words="${words}"`} ;;`,
  );
  return `_execplane_ask() { EXECPLANE_COMPLETING=1 execplane "$@" --quiet 2>/dev/null </dev/null; }
_execplane() {
  local word=\${COMP_WORDS[COMP_CWORD]} words= line= i MACHINE=\${COMP_WORDS[3]-}
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [ "\${COMP_WORDS[i]}" = -- ] && return
    line+="\${COMP_WORDS[i]} "
  done
  case "$COMP_CWORD $word" in
    1\\ *) words="${topLevel(specs)}" ;;
    *\\ -*) case "$line" in
${options.join('\n')}
    esac ;;
    *) case "$COMP_CWORD $line" in
${operands.join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _execplane execplane`;
}

function zsh(specs: readonly CommandSpec[]): string {
  const options = deepestFirst(specs).map(({ path, options }) => `    "${path} "*) compadd -- ${options.join(' ')} ;;`);
  const operands = deepestFirst(places(specs)).map(
    ({ path, at, words, ask }) =>
      `    "${at} ${path} "*) compadd -- ${words ?? `\${(f)"$(_execplane_ask ${ask})"}`} ;;`,
  );
  return `#compdef execplane
_execplane_ask() { EXECPLANE_COMPLETING=1 execplane "$@" --quiet 2>/dev/null </dev/null }
_execplane() {
  local word=\${words[CURRENT]} line="\${(j: :)words[2,CURRENT-1]} " MACHINE=\${words[4]}
  if (( CURRENT == 2 )); then compadd -- ${topLevel(specs)}; return; fi
  if (( \${words[(I)--]} > 0 && \${words[(I)--]} < CURRENT )); then _files; return; fi
  if [[ $word == -* ]]; then case $line in
${options.join('\n')}
  esac; return; fi
  case "$((CURRENT - 1)) $line" in
${operands.join('\n')}
    *) _files ;;
  esac
}
if [[ $funcstack[1] == _execplane ]]; then _execplane "$@"
elif (( $+functions[compdef] )); then compdef _execplane execplane; fi`;
}

function fish(specs: readonly CommandSpec[]): string {
  const cases = deepestFirst(places(specs)).map(
    ({ path, at, words, ask }) =>
      `    case "${at} ${path} *"\n      ${words === undefined ? `_execplane_ask ${ask}` : `printf '%s\\n' ${words}`}`,
  );
  const options = deepestFirst(specs).map(
    ({ path, options }) => `    case "${path} *"\n      printf '%s\\n' ${options.join(' ')}`,
  );
  return `function _execplane_ask
  EXECPLANE_COMPLETING=1 execplane $argv --quiet 2>/dev/null </dev/null
end
function _execplane
  set -l done (commandline -opc)[2..-1]
  set -l line (string join ' ' $done)' '
  set -l MACHINE $done[3]
  if test (count $done) -eq 0
    printf '%s\\n' ${topLevel(specs)}
    return
  end
  if contains -- -- $done
    __fish_complete_path (commandline -ct)
    return
  end
  if string match -q -- '-*' (commandline -ct)
    switch $line
${options.join('\n')}
    end
    return
  end
  switch (math (count $done) + 1)" $line"
${cases.join('\n')}
    case '*'
      __fish_complete_path (commandline -ct)
  end
end
complete -c execplane -f -a '(_execplane)'`;
}
