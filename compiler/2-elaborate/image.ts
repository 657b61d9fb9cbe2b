/** `output … as image`: takes the value of such an output, gives how its pictures lie in it, or tells why it has none. */
import type { Value } from '../ir/graph.ts';
import type { ImageLayout } from '../ir/model.ts';
import { isFloat, printType, shapeOf } from '../ir/type.ts';
import { fail, type Context } from './context.ts';

/** Channels come before the pixels, as in convolutions, unless only the last dimension can be channels. */
export function imageLayout(context: Context, { type }: Value): ImageLayout {
  const [, a, b, c] = shapeOf(type);
  const rank = type.dims.length;
  if (rank !== 3 && rank !== 4) fail(context, {
    code: 'model.image', message: `pictures have the shape [N, H, W], [N, C, H, W] or [N, H, W, C], but this is ${printType(type)}`,
    help: 'bring each picture into rows of pixels: `reshape(x, [N, H, W])`',
  });
  if (type.dtype !== 'u8' && !isFloat(type.dtype)) fail(context, {
    code: 'model.image', message: `pixels are u8, or floating-point numbers from 0 to 1, but this is ${printType(type)}`,
    help: type.dtype === 'bool' ? 'write `cast(x, f32)`' : 'divide by the value of white, such as 255',
  });
  if (rank === 3) return { channels: 1, height: a!, width: b!, channelsLast: false };
  if (a === 1 || a === 3) return { channels: a, height: b!, width: c!, channelsLast: false };
  if (c === 1 || c === 3) return { channels: c, height: a!, width: b!, channelsLast: true };
  return fail(context, {
    code: 'model.image', message: `a picture has 1 channel or 3, but this is ${printType(type)}`,
    help: 'choose channels, as in `x[:, :3]`, or lay each out as a picture of its own: `reshape(x, [N * C, H, W])`',
  });
}
