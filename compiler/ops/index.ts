/** The op table: the one place that lists every op. */
import { concat } from './concat.ts';
import { contract } from './contract.ts';
import { convolution, window } from './convolution.ts';
import { declared } from './declared.ts';
import type { AnyOp, GraphOp } from './define.ts';
import {
  abs, add, cast, cos, div, equal, erf, exp, floor, less, less_equal, log, logical_and, logical_not, logical_or, maximum, minimum, mod, mul,
  neg, pow, select, sin, sqrt, stop_gradient, sub, tanh,
} from './elementwise.ts';
import { full, random, range } from './full.ts';
import { gather, scatter_add } from './gather.ts';
import { matmul } from './matmul.ts';
import { argmax, argmin, max, min, prod } from './reduce.ts';
import { reshape } from './reshape.ts';
import { scan, scan_final, scan_sequence } from './scan.ts';
import { mean, sum } from './sum.ts';
import { broadcast, pad, slice, squeeze, transpose, unsqueeze, view } from './view.ts';

const ops: readonly AnyOp[] = [
  full, range, random,
  neg, abs, exp, log, sqrt, tanh, erf, sin, cos, floor, logical_not,
  add, sub, mul, div, mod, pow, maximum, minimum, equal, less, less_equal, logical_and, logical_or,
  select, cast, stop_gradient, declared,
  view, transpose, broadcast, slice, pad, unsqueeze, squeeze, reshape, concat,
  contract, sum, mean, matmul, window, convolution,
  max, min, prod, argmax, argmin,
  gather, scatter_add,
];

export const opTable: ReadonlyMap<string, AnyOp> = new Map(ops.map(op => [op.definition.name, op]));

const structural: readonly GraphOp[] = [scan, scan_final, scan_sequence];

/** Everything that a graph may hold: the table, and what the language has a syntax of its own for. */
export const graphOps: ReadonlyMap<string, GraphOp> = new Map([...opTable.values(), ...structural].map(op => [op.definition.name, op]));
