/** Sends what is filled in on /docs to the server that the page came from, and shows what it answers. */

/** Of a body, in characters; for more there is curl. */
const MOST_SHOWN = 1_000_000;

/** Kept in this field and nowhere else. */
const key = document.querySelector('#key');

for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void send(form);
  });
}

/** One at a time for each form: while it waits there is nothing to press but Stop. */
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

async function ask(form, signal) {
  const { method, path } = form.dataset;
  const filled = [...form.querySelectorAll('[data-in]')].filter((field) => field.value !== '');
  const those = (place) => filled.filter((field) => field.dataset.in === place).map(({ name, value }) => [name, value]);
  const url = those('path').reduce((text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)), path);
  const headers = Object.fromEntries(those('header'));
  if (key.value !== '') headers['x-api-key'] = key.value;
  const [body] = filled.filter((field) => field.dataset.in === 'body');
  if (body !== undefined) headers['content-type'] = body.name;
  const before = performance.now();
  const response = await fetch(`${url}?${new URLSearchParams(those('query'))}`, {
    method,
    headers,
    signal,
    cache: 'no-store',
    credentials: 'omit',
    ...(body === undefined ? {} : { body: body.value }),
  });
  return { response, tookMs: Math.round(performance.now() - before) };
}

/** The body as it comes, so that a stream can be watched. */
async function show(answer, { response, tookMs }, stop) {
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\n`);
  answer.append(`${response.status} ${response.statusText} (${tookMs} ms)\n`, ...headers, '\n');
  const body = answer.appendChild(document.createTextNode(''));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part?.done === false; part = await reader.read()) {
    body.appendData(part.value);
    if (body.length <= MOST_SHOWN) continue;
    body.replaceData(MOST_SHOWN, body.length, '\n(cut here)');
    stop();
    return;
  }
  if (/\bjson\b/.test(response.headers.get('content-type'))) {
    body.data = JSON.stringify(JSON.parse(body.data), null, 2);
  }
}
