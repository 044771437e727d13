/** Downloads of artifacts, whose names the machine chose. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { downloadTo } from '../../../src/cli/artifacts/download.ts';
import { type Artifact, Execplane } from '../../../src/client/main.ts';
import { scriptedServer } from '../../client/scripted-server.ts';
import { temporaryDirectory } from '../../helpers/directories.ts';

const CONTENT = 'content';

async function download(name: string, directory: string): Promise<string> {
  const { url } = await scriptedServer((response) => response.end(CONTENT));
  const artifact: Artifact = {
    artifact_id: 'art-1',
    machine_id: 'dm-one',
    execution_id: 'ex-1',
    name,
    size_bytes: CONTENT.length,
    created_at: '2026-01-31T12:00:00.000Z',
    mime_type: 'text/plain',
    sha256: createHash('sha256').update(CONTENT).digest('hex'),
    download_url: url,
  };
  return downloadTo(new Execplane({ url, apiKey: 'xpk_test' }).machine('dm-one'), artifact, directory);
}

test.each(['plain', 'a/b/c', '..hidden', '...', 'a..b/..c', '-', ' ', 'x'.repeat(255), 'é'.repeat(127)])(
  'the artifact %j is saved under its name',
  async (name) => {
    const directory = temporaryDirectory('download');
    expect(await download(name, directory)).toBe(join(directory, name));
    expect(readFileSync(join(directory, name), 'utf8')).toBe(CONTENT);
    expect(readdirSync(directory)).toHaveLength(1);
  },
);

test.each(['..', '../x', 'a/../../x', '/x', '.', 'a\0b'])('the artifact %j is not saved', async (name) => {
  const directory = temporaryDirectory('download');
  await expect(download(name, directory)).rejects.toThrow('leads out of');
  expect(readdirSync(directory)).toEqual([]);
});
