/**
 * Trains a reference model in jax-js on WebAssembly: `node jax.ts MODEL FOLDER WARM_UP STEPS`, with the batch and the first weights
 * that lie in the folder. Prints one line of JSON. A whole step is one compiled function, as jax-js wants it.
 */
import { readFileSync } from 'node:fs';
import { defaultDevice, init } from '@jax-js/jax';
import { jaxStep } from './jax-models.ts';
import { measureSteps, readInput, readWeights } from './read-batch.ts';

const [, , model, folder, warmUp, steps] = process.argv;
await init('wasm');
defaultDevice('wasm');
const weights = readWeights(folder!);
const parameters = weights.reduce((sum, { values }) => sum + values.length, 0);
const step = jaxStep(model!, weights, name => readInput(folder!, name));
process.stdout.write(`${JSON.stringify(await measureSteps({ version: jaxVersion(), parameters }, step, Number(warmUp), Number(steps)))}\n`);

function jaxVersion(): string {
  const path = new URL('node_modules/@jax-js/jax/package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}
