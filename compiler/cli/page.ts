/** The page of a model: what `nabla build --page` writes and `nabla serve` serves. */
import type { Target } from '../6-emit/emit.ts';
import { emitPage, type ServedPage } from '../6-emit/page/page.ts';
import { bindingProblems } from '../6-emit/wgsl/segments.ts';
import type { Levels } from '../index.ts';
import { render, view } from '../view/view.ts';
import { programOptions, type EmitFlags } from './run-program.ts';

/** `files` are carried by the page. With `--target auto` it carries a program for GPUs too, if they can hold the model. */
export async function pageText(levels: Levels, flags: EmitFlags, files: ReadonlyMap<string, Uint8Array>, served: ServedPage | null): Promise<string> {
  const { target = 'wasm', deterministic = false, debugNan = false } = flags;
  // Shaders can neither be as exact as these ask for nor hold every tensor.
  const onGpu = !deterministic && !debugNan && bindingProblems(levels.program!, levels.file.span).length === 0;
  const targets: readonly Target[] = target !== 'auto' ? [target] : onGpu ? ['webgpu', 'wasm'] : ['wasm'];
  const programs = targets.map(each => programOptions(levels, each, flags));
  const picture = new TextDecoder().decode(await render(view(levels, 'source'), 'svg'));
  return emitPage(levels, { programs, picture, files, served });
}
