/** The part of the page for outputs that depend on no input, such as what a generator draws: asked for by a button, and when training rests. */
import { elementCount } from '../tensor.ts';
import type { TensorArray } from '../tensor.ts';
import { byId } from './dom.ts';
import type { ProgramFacts, TrainerRequest } from './messages.ts';
import { outputPart } from './prediction.ts';

export interface Samples {
  /** Asks for them, with the same random numbers as before; one at a time. */
  readonly draw: () => void;
  readonly show: (outputs: Readonly<Record<string, TensorArray>>) => void;
  readonly failed: (message: string) => void;
}

/** Null where a program has no such output. */
export function openSamples({ drawnOutputs, settings }: ProgramFacts, send: (request: TrainerRequest) => void): Samples | null {
  byId('samples').hidden = drawnOutputs.length === 0;
  if (drawnOutputs.length === 0) return null;
  const button = byId<HTMLButtonElement>('draw');
  const note = byId('samples-note');
  const parts = new Map(drawnOutputs.map(({ name, shape, image }) =>
    [name, outputPart({ name, count: elementCount(shape), image: image ?? null, picture: null, labels: () => null })] as const));
  byId('drawn').replaceChildren(...[...parts.values()].map(({ element }) => element));
  let seed = settings?.seed ?? 0;
  const draw = (): void => {
    if (button.disabled) return;
    button.disabled = true;
    send({ kind: 'draw', seed });
  };
  const answered = (message: string): void => {
    button.disabled = false;
    note.textContent = message;
    note.hidden = message === '';
  };
  button.onclick = () => {
    seed = (seed + 1) % 2 ** 31;
    draw();
  };
  return {
    draw,
    show: outputs => {
      for (const [name, { show }] of parts) show(outputs[name]!);
      answered('');
    },
    failed: answered,
  };
}
