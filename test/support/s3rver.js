import S3rver from '@20minutes/s3rver';

/**
 * A program: `s3rver.js FOLDER PORT` serves S3 from a folder on loopback until it is killed, and prints its port when it listens.
 * Signatures of a known key are not checked: it computes those of requests for a bucket without the slash that the SDK puts
 * at their end.
 */
const [directory = '', port = '0'] = process.argv.slice(2);
const options = { address: '127.0.0.1', port: Number(port), directory, silent: true, allowMismatchedSignatures: true };
const { port: taken } = await new S3rver(options).run();
console.log(String(taken));
