/**
 * Types into a terminal while link, servers and connections fail. The program on the terminal records its output in a file, with
 * which the output of each client is compared byte by byte.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Execplane, type TerminalStream } from '../../src/client/main.ts';
import { until } from '../helpers/processes.ts';
import { Random } from './random.ts';

const FIRST = 'ready;';
const LAST = 'end;';
const MESSAGES = 150;

/** The seeds to run: `TERMINAL_SEEDS=11-20`, or these. */
export function seedsOr(few: readonly number[]): readonly number[] {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(process.env['TERMINAL_SEEDS'] ?? '') ?? [];
  if (first === undefined || last === undefined) return few;
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index);
}

export interface TypingScene {
  dir: string;
  machineId: string;
  apiKey: string;
  /** The URLs of the servers, one client of the terminal for each. The first client types. */
  urls: readonly string[];
  /** Each function kills a process or cuts a connection, and settles when it is repaired. */
  faults: Readonly<Record<string, () => Promise<void>>>;
}

/** Runs a seed. Returns the faults that were caused and the errors that were found. */
export async function typeUnderFaults(scene: TypingScene, seed: number): Promise<{ plan: string[]; errors: string[] }> {
  const random = new Random(seed);
  const record = join(scene.dir, `transcript-${seed}`);
  const clients = await openTerminal(scene, seed, record);
  const transcripts = clients.map((client) => new Transcript(client));
  await printed(transcripts, FIRST);
  const plan = [1, 2, 3, 4].map(() => random.pick(Object.keys(scene.faults)));
  let typing = true;
  const disturb = async (): Promise<void> => {
    for (const name of plan) {
      await delay(random.between(50, 600));
      await scene.faults[name]?.();
    }
  };
  const disturbed = disturb().finally(() => {
    typing = false;
  });
  disturbed.catch(() => {}); // It is awaited below.
  let typed = 0;
  for (; typing || typed < MESSAGES; typed += 1) {
    clients[0]?.write(`k${typed};`);
    await delay(random.between(1, 30));
  }
  await disturbed;
  clients[0]?.write(LAST);
  const areWhole = (): boolean => transcripts.every((transcript) => transcript.isOf(readFileSync(record, 'latin1')));
  await until('whole transcripts', areWhole).catch(() => {});
  for (const client of clients) client.detach();
  return { plan, errors: errorsOf(readFileSync(record, 'latin1'), transcripts, typed) };
}

/** The output that one client received, from the first byte of the terminal on. */
class Transcript {
  bytes = Buffer.alloc(0);
  failure: unknown;

  constructor(stream: TerminalStream) {
    this.#read(stream).catch((cause: unknown) => {
      this.failure = cause;
    });
  }

  /** Whether this output is `record`, with the last message. */
  isOf(record: string): boolean {
    const shown = this.bytes.toString('latin1');
    return shown.endsWith(LAST) && record === shown;
  }

  async #read(stream: TerminalStream): Promise<void> {
    for await (const piece of stream) this.bytes = Buffer.concat([this.bytes, piece]);
  }
}

async function openTerminal(scene: TypingScene, seed: number, record: string): Promise<TerminalStream[]> {
  const { apiKey, machineId } = scene;
  const shell = join(scene.dir, `typed-at-${seed}`);
  writeFileSync(shell, `#!/bin/sh\nstty raw -echo\nprintf '${FIRST}' | tee ${record}\nexec tee -a ${record}\n`);
  chmodSync(shell, 0o755);
  const machines = scene.urls.map((url) => new Execplane({ url, apiKey }).machine(machineId));
  const [first] = machines;
  if (first === undefined) throw new Error('no server');
  const { terminalId } = await first.terminal({ width: 80, height: 24, shell });
  await first.terminal(terminalId).ready();
  return machines.map((machine) => machine.terminal(terminalId).attach({ offset: 0 }));
}

function printed(transcripts: readonly Transcript[], text: string): Promise<void> {
  return until(text, () => transcripts.every(({ bytes }) => bytes.includes(text)));
}

function errorsOf(record: string, transcripts: readonly Transcript[], typed: number): string[] {
  const errors: string[] = [];
  const messages = Array.from({ length: typed }, (_, number) => `k${number};`);
  if (record !== [FIRST, ...messages, LAST].join(''))
    errors.push(`of ${typed} messages the program got others than these, each once and in order: ${record}`);
  for (const [index, transcript] of transcripts.entries()) {
    if (transcript.failure !== undefined) errors.push(`client ${index} failed: ${transcript.failure}`);
    if (!transcript.isOf(record))
      errors.push(
        `client ${index} saw other bytes than were printed:\n${transcript.bytes.toString('latin1')}\n${record}`,
      );
  }
  return errors;
}
