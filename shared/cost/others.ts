import type { Mix } from './mixes.ts';
import { GB, MONTH_SECONDS } from './model.ts';
import { PRICES } from './prices.ts';
import { OPERATION_NAMES, OPERATIONS } from './requests.ts';

/** EFS and S3 Files count an operation on metadata as so many bytes, and an inode as two kibibytes. */
const METADATA_BYTES = 4096;
const INODE_BYTES = 2048;
/** Of the data of S3 Files, what is in its fast storage; the rest is in the bucket alone. An assumption. */
const ACTIVE_SHARE = 0.1;
/** The smallest that there is. */
const LUSTRE_GB_MIN = 1200;
const HOURS = MONTH_SECONDS / 3600;
const MASTERS = 3;
/** As Alluxio's guide to its master wants it: for logs, for the journal and for RocksDB, the latter two by the million files. */
const MASTER_DISK_GB = { least: 16, journal: 8, rocks: 4 };

export interface Beside {
  readonly name: string;
  readonly usd: number;
  readonly includes: string;
}

interface Compared {
  readonly files: number;
  readonly mix: Mix;
  /** Of a file, on average. */
  readonly fileBytes: number;
}

/** What others charge for the same files and operations. Reading and writing of the files' bytes is in none of them. */
export function others({ files, mix, fileBytes }: Compared): Beside[] {
  const dataGb = (files * fileBytes) / GB;
  const { readGb, writeGb } = metadata(mix);
  const efs = (dataGb + (files * INODE_BYTES) / GB) * PRICES.efsGb.usd;
  const active = (dataGb + (files * INODE_BYTES) / GB) * ACTIVE_SHARE * PRICES.s3FilesGb.usd;
  return [
    {
      name: 'Alluxio, 3 masters on EC2',
      usd: masters(files),
      includes: 'metadata only: r5.4xlarge and gp3 disks as its guide sizes them; no work of keeping them up',
    },
    {
      name: 'S3 Files',
      usd: active + readGb * PRICES.s3FilesReadGb.usd + writeGb * PRICES.s3FilesWriteGb.usd,
      includes: 'metadata, and a tenth of the data in its fast storage; not the bucket',
    },
    {
      name: 'EFS Standard, elastic',
      usd: efs + readGb * PRICES.efsReadGb.usd + writeGb * PRICES.efsWriteGb.usd,
      includes: 'metadata and all of the data, instead of a bucket',
    },
    {
      name: 'FSx for Lustre, SSD',
      usd: Math.max(dataGb, LUSTRE_GB_MIN) * PRICES.lustreGb.usd,
      includes: 'metadata and all of the data, on disks that are paid for full or empty; not the bucket behind',
    },
    {
      name: 'S3 Standard',
      usd: dataGb * PRICES.s3Gb.usd,
      includes: 'the data: it comes on top of Leat, Alluxio and S3 Files',
    },
  ];
}

function masters(files: number): number {
  const diskGb = MASTER_DISK_GB.least + (files / 1e6) * (MASTER_DISK_GB.journal + MASTER_DISK_GB.rocks);
  return MASTERS * (HOURS * PRICES.masterHour.usd + diskGb * PRICES.diskGb.usd);
}

function metadata(mix: Mix): { readonly readGb: number; readonly writeGb: number } {
  const gb = (isWrite: boolean) =>
    OPERATION_NAMES.filter((name) => OPERATIONS[name].changes > 0 === isWrite).reduce(
      (sum, name) => sum + ((mix[name] ?? 0) * MONTH_SECONDS * METADATA_BYTES) / GB,
      0,
    );
  return { readGb: gb(false), writeGb: gb(true) };
}
