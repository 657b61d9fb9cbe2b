/** The page of a model: what `nabla build --page` writes and `nabla serve` serves. */
import { emitPage, type ServedPage } from '../6-emit/page/page.ts';
import type { Levels } from '../index.ts';
import { render, view } from '../view/view.ts';
import { Failure } from './failure.ts';
import { checkTarget, type EmitFlags } from './run-program.ts';

/** `files` are carried by the page. */
export async function pageText(levels: Levels, flags: EmitFlags, files: ReadonlyMap<string, Uint8Array>, served: ServedPage | null): Promise<string> {
  if (levels.model!.data?.sources.some(source => source.format === 'images' || source.fields.some(field => field.picture))) {
    throw new Failure('pages read no picture files: give the pictures as idx or npy files, all of them in one');
  }
  const { deterministic = false, debugNan = false } = flags;
  const target = flags.target === undefined || flags.target === 'auto' ? 'wasm' : flags.target;
  checkTarget(levels, target);
  const picture = new TextDecoder().decode(await render(view(levels, 'source'), 'svg'));
  return emitPage(levels, { target, deterministic, debugNan, picture, files, served });
}
