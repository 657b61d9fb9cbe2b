/** What a model makes of an input: bars for a few numbers, pictures for outputs that are some, and the class that wins. */
import { imageGrid } from '../image-grid.ts';
import type { ImageLayout } from '../program.ts';
import { showNumber } from '../progress-line.ts';
import type { TensorArray } from '../tensor.ts';
import { make } from './dom.ts';
import { showPicture } from './drawing.ts';
import type { PictureShape } from './picture.ts';

export interface OutputFacts {
  readonly name: string;
  /** Of one row. */
  readonly count: number;
  /** Declared to be one, or of the shape of one. */
  readonly image: ImageLayout | null;
  readonly picture: PictureShape | null;
  /** What the numbers stand for, where the data says it. */
  readonly labels: () => readonly string[] | null;
}

/** More numbers are not shown. */
export const mostBars = 40;

/** A part that shows the output, and the function that gives it new values. */
export function outputPart({ name, count, image, picture, labels }: OutputFacts): { readonly element: HTMLElement; readonly show: (values: TensorArray) => void } {
  const contents = make('div', {});
  const element = make('div', { class: 'output' }, make('h3', {}, name.replaceAll('_', ' ')), contents);
  if (image !== null) {
    const canvas = make('canvas', { class: 'seen large', role: 'img', 'aria-label': name });
    contents.append(canvas);
    return { element, show: values => showImages(canvas, values, image) };
  }
  if (picture !== null) {
    const canvas = make('canvas', { width: String(picture.width), height: String(picture.height), class: 'seen large', role: 'img', 'aria-label': name });
    contents.append(canvas);
    return { element, show: values => showPicture(canvas, values, picture, null) };
  }
  return {
    element,
    show: values => {
      if (count === 1) {
        contents.replaceChildren(make('p', { class: 'number' }, showNumber(values[0]!)));
        return;
      }
      const shares = values.every(value => value >= 0 && value <= 1);
      const most = shares ? 1 : Math.max(...Array.from(values, Math.abs), 1e-30);
      const best = values.indexOf(Math.max(...values));
      const texts = labels();
      const bars = Array.from(values.subarray(0, mostBars), (value, i) => {
        const bar = make('span', { class: 'bar' });
        bar.style.setProperty('--share', String(Math.abs(value) / most));
        return make('li', i === best ? { class: 'best' } : {}, make('span', { class: 'label' }, texts?.[i] ?? String(i)), make('span', { class: 'track' }, bar),
          make('span', { class: 'value' }, shares ? `${(100 * value).toFixed(1)} %` : showNumber(value)));
      });
      const rest = count > mostBars ? [make('p', { class: 'hint' }, `and ${count - mostBars} more`)] : [];
      contents.replaceChildren(make('ol', { class: 'bars' }, ...bars), ...rest);
    },
  };
}

/** All pictures of an output in a grid. */
export function showImages(canvas: HTMLCanvasElement, values: TensorArray, layout: ImageLayout): void {
  const { width, height, channels, pixels } = imageGrid(values, layout);
  canvas.width = width;
  canvas.height = height;
  canvas.classList.toggle('grid', width > layout.width || height > layout.height);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) image.data[4 * i + channel] = pixels[i * channels + (channels === 3 ? channel : 0)]!;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(image, 0, 0);
}
