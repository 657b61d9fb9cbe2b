/** Nests and fused kernels as text, for pictures, golden files and people. One line a step; it is not read back. */
import { printAffine } from './affine.ts';
import { isGathered, type BinaryInstruction, type Index, type Nest, type Scalar } from './nest.ts';
import type { Access, Kernel, Step } from './program.ts';
import type { Shape } from './type.ts';

/** `out[i0 < 2, i1 < 3] = add[i2 < 5] a[i0, i2] * b[i2, i1]`. Operands are called a, b, c … unless named. */
export function printNest(nest: Nest, names: readonly string[] = [...'abcdefghijklmnopqrstuvwxyz']): string {
  const read = names.map((name, k) => (nest.reinterpret?.[k] ? `${name} as [${nest.reinterpret[k].join(', ')}]` : name));
  const body = printScalar(nest.body, read);
  if (nest.scatter) {
    return `out: [${nest.scatter.shape.join(', ')}]; for ${printAxes(nest.space, 0)}: out[${printIndices(nest.scatter.at, read)}] += ${body}`;
  }
  const combine = nest.combine === null ? '' : `${nest.combine}[${printAxes(nest.reduce, nest.space.length)}] `;
  return `out[${printAxes(nest.space, 0)}] = ${combine}${body}`;
}

/**
 * ```
 * softmax[i0 < 64] (x: f32[64, 10]) -> (y: f32[64, 10])
 *   t0 = max[i1 < 10] x[i0, i1]
 *   t1 = add[i1 < 10] exp(x[i0, i1] - t0)
 *   for i1 < 10: y[i0, i1] = exp(x[i0, i1] - t0) / t1
 * ```
 */
export function printKernel(kernel: Kernel): string {
  const accesses = (list: readonly Access[]): string =>
    list.map(access => `${access.name}: ${access.dtype}[${access.shape.join(', ')}]`).join(', ');
  const names = [...kernel.operands, ...kernel.outputs].map(access => access.name);
  const signature = `(${accesses(kernel.operands)}) -> (${accesses(kernel.outputs)})${kernel.host ? ' on the host' : ''}`;
  return [`${kernel.name}[${printAxes(kernel.space, 0)}] ${signature}`, ...kernel.steps.map(step => `  ${printStep(step, kernel, names)}`)].join('\n');
}

function printStep(step: Step, kernel: Kernel, names: readonly string[]): string {
  switch (step.kind) {
    case 'reduce': {
      const position = step.combine === 'argmax' || step.combine === 'argmin';
      const combine = step.axes.length > 0 || position ? `${step.combine}[${printAxes(step.axes, kernel.space.length)}] ` : '';
      return `t${step.local} = ${combine}${printScalar(step.body, names)}`;
    }
    case 'store': {
      const loop = step.axes.length > 0 ? `for ${printAxes(step.axes, kernel.space.length)}: ` : '';
      return `${step.joined ? 'with ' : ''}${loop}${kernel.outputs[step.output]!.name}[${printIndices(step.at, names)}] ${step.accumulate ? '+=' : '='} ${printScalar(step.body, names)}`;
    }
    case 'clear':
      return `${kernel.outputs[step.output]!.name}[…] = 0`;
    default: return step satisfies never;
  }
}

const infix: Partial<Readonly<Record<BinaryInstruction, string>>> = {
  add: '+', sub: '-', mul: '*', div: '/', mod: '%', pow: '**', lt: '<', le: '<=', eq: '==', and: 'and', or: 'or',
};

/** A scalar as an expression. `names` are those of the operands. */
export function printScalar(scalar: Scalar, names: readonly string[]): string {
  switch (scalar.kind) {
    case 'constant': return scalar.dtype === 'f32' ? String(scalar.value) : `${scalar.dtype} ${scalar.value}`;
    case 'index': return `#(${printAffine(scalar.index, axisNames)})`;
    case 'local': return `t${scalar.local}`;
    case 'load': return `${names[scalar.operand]!}[${printIndices(scalar.at, names)}]`;
    case 'guard': {
      const checks = scalar.at.map(({ index, extent }) => `${printAffine(index, axisNames)} in 0..${extent}`);
      return `(${checks.join(' and ')} ? ${printScalar(scalar.then, names)} : ${printScalar(scalar.otherwise, names)})`;
    }
    case 'apply': {
      const operator = infix[scalar.instruction as BinaryInstruction];
      const texts = scalar.arguments.map(argument => printScalar(argument, names));
      if (operator === undefined) return `${scalar.instruction}(${texts.join(', ')})`;
      return texts.map((text, i) => (isInfix(scalar.arguments[i]!) ? `(${text})` : text)).join(` ${operator} `);
    }
    default: return scalar satisfies never;
  }
}

const isInfix = (scalar: Scalar): boolean => scalar.kind === 'apply' && infix[scalar.instruction as BinaryInstruction] !== undefined;

const printIndices = (at: readonly Index[], names: readonly string[]): string =>
  at.map(index => (isGathered(index) ? printScalar(index.gathered, names) : printAffine(index, axisNames))).join(', ');

const printAxes = (extents: Shape, first: number): string => extents.map((extent, i) => `${axisNames[first + i]!} < ${extent}`).join(', ');

const axisNames: readonly string[] = Array.from({ length: 32 }, (_, axis) => `i${axis}`);
