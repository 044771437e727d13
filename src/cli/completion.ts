import { Argument, Command } from 'commander';

/** Commands and what follows them; a test holds this to the program itself. */
export const COMPLETIONS: Readonly<Record<string, readonly string[]>> = {
  up: [],
  server: [],
  agent: ['stop'],
  exec: [],
  machines: ['create', 'ls', 'show', 'rm', 'rotate'],
  executions: ['ls', 'show', 'logs', 'output', 'cancel'],
  keys: ['create', 'ls', 'revoke'],
  tokens: ['create', 'ls', 'revoke'],
  audit: [],
  status: [],
  login: [],
  completion: ['bash', 'zsh', 'fish'],
};

const EXAMPLES = `
Examples:
  source <(execplane completion bash)
  execplane completion zsh > "\${fpath[1]}/_execplane"
  execplane completion fish > ~/.config/fish/completions/execplane.fish`;

/** `execplane completion SHELL`. */
export function completionCommand(): Command {
  return new Command('completion')
    .description('Print a completion script for your shell.')
    .addArgument(new Argument('<SHELL>').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', EXAMPLES)
    .action((shell: string) => {
      process.stdout.write(`${SCRIPTS[shell]?.() ?? ''}\n`);
    });
}

const names = Object.keys(COMPLETIONS).join(' ');
const withChildren = Object.entries(COMPLETIONS).filter(([, children]) => children.length > 0);

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash: () => `_execplane() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${names}" -- "$word")); return; fi
  [ "$COMP_CWORD" -eq 2 ] || return
  case \${COMP_WORDS[1]} in
${withChildren.map(([name, children]) => `    ${name}) COMPREPLY=($(compgen -W "${children.join(' ')}" -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _execplane execplane`,
  zsh: () => `#compdef execplane
_execplane() {
  if (( CURRENT == 2 )); then compadd -- ${names}; return; fi
  (( CURRENT == 3 )) || { _files; return; }
  case $words[2] in
${withChildren.map(([name, children]) => `    ${name}) compadd -- ${children.join(' ')} ;;`).join('\n')}
    *) _files ;;
  esac
}
compdef _execplane execplane`,
  fish: () =>
    [
      `complete -c execplane -f -n __fish_use_subcommand -a "${names}"`,
      ...withChildren.map(
        ([name, children]) =>
          `complete -c execplane -f -n "__fish_seen_subcommand_from ${name}" -a "${children.join(' ')}"`,
      ),
    ].join('\n'),
};
