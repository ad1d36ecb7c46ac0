import aws4 from 'aws4';
import type { LocalCloud } from '../../localstack/local-cloud.ts';

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A user of the local cloud who has these policies and no others, as a machine with a role that has them. */
export async function userWith(cloud: LocalCloud, name: string, policyArns: readonly string[]): Promise<Identity> {
  const ask = (action: string, fields: Readonly<Record<string, string>> = {}) =>
    iam(cloud, { Version: '2010-05-08', Action: action, UserName: name, ...fields });
  await ask('CreateUser');
  for (const PolicyArn of policyArns) await ask('AttachUserPolicy', { PolicyArn });
  const key = await ask('CreateAccessKey');
  const field = (tag: string) => new RegExp(`<${tag}>(.*?)</${tag}>`).exec(key)?.[1] ?? '';
  return { accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey') };
}

async function iam({ endpoint, env }: LocalCloud, fields: Readonly<Record<string, string>>): Promise<string> {
  const body = new URLSearchParams(fields).toString();
  const request = {
    host: new URL(endpoint).host,
    path: '/',
    method: 'POST',
    service: 'iam',
    region: env['AWS_REGION'] ?? '',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  };
  const { headers } = aws4.sign(request, {
    accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
  });
  const answer = await fetch(endpoint, { method: 'POST', headers: headers as Record<string, string>, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`IAM ${fields['Action']}: ${answer.status}: ${text}`);
  return text;
}
