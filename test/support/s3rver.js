import S3rver from '@20minutes/s3rver';

/** A program: `s3rver.js FOLDER PORT` serves S3 from a folder on loopback until it is killed, and prints its port when it listens. */
const [directory = '', port = '0'] = process.argv.slice(2);
const { port: taken } = await new S3rver({ address: '127.0.0.1', port: Number(port), directory, silent: true }).run();
console.log(String(taken));
