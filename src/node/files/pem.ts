/** Reads the PEM files that settings name, and checks that they hold what the setting needs. */
import { ConfigError } from '../config-error.ts';
import { OTHERS_THAN_READING_GROUP, refuseOpenFile } from '../private-file.ts';
import { readConfiguredFile } from './configured-file.ts';

const CERTIFICATE = /-----BEGIN (X509 )?CERTIFICATE-----[^-]*-----END (X509 )?CERTIFICATE-----/g;

/** Names of the settings, for errors. */
export interface PairSettings {
  cert: string;
  key: string;
}

/** Returns the certificates in a file. Throws ConfigError, also if it holds none: Node would then trust nobody, or everybody. */
export function readCertificates(setting: string, path: string): Buffer {
  const pem = readConfiguredFile(setting, path);
  const found = pem.toString('latin1').match(CERTIFICATE) ?? [];
  if (found.length === 0) throw new ConfigError(`${setting}: ${path} holds no certificate in PEM: name another file`);
  const { X509Certificate } = crypto();
  for (const [index, text] of found.entries()) {
    try {
      new X509Certificate(text);
    } catch (cause) {
      throw new ConfigError(`${setting}: certificate ${index + 1} in ${path} is damaged: copy it again`, { cause });
    }
  }
  return pem;
}

/**
 * Returns a certificate and its private key. Throws ConfigError if a file cannot be used, if other users may read the key, or if they do not
 * belong together.
 */
export function readKeyPair(
  settings: PairSettings,
  files: { cert: string; key: string },
): { cert: Buffer; key: Buffer } {
  const cert = readCertificates(settings.cert, files.cert);
  const key = readPrivateKey(settings.key, files.key);
  const { createPrivateKey, X509Certificate } = crypto();
  if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
  throw new ConfigError(
    `${settings.key}: ${files.key} is the key of another certificate than the first one in ${files.cert}: name the right one`,
  );
}

function readPrivateKey(setting: string, path: string): Buffer {
  const key = readConfiguredFile(setting, path);
  try {
    refuseOpenFile(path, OTHERS_THAN_READING_GROUP);
  } catch (cause) {
    throw new ConfigError(`${setting}: ${(cause as Error).message}`, { cause });
  }
  try {
    crypto().createPrivateKey(key);
    return key;
  } catch (cause) {
    const locked = /ENCRYPTED/.test(key.toString('latin1'));
    throw new ConfigError(
      locked
        ? `${setting}: ${path} is encrypted with a passphrase: decrypt it (openssl pkey -in FILE -out NEW)`
        : `${setting}: ${path} holds no private key in PEM: name another file`,
      { cause },
    );
  }
}

/** Loaded at the first use: most commands read no PEM file. */
function crypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}
