/** Environment variables of a command. */
interface Variable {
  name: string;
  value: string;
}

export function EnvironmentFields({
  env,
  onChange,
}: {
  env: readonly Variable[];
  onChange: (env: Variable[]) => void;
}) {
  const change = (index: number, change: Partial<Variable>) =>
    onChange(env.map((variable, at) => (at === index ? { ...variable, ...change } : variable)));
  return (
    <fieldset className="field">
      <legend>Environment</legend>
      {env.map((variable, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row has nothing but its place
        <div key={index} className="row variable">
          <input
            aria-label={`Name of variable ${index + 1}`}
            placeholder="NAME"
            autoComplete="off"
            spellCheck={false}
            value={variable.name}
            onChange={({ target }) => change(index, { name: target.value.trim() })}
          />
          <input
            aria-label={`Value of variable ${index + 1}`}
            placeholder="value"
            autoComplete="off"
            spellCheck={false}
            value={variable.value}
            onChange={({ target }) => change(index, { value: target.value })}
          />
          <button
            type="button"
            className="button quiet small"
            aria-label={`Remove variable ${index + 1}`}
            onClick={() => onChange(env.filter((_, at) => at !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <div className="row">
        <button type="button" className="button small" onClick={() => onChange([...env, { name: '', value: '' }])}>
          Add a variable
        </button>
        <span className="hint">The server never returns these values, and erases them when the command has ended.</span>
      </div>
    </fieldset>
  );
}
