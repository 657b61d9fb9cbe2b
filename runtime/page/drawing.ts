/**
 * An input that is a picture: drawn by hand on a canvas, with the mouse, a finger or the arrow keys, or taken from an image file. Gives the
 * row that the model sees, and shows it.
 */
import type { TensorArray } from '../tensor.ts';
import { newTensorArray } from '../tensor.ts';
import { make, onFiles } from './dom.ts';
import type { PictureFacts } from './messages.ts';
import type { PictureShape } from './picture.ts';
import { boundsOf } from './picture.ts';

/** A part of the page where somebody gives an input. */
export interface InputPart {
  readonly element: HTMLElement;
  /** The row as it stands; null while there is none. */
  readonly row: () => TensorArray | null;
  readonly show: (row: TensorArray) => void;
}

export interface DrawingOptions {
  readonly name: string;
  readonly shape: PictureShape;
  readonly dtype: 'f32' | 'u8' | 'i32';
  /** What is known of the pictures of the data; null before there is any. */
  readonly facts: () => PictureFacts | null;
  readonly changed: () => void;
}

/** Pixels of the canvas along its longer side. */
export const canvasSide = 280;

export function drawingPart({ name, shape, dtype, facts, changed }: DrawingOptions): InputPart {
  const scale = canvasSide / Math.max(shape.width, shape.height);
  const [width, height] = [Math.round(shape.width * scale), Math.round(shape.height * scale)];
  const canvas = make('canvas', {
    width: String(width), height: String(height), tabindex: '0', class: 'drawing', role: 'img',
    'aria-label': `Draw \`${name}\` here. With the keyboard: arrow keys move the pen, with Shift they draw.`,
  });
  const seen = make('canvas', { width: String(shape.width), height: String(shape.height), class: 'seen', role: 'img', 'aria-label': 'What the model sees' });
  const pen = canvas.getContext('2d', { willReadFrequently: true })!;
  const hint = make('p', { class: 'hint' }, 'Draw here, or drop a picture');
  let empty = true;
  /** A row of the data is shown, and given, as it is. */
  let given: TensorArray | null = null;

  const clear = (): void => {
    pen.fillStyle = '#000';
    pen.fillRect(0, 0, width, height);
    empty = true;
    given = null;
    hint.hidden = false;
  };
  const drawn = (): void => {
    empty = false;
    given = null;
    hint.hidden = true;
    refresh();
  };
  const rowNow = (): TensorArray => given ?? rowOfDrawing(pen, shape, dtype, facts());
  const refresh = (): void => {
    showPicture(seen, empty ? newTensorArray(dtype, shape.channels * shape.width * shape.height) : rowNow(), shape, facts());
    changed();
  };
  const line = (from: readonly [number, number], to: readonly [number, number]): void => {
    pen.strokeStyle = '#fff';
    pen.lineCap = 'round';
    pen.lineWidth = Math.min(width, height) / 13;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    drawn();
  };

  let last: readonly [number, number] | null = null;
  const placeOf = (event: PointerEvent): readonly [number, number] => {
    const { left, top, width: shownWidth, height: shownHeight } = canvas.getBoundingClientRect();
    return [((event.clientX - left) / shownWidth) * width, ((event.clientY - top) / shownHeight) * height];
  };
  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId);
    last = placeOf(event);
    line(last, last);
  });
  canvas.addEventListener('pointermove', event => {
    if (last === null) return;
    const next = placeOf(event);
    line(last, next);
    last = next;
  });
  for (const end of ['pointerup', 'pointercancel'] as const) canvas.addEventListener(end, () => {
    last = null;
  });
  const cursor: [number, number] = [width / 2, height / 2];
  canvas.addEventListener('keydown', event => {
    const moves: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const from: [number, number] = [...cursor];
    const along = (axis: 0 | 1, end: number): number => Math.min(end, Math.max(0, cursor[axis] + move[axis] * (end / 24)));
    [cursor[0], cursor[1]] = [along(0, width), along(1, height)];
    if (event.shiftKey) line(from, cursor);
  });

  const clearButton = make('button', { type: 'button' }, 'Clear');
  clearButton.addEventListener('click', () => {
    clear();
    refresh();
  });
  const invertButton = make('button', { type: 'button' }, 'Invert');
  invertButton.addEventListener('click', () => {
    pen.globalCompositeOperation = 'difference';
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, width, height);
    pen.globalCompositeOperation = 'source-over';
    drawn();
  });
  const file = make('input', { type: 'file', accept: 'image/*' });
  const zone = make('div', { class: 'drawing-zone' }, canvas, hint);
  onFiles(zone, [file], async ([chosen]) => {
    if (chosen === undefined) return;
    const picture = await createImageBitmap(chosen.file).catch(() => null);
    if (picture === null) {
      hint.textContent = `${chosen.path} is not a picture that this browser reads`;
      hint.hidden = false;
      return;
    }
    drawFitted(pen, picture, facts());
    drawn();
  });
  clear();
  const buttons = make('div', { class: 'buttons' }, clearButton, invertButton, make('label', { class: 'button' }, 'Picture…', file));
  const element = make('div', { class: 'input-part' }, zone, make('div', { class: 'beside' }, make('figure', {}, seen, make('figcaption', {}, 'what the model sees')), buttons));
  refresh();
  return {
    element,
    row: () => (empty ? null : rowNow()),
    show: row => {
      clear();
      showPicture(seen, row, shape, facts());
      pen.imageSmoothingEnabled = false;
      pen.drawImage(seen, 0, 0, width, height);
      pen.imageSmoothingEnabled = true;
      empty = false;
      given = row;
      hint.hidden = true;
      changed();
    },
  };
}

/** A picture into the middle, on the ground that pictures of the data have: dark or light. */
export function drawFitted(pen: CanvasRenderingContext2D, picture: ImageBitmap, facts: PictureFacts | null): void {
  const { width, height } = pen.canvas;
  const scale = Math.min(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, width, height);
  pen.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
  if (facts === null || facts.placement === null) return;
  // Things on paper are dark on light; the data has them light on dark.
  const { data } = pen.getImageData(0, 0, width, height);
  const corners = [0, width - 1, (height - 1) * width, height * width - 1].map(i => data[4 * i]!);
  if (corners.reduce((sum, value) => sum + value, 0) < 4 * 128) return;
  pen.globalCompositeOperation = 'difference';
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, width, height);
  pen.globalCompositeOperation = 'source-over';
}

/** The canvas as a row: means over what becomes one pixel, placed as things lie in the pictures of the data. */
export function rowOfDrawing(pen: CanvasRenderingContext2D, shape: PictureShape, dtype: DrawingOptions['dtype'], facts: PictureFacts | null): TensorArray {
  const { canvas } = pen;
  const [low, high] = facts === null ? [0, dtype === 'f32' ? 1 : 255] : [facts.low, facts.high];
  const placed = facts?.placement === undefined || facts.placement === null ? null : placedCanvas(pen, shape, facts.placement);
  const from = placed ?? canvas;
  const { data } = from.getContext('2d')!.getImageData(0, 0, from.width, from.height);
  const row = newTensorArray(dtype, shape.channels * shape.width * shape.height);
  for (let y = 0; y < shape.height; y++) {
    const [top, bottom] = [Math.floor((y * from.height) / shape.height), Math.ceil(((y + 1) * from.height) / shape.height)];
    for (let x = 0; x < shape.width; x++) {
      const [left, right] = [Math.floor((x * from.width) / shape.width), Math.ceil(((x + 1) * from.width) / shape.width)];
      for (let channel = 0; channel < shape.channels; channel++) {
        let sum = 0;
        for (let v = top; v < bottom; v++) for (let u = left; u < right; u++) {
          const at = 4 * (v * from.width + u);
          sum += shape.channels === 3 ? data[at + channel]! : 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
        }
        const share = sum / (255 * (bottom - top) * (right - left));
        const value = low + share * (high - low);
        row[(channel * shape.height + y) * shape.width + x] = dtype === 'f32' ? value : Math.round(value);
      }
    }
  }
  return row;
}

/** The drawing moved and scaled so that what is on it has the size and the centre of mass that things have in the data. */
export function placedCanvas(pen: CanvasRenderingContext2D, shape: PictureShape, placement: NonNullable<PictureFacts['placement']>): HTMLCanvasElement | null {
  const { width, height } = pen.canvas;
  const { data } = pen.getImageData(0, 0, width, height);
  const bounds = boundsOf(Float64Array.from({ length: width * height }, (_, i) => data[4 * i]! / 255), { width, height });
  if (bounds === null) return null;
  const unit = width / shape.width;
  const scale = (placement.side * unit) / bounds.side;
  const placed = make('canvas', { width: String(width), height: String(height) });
  const target = placed.getContext('2d', { willReadFrequently: true })!;
  target.fillStyle = '#000';
  target.fillRect(0, 0, width, height);
  target.imageSmoothingQuality = 'high';
  target.drawImage(pen.canvas, placement.x * unit - bounds.x * scale, placement.y * unit - bounds.y * scale, width * scale, height * scale);
  return placed;
}

/** A row as a picture, from the darkest to the brightest value of the data. */
export function showPicture(canvas: HTMLCanvasElement, row: TensorArray, shape: PictureShape, facts: PictureFacts | null): void {
  const values = Array.from(row);
  const [low, high] = facts === null ? (row instanceof Float32Array ? [Math.min(0, ...values), Math.max(1, ...values)] : [0, 255]) : [facts.low, facts.high];
  const image = new ImageData(shape.width, shape.height);
  const count = shape.width * shape.height;
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = (255 * (values[(shape.channels === 3 ? channel * count : 0) + i]! - low)) / (high - low);
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(image, 0, 0);
}
