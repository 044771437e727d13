/** The checks that an upgrade of the agent makes before it changes anything. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyChecksum } from '../../src/agent/upgrade/checksums.ts';
import { controlOf } from '../../src/agent/upgrade/repack.ts';

test('a file that does not match its checksum is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-release-'));
  writeFileSync(join(folder, 'a.tar.gz'), 'a');
  const sum = 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb';
  writeFileSync(join(folder, 'SHA256SUMS'), `${sum}  a.tar.gz\n`);
  await verifyChecksum(join(folder, 'a.tar.gz'));
  writeFileSync(join(folder, 'a.tar.gz'), 'b');
  await expect(verifyChecksum(join(folder, 'a.tar.gz'))).rejects.toThrow('does not match');
  rmSync(folder, { recursive: true });
});

test('lines that dpkg adds to a control file are removed', () => {
  const status = `Package: execplane-agent
Status: install ok installed
Version: 0.1.0-1
Conffiles:
 /etc/execplane/agent.env 0123456789abcdef0123456789abcdef
Description: run commands
 Longer.
`;
  expect(controlOf(status)).toBe(`Package: execplane-agent
Version: 0.1.0-1
Description: run commands
 Longer.
`);
});
