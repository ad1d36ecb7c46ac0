/** Of engines that make no difference between accounts and regions. */
export const REGION = 'us-east-1';
export const ACCOUNT = '000000000000';

/** What any program needs in its environment to use the engine as if it were AWS. */
export const environmentOf = (endpoint: string) => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: REGION,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
});
