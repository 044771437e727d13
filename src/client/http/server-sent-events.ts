/** Cuts a text/event-stream into the data of its events. Comments and other fields are skipped. */
export class ServerSentEventParser {
  #rest = '';
  #data: string[] = [];

  /** Returns the data of each event that `text` completes. */
  push(text: string): string[] {
    const events: string[] = [];
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (line === '' && this.#data.length > 0) {
        events.push(this.#data.join('\n'));
        this.#data = [];
      }
    }
    return events;
  }
}
