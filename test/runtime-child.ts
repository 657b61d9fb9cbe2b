/** A program to be started by tests, as emitted programs are: `node runtime-child.ts [command] [flags]`. */
import { main } from '../runtime/main.ts';
import { linearProgram } from './runtime-fixture.ts';

const slow = Number(process.env['STEP_MILLISECONDS'] ?? 0);
const poison = Number(process.env['NAN_AT_STEP'] ?? Infinity);
await main(linearProgram(slow > 0 ? { steps: 400 } : {}, undefined, poison, slow), process.argv.slice(2));
