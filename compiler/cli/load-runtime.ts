/** Functions of the runtime for commands: its own text, loaded as a program carries it, so that what runs here is what runs there. */
import { reached, readRuntime } from '../6-emit/runtime.ts';
import { withoutTypes } from '../6-emit/ts-morph.ts';

/** The functions of these names. */
export async function loadRuntime<Functions>(...wanted: readonly (keyof Functions & string)[]): Promise<Functions> {
  const { declarations, imports } = reached(readRuntime(), new Set(wanted));
  const text = withoutTypes([...imports, ...declarations.map(declaration => declaration.text), `export { ${wanted.join(', ')} };`].join('\n'));
  return (await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`)) as Functions;
}
