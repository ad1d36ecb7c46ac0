import { openers } from '../support/metastores.ts';
import { embeddedMetastoreContract } from './metastore.contract.ts';

const { heap, lmdb } = openers();
embeddedMetastoreContract('heap', heap);
embeddedMetastoreContract('lmdb', () => lmdb());
embeddedMetastoreContract('lmdb, strict', () => lmdb('strict'));
