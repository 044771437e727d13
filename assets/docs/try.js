/** Sends the filled-in forms of /docs to the server that the page came from, and shows the answers. */

/** Characters of a body that are shown. Use curl for longer ones. */
const MAX_SHOWN = 1_000_000;

/** Kept only in this field. */
const key = document.querySelector('#key');

for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void send(form);
  });
  form.elements.curl.addEventListener('click', () => void copyAsCurl(form));
}

/** Ids occur in many paths: a value filled in once is filled in everywhere. */
const SHARED = ['machine_id', 'execution_id', 'artifact_id'];
document.addEventListener('input', ({ target }) => {
  if (SHARED.includes(target.name)) share(target.name, target.value);
});

function share(name, value) {
  for (const field of document.querySelectorAll(`input[name="${name}"]:not([data-in="query"])`)) field.value = value;
}

/** One request at a time for each form: meanwhile only the Stop button works. */
async function send(form) {
  const { send: sendButton, stop: stopButton } = form.elements;
  const answer = form.querySelector('pre');
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  stopButton.addEventListener('click', stop);
  sendButton.disabled = true;
  stopButton.disabled = false;
  answer.textContent = '';
  try {
    await show(answer, await ask(form, stopped.signal), stop);
  } catch (error) {
    answer.append(stopped.signal.aborted ? '\n(stopped)' : String(error));
  } finally {
    sendButton.disabled = false;
    stopButton.disabled = true;
    stopButton.removeEventListener('click', stop);
  }
}

/** Returns the request as filled in, without the key. */
function requestOf(form) {
  const { method, path } = form.dataset;
  const filled = [...form.querySelectorAll('[data-in]')].filter((field) => field.value !== '');
  const those = (place) => filled.filter((field) => field.dataset.in === place).map(({ name, value }) => [name, value]);
  const route = those('path').reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)),
    path,
  );
  const query = new URLSearchParams(those('query')).toString();
  const headers = Object.fromEntries(those('header'));
  const [body] = filled.filter((field) => field.dataset.in === 'body');
  if (body !== undefined) headers['content-type'] = body.name;
  return { method, url: query === '' ? route : `${route}?${query}`, headers, body };
}

/** Shows the curl line too: a page that came over plain HTTP from another host may not write to the clipboard. */
async function copyAsCurl(form) {
  const { method, url, headers, body } = requestOf(form);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [
    `curl -sS -X ${method} ${quoted(new URL(url, location.href).href)}`,
    '-H "Authorization: Bearer $KEY"',
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`--data-binary ${quoted(body.value)}`]),
  ];
  const command = lines.join(' \\\n  ');
  form.querySelector('pre').textContent = command;
  await navigator.clipboard?.writeText(command).catch(() => undefined);
}

async function ask(form, signal) {
  const { method, url, headers, body } = requestOf(form);
  if (key.value !== '') headers['x-api-key'] = key.value;
  const before = performance.now();
  const response = await fetch(url, {
    method,
    headers,
    signal,
    cache: 'no-store',
    credentials: 'omit',
    ...(body === undefined ? {} : { body: body.value }),
  });
  return { response, tookMs: Math.round(performance.now() - before) };
}

/** Appends the body as it comes, so that a stream can be watched. */
async function show(answer, { response, tookMs }, stop) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\n`);
  answer.append(`${response.status} ${response.statusText} (${tookMs} ms)\n`, ...headers, '\n');
  const body = answer.appendChild(document.createTextNode(''));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part?.done === false; part = await reader.read()) {
    body.appendData(part.value);
    if (body.length <= MAX_SHOWN) continue;
    body.replaceData(MAX_SHOWN, body.length, '\n(cut here)');
    stop();
    return;
  }
  if (/\bjson\b/.test(response.headers.get('content-type'))) {
    const value = JSON.parse(body.data);
    body.data = JSON.stringify(value, null, 2);
    if (typeof value.execution_id === 'string') share('execution_id', value.execution_id);
  }
}
