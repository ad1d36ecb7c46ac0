import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { installed } from '../../localstack/installed.ts';

const VERSION = '3.3.1';
const JAVA_MIN = 17;
const PROGRAM = new URL('./DynamoDbOnLoopback.java', import.meta.url).pathname;

/** Where an engine that speaks for DynamoDB listens. */
export interface DynamoEngine {
  readonly name: string;
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** AWS's own engine, in memory, on loopback; undefined where there is no Java or no Maven to get it with. */
export async function startDynamoDbLocal(): Promise<DynamoEngine | undefined> {
  const jars = ensureDynamoDbLocal();
  if (jars === undefined) return undefined;
  const flags = ['-Xmx512m', '-XX:TieredStopAtLevel=1', `-Dsqlite4java.library.path=${jars}`, '-cp', `${jars}*`];
  const child = spawn('java', [...flags, PROGRAM], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, DDB_LOCAL_TELEMETRY: '0' },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-2000)));
  const ended = once(child, 'exit');
  const [port] = (await Promise.race([once(createInterface(child.stdout), 'line'), ended])) as [unknown];
  if (typeof port !== 'string') throw new Error(`DynamoDB Local did not start: ${complaint}`);
  return {
    name: 'DynamoDB Local',
    endpoint: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The folder of its jars. */
export function ensureDynamoDbLocal(): string | undefined {
  if (!hasJava()) return undefined;
  return installed(`dynamodb-local-${VERSION}`, (folder) => {
    const pom = `${folder}pom.xml`;
    writeFileSync(pom, POM);
    const args = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    const mvn = spawnSync('mvn', args, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
    if (mvn.status !== 0) throw new Error(mvn.error?.message ?? mvn.stdout.slice(-500));
  });
}

/** Java 8 calls itself 1.8. */
function hasJava(): boolean {
  const { status, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  return status === 0 && Number(/version "(\d+)/.exec(stderr)?.[1]) >= JAVA_MIN;
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>leat</groupId>
  <artifactId>dynamodb-local</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId>
      <artifactId>DynamoDBLocal</artifactId>
      <version>${VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
