/** `npm run docs`: writes the generated pages of `docs/`. A test compares them with what would be written. */
import { writeFileSync } from 'node:fs';
import { diagnosticsPage, opsPage } from './reference.ts';

const docs = new URL('../../docs/', import.meta.url);
writeFileSync(new URL('ops.md', docs), opsPage());
writeFileSync(new URL('diagnostics.md', docs), diagnosticsPage());
