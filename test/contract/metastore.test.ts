import { openers } from '../support/metastores.ts';
import { metastoreContract } from './metastore.contract.ts';

const { heap, lmdb } = openers();
metastoreContract('heap', heap);
metastoreContract('lmdb', () => lmdb());
metastoreContract('lmdb, strict', () => lmdb('strict'));
