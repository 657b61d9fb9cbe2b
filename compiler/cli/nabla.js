#!/usr/bin/env node
/**
 * The command `nabla`. Plain JavaScript, so that a Node that cannot run TypeScript says what is needed instead of failing to read
 * the file; everything else is in `main.ts`.
 */
import module from 'node:module';

if (process.features.typescript) {
  module.enableCompileCache();
  module.registerHooks({
    resolve(specifier, context, nextResolve) {
      // The compiler's own files are where they say, as TypeScript; to look for each takes a sixth of the time of loading it.
      if (/^\..*\.ts$/.test(specifier)) return { url: new URL(specifier, context.parentURL).href, format: 'module-typescript', shortCircuit: true };
      const found = nextResolve(specifier, context);
      // Chevrotain's own bundle is one file instead of some four hundred, which saves most of the time of a short command.
      return specifier === 'chevrotain' ? { ...found, url: found.url.replace('/lib/src/api.js', '/lib/chevrotain.mjs') } : found;
    },
  });
  // A reader that goes away, such as `head`, ends the program quietly.
  process.stdout.on('error', () => process.exit(1));
  const { main } = await import('./main.ts');
  const exitCode = await main(process.argv.slice(2));
  // Once all is written the process ends here: to give back what the compiler has made takes as long as writing a program.
  for (const stream of [process.stdout, process.stderr]) await new Promise(written => stream.write('', written));
  process.exit(exitCode);
} else {
  process.stderr.write(`error: nabla needs Node 22.18 or later to run, and this is Node ${process.versions.node}: install a later one\n`);
  process.exitCode = 1;
}
