// The tests of the namespace, to be imported once it has been said how they reach it (`reachThrough`).
import '../../shared/namespace/attributes.test.ts';
import '../../shared/namespace/content.test.ts';
import '../../shared/namespace/hard-links.test.ts';
import '../../shared/namespace/listing.test.ts';
import '../../shared/namespace/mounts.test.ts';
import '../../shared/namespace/permissions.test.ts';
import '../../shared/namespace/quotas.test.ts';
import '../../shared/namespace/remove.test.ts';
import '../../shared/namespace/rename.test.ts';
import '../../shared/namespace/tree.test.ts';
