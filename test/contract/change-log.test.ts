import { openers } from '../support/metastores.ts';
import { changeLogContract } from './change-log.contract.ts';

const { heap, lmdb } = openers();
changeLogContract('heap', heap);
changeLogContract('lmdb', () => lmdb());
