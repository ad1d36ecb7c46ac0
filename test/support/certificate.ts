import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** PEM texts of a key and the certificate that goes with it. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** A certificate for a server at these addresses. */
  issue(hosts: readonly string[]): Certificate;
}

/** An authority of our own: what openssl would write, without needing it on the machine. */
export function newAuthority(name: string): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension('551d13', sequence(der(0x01, 'ff')));
  const own = { subject: name, issuer: name, publicKey, extension: isAuthority };
  return {
    cert: certificate(own, privateKey),
    key: pem(privateKey),
    issue(hosts) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = hosts.map((host) =>
        /^[\d.]+$/.test(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
      );
      const served = { subject: hosts[0] ?? '', issuer: name, publicKey: keys.publicKey };
      const alternatives = extension('551d11', sequence(...names));
      return { cert: certificate({ ...served, extension: alternatives }, privateKey), key: pem(keys.privateKey) };
    },
  };
}

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly extension: Buffer;
}

function certificate({ subject, issuer, publicKey, extension: only }: Contents, signer: KeyObject): string {
  const year = new Date().getUTCFullYear();
  const contents = sequence(
    der(0xa0, der(0x02, '02')), // version 3
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(time(year - 1), time(year + 1)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(only)),
  );
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', contents, signer)]));
  const body = sequence(contents, ECDSA_SHA256, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${body.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, content: Buffer | string): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'hex') : content;
  const { length } = bytes;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), bytes]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const ECDSA_SHA256 = sequence(der(0x06, '2a8648ce3d040302'));

const nameOf = (name: string): Buffer =>
  sequence(der(0x31, sequence(der(0x06, '550403'), der(0x0c, Buffer.from(name)))));

const time = (year: number): Buffer => der(0x18, Buffer.from(`${year}0101000000Z`));

const extension = (id: string, value: Buffer): Buffer => sequence(der(0x06, id), der(0x04, value));

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
