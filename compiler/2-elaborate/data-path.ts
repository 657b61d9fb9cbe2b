/** Names of data files in a model: paths inside the data folder, as the runtime opens them. */
import { fail, type Context } from './context.ts';
import { describe, type Item } from './item.ts';

/** A file inside the data folder: relative, with forward slashes, without `..`. */
export function dataPath(context: Context, item: Item): string {
  if (item.kind !== 'string') return fail(context, { code: 'data.file', message: `a file is named by a string, found ${describe(item)}` });
  const { value } = item;
  if (value === '' || /^\/|^[A-Za-z]:|[\\\0]/.test(value) || value.split('/').includes('..')) {
    return fail(context, {
      code: 'data.path', message: `\`${value}\` is not a path inside the data folder`,
      help: 'paths are relative to the data folder, with `/` and without `..`',
    });
  }
  return value;
}
