/** The commands that the providers in deploy/providers run. All programs that they call are stubs. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Operation } from '../../src/core/machines/operation.ts';
import { readAnswer } from '../../src/server/providers/answer.ts';

const ENV = {
  EXECPLANE_DRY_RUN: '1',
  EXECPLANE_IMAGE: 'agent:1',
  EXECPLANE_BASE_IMAGE: '/images/debian.qcow2',
  EXECPLANE_POOL_DIR: '/pool',
  EXECPLANE_AMI: 'ami-1',
  EXECPLANE_SERVER_IMAGE: 'snapshot-1',
  EXECPLANE_SUBNET: 'subnet-1',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

function ask(name: string, operation: Operation, p: { state?: string; attributes?: Record<string, string> } = {}) {
  const request = {
    version: 1,
    operation,
    operation_id: 'dm-x.1',
    attempt: 1,
    server_url: 'https://execplane.example',
    machine: {
      machine_id: 'dm-x',
      vcpu: 1.5,
      memory_mib: 512,
      storage_gib: 8,
      labels: {},
      attributes: p.attributes ?? {},
    },
    ...(operation === 'create' ? { join_token: 'xpj_t' } : {}),
  };
  const path = new URL(`../../deploy/providers/${name}`, import.meta.url).pathname;
  const { stdout, stderr, status } = spawnSync(path, {
    input: JSON.stringify(request),
    encoding: 'utf8',
    env: { ...ENV, ...(p.state === undefined ? {} : { EXECPLANE_DRY_RUN_STATE: p.state }) },
  });
  return {
    answer: readAnswer(stdout.trimEnd().split('\n').at(-1) ?? ''),
    commands: stderr.trimEnd().split('\n'),
    status,
  };
}

const hasShellCheck = spawnSync('shellcheck', ['--version']).status === 0;

test.skipIf(!hasShellCheck)('ShellCheck accepts them', () => {
  const folder = new URL('../../deploy/providers/', import.meta.url).pathname;
  const scripts = readdirSync(folder).map((name) => join(folder, name));
  const { status, stdout } = spawnSync('shellcheck', scripts, { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

test('docker: creates once, starts, stops, resizes, removes with its volume', () => {
  expect(ask('docker', 'create')).toEqual({
    answer: { ok: true, state: 'running', providerRef: 'execplane-dm-x' },
    commands: [
      'docker create --name execplane-dm-x --hostname dm-x --init --restart no --cpus 1.5 --memory 512m ' +
        '--env EXECPLANE_URL=https://execplane.example --env EXECPLANE_JOIN_TOKEN ' +
        '--volume execplane-dm-x:/var/lib/execplane-agent agent:1',
      'docker start execplane-dm-x',
    ],
    status: 0,
  });
  expect(ask('docker', 'create', { state: 'stopped' }).commands).toEqual(['docker start execplane-dm-x']);
  const other = ask('docker', 'create', { attributes: { image: 'other:2' } });
  expect(other.commands[0]).toMatch(/ other:2$/);
  expect(ask('docker', 'sleep')).toMatchObject({
    answer: { state: 'stopped' },
    commands: ['docker stop execplane-dm-x'],
  });
  expect(ask('docker', 'wake')).toMatchObject({
    answer: { state: 'running' },
    commands: ['docker start execplane-dm-x'],
  });
  expect(ask('docker', 'resize', { state: 'running' })).toMatchObject({
    answer: { state: 'running' },
    commands: ['docker update --cpus 1.5 --memory 512m --memory-swap -1 execplane-dm-x'],
  });
  expect(ask('docker', 'delete', { state: 'running' })).toMatchObject({
    answer: { state: 'absent' },
    commands: ['docker rm --force execplane-dm-x', 'docker volume rm --force execplane-dm-x'],
  });
  expect(ask('docker', 'describe', { state: 'stopped' }).answer).toMatchObject({ state: 'stopped' });
});

test('wake-on-lan: sends the packet, suspends over ssh, and needs an address', () => {
  const attributes = { mac: '00:11:22:33:44:55', host: 'nas.lan' };
  expect(ask('wake-on-lan', 'wake', { attributes })).toEqual({
    answer: { ok: true, state: 'pending' },
    commands: ['wakeonlan 00:11:22:33:44:55'],
    status: 0,
  });
  expect(ask('wake-on-lan', 'sleep', { attributes, state: 'running' })).toMatchObject({
    answer: { state: 'pending' },
    commands: ['ssh -o BatchMode=yes -o ConnectTimeout=10 nas.lan systemctl suspend'],
  });
  expect(ask('wake-on-lan', 'describe', { attributes, state: 'stopped' }).answer).toMatchObject({ state: 'stopped' });
  expect(ask('wake-on-lan', 'wake').answer).toMatchObject({ ok: false, retryable: false });
});

test('libvirt: creates a disk from the image and a domain with the agent, and removes both completely', () => {
  const created = ask('libvirt', 'create');
  expect(created).toMatchObject({ answer: { state: 'running', providerRef: 'execplane-dm-x' }, status: 0 });
  expect(created.commands).toEqual([
    'qemu-img create -q -f qcow2 -F qcow2 -b /images/debian.qcow2 /pool/execplane-dm-x.qcow2 8G',
    expect.stringMatching(
      /^virt-install --name execplane-dm-x --vcpus 2 --memory 512 --disk \/pool\/execplane-dm-x\.qcow2 .* --cloud-init user-data=/,
    ),
  ]);
  expect(ask('libvirt', 'create', { state: 'running' }).commands).toEqual(['']);
  expect(ask('libvirt', 'wake', { state: 'stopped' }).commands).toEqual(['virsh start execplane-dm-x']);
  expect(ask('libvirt', 'sleep', { state: 'running' })).toMatchObject({
    answer: { state: 'pending' },
    commands: ['virsh shutdown execplane-dm-x'],
  });
  expect(ask('libvirt', 'delete', { state: 'running' }).commands).toEqual([
    'virsh destroy execplane-dm-x',
    'virsh undefine execplane-dm-x --nvram --remove-all-storage',
  ]);
});

test('aws: creates an instance with a tag, under the operation id', () => {
  const created = ask('aws', 'create');
  expect(created).toMatchObject({ answer: { ok: true, state: 'pending' }, status: 0 });
  const [command = ''] = created.commands.join('\n').split('\nruncmd');
  expect(command).toContain(
    'aws ec2 run-instances --image-id ami-1 --subnet-id subnet-1 --instance-type t3.small --client-token dm-x.1',
  );
  expect(command).toContain('Tags=[{Key=execplane-machine,Value=dm-x}');
  expect(command).toContain('EXECPLANE_JOIN_TOKEN=xpj_t');
  expect(ask('aws', 'create', { state: 'i-1\tstopped' })).toMatchObject({
    answer: { state: 'pending', providerRef: 'i-1' },
    commands: ['aws ec2 start-instances --instance-ids i-1'],
  });
  expect(ask('aws', 'sleep', { state: 'i-1\trunning' })).toMatchObject({
    answer: { state: 'pending' },
    commands: ['aws ec2 stop-instances --instance-ids i-1'],
  });
  expect(ask('aws', 'delete', { state: 'i-1\trunning' }).commands).toEqual([
    'aws ec2 terminate-instances --instance-ids i-1',
  ]);
  expect(ask('aws', 'delete')).toMatchObject({ answer: { state: 'absent' }, commands: [''] });
  expect(ask('aws', 'describe', { state: 'i-1\tstopping' }).answer).toMatchObject({ state: 'pending' });
});

test('hetzner: creates a server with a label, and the token in its user data', () => {
  const created = ask('hetzner', 'create');
  expect(created).toMatchObject({ answer: { ok: true, state: 'pending' }, status: 0 });
  expect(created.commands[0]).toBe(
    'hcloud server create --name dm-x --image snapshot-1 --type cx22 --location fsn1 --label execplane-machine=dm-x --user-data-from-file -',
  );
  expect(created.commands.map((line) => line.trim())).toContain('EXECPLANE_JOIN_TOKEN=xpj_t');
  expect(created.commands.map((line) => line.trim())).toContain('EXECPLANE_URL=https://execplane.example');
  const other = ask('hetzner', 'create', { attributes: { server_type: 'cax11' } });
  expect(other.commands[0]).toContain('--type cax11 ');
  expect(ask('hetzner', 'create', { state: '7   running' })).toMatchObject({
    answer: { state: 'pending', providerRef: '7' },
    commands: [''],
  });
  expect(ask('hetzner', 'create', { state: '7   off' }).commands).toEqual(['hcloud server poweron 7']);
  expect(ask('hetzner', 'wake', { state: '7   off' })).toMatchObject({
    answer: { state: 'pending' },
    commands: ['hcloud server poweron 7'],
  });
  expect(ask('hetzner', 'sleep', { state: '7   running' })).toMatchObject({
    answer: { state: 'pending' },
    commands: ['hcloud server shutdown 7'],
  });
  expect(ask('hetzner', 'delete', { state: '7   running' }).commands).toEqual(['hcloud server delete 7']);
  expect(ask('hetzner', 'delete')).toMatchObject({ answer: { state: 'absent' }, commands: [''] });
  expect(ask('hetzner', 'describe', { state: '7   off' }).answer).toMatchObject({ state: 'stopped' });
  expect(ask('hetzner', 'describe', { state: '7   stopping' }).answer).toMatchObject({ state: 'pending' });
});
