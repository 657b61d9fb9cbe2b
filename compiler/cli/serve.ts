/**
 * `nabla serve`: serves the page of a model on the loopback address, with the headers that let threads share memory, and its data files
 * beside it. After a change of the model's file, or of one that it imports, pages load themselves anew, or show what is wrong.
 */
import { createHash } from 'node:crypto';
import { createReadStream, statSync, unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { settingName } from '../2-elaborate/hyperparameters.ts';
import { bundleHeader, dataNames, emitErrorsPage, type Hyperparameter } from '../6-emit/page/page.ts';
import { compile, type Levels } from '../index.ts';
import { renderDiagnostic } from '../source/render.ts';
import { positions } from '../source/text.ts';
import { besideModel, compileOptions } from './compile-file.ts';
import { Failure } from './failure.ts';
import { dataFilePath, pictureNames } from './page-files.ts';
import { pageText } from './page.ts';
import { readSource } from './read-source.ts';
import type { EmitFlags } from './run-program.ts';

export interface ServeFlags extends EmitFlags {
  readonly port: string;
}

/** A model as its files are now. */
export interface ServedModel {
  /** Null where the file has errors. */
  readonly levels: Levels | null;
  /** As the command line draws them. */
  readonly errors: string;
  readonly version: string;
}

/** Ends when the process is interrupted. */
export async function runServe(path: string, flags: ServeFlags): Promise<number> {
  const port = Number(flags.port);
  const served = await servePage(path, flags, port).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE' || error.code === 'EACCES') throw new Failure(`the port ${port} cannot be used: give another one with \`--port\``);
    throw error;
  });
  process.stdout.write(`${path} is at ${served.url} until Ctrl-C\n`);
  await new Promise<void>(done => process.once('SIGINT', done).once('SIGTERM', done));
  await served.close();
  return 0;
}

/** The server, once it listens. Port 0 is any that is free. */
export async function servePage(path: string, flags: EmitFlags, port: number): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const folder = resolve(besideModel(path, flags.data));
  const watched = new Set<string>();
  const listeners = new Set<() => void>();
  const models = new Map<string, ServedModel>();
  const changed = (): void => {
    models.clear();
    for (const listener of listeners) listener();
  };
  const watch = (file: string): void => {
    if (watched.has(file)) return;
    watched.add(file);
    watchFile(file, { interval: 200 }, changed);
  };
  watch(resolve(path));
  const settingsOf = (query: URLSearchParams): ReadonlyMap<string, string> => new Map([...(flags.set ?? []), ...query]);
  const modelOf = (query: URLSearchParams): ServedModel => {
    const known = models.get(query.toString()) ?? compileServed(path, { ...flags, set: settingsOf(query) }, watch);
    models.set(query.toString(), known);
    return known;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
    // A name that somebody else has resolved to this machine is no name of the page.
    if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '')) return refuse(response, 403);
    if (request.method !== 'GET') return refuse(response, 405);
    if (pathname === '/') {
      const { levels, errors, version } = modelOf(searchParams);
      const text = levels === null ? emitErrorsPage(path, errors, version)
        : await pageText(levels, flags, new Map(), { version, hyperparameters: hyperparametersOf(levels, settingsOf(searchParams)) });
      response.writeHead(200, { ...headers, 'Content-Type': 'text/html; charset=utf-8' }).end(text);
      return;
    }
    if (pathname === '/changes') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream' });
      const listener = (): void => {
        const { errors, version } = modelOf(searchParams);
        response.write(`data: ${JSON.stringify({ errors, version })}\n\n`);
      };
      listeners.add(listener);
      response.on('close', () => listeners.delete(listener));
      return listener();
    }
    const name = pathname.startsWith('/data/') ? decoded(pathname.slice('/data/'.length)) : null;
    const { levels } = modelOf(searchParams);
    if (name === null || levels === null) return refuse(response, 404);
    if (name === '') return sendPictures(response, await pictureNames(levels.model!, folder), folder);
    if (!dataNames(levels.model!).files.includes(name)) return refuse(response, 404);
    const file = createReadStream(dataFilePath(folder, name));
    file.on('open', () => response.writeHead(200, { ...headers, 'Content-Type': 'application/octet-stream' }));
    file.on('error', () => response.destroy());
    file.pipe(response);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof Failure)) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      refuse(response, error instanceof Failure ? 404 : 500);
    });
  });
  await new Promise<void>((listening, failed) => server.once('error', failed).listen(port, '127.0.0.1', listening));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : port}/`,
    close: () => new Promise(closed => {
      for (const file of watched) unwatchFile(file, changed);
      server.close(() => closed());
      server.closeAllConnections();
    }),
  };
}

const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp', 'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
} as const;

/** All of those that are there in one response: thousands of requests would take long. The page tells what is missing. */
async function sendPictures(response: ServerResponse, names: readonly string[], folder: string): Promise<void> {
  const pictures = names.flatMap(name => {
    try {
      return [{ name, path: dataFilePath(folder, name) }];
    } catch (error) {
      if (error instanceof Failure) return [];
      throw error;
    }
  });
  if (pictures.length === 0) return refuse(response, 404);
  const sizes = pictures.map(({ name, path }) => [name, statSync(path).size] as const);
  response.writeHead(200, { ...headers, 'Content-Type': 'application/octet-stream' });
  await pipeline(async function* () {
    yield bundleHeader(sizes);
    for (const [i, { name, path }] of pictures.entries()) {
      const bytes = await readFile(path);
      if (bytes.length !== sizes[i]![1]) throw new Failure(`\`${name}\` has changed`);
      yield bytes;
    }
  }, response).catch(() => response.destroy());
}

const refuse = (response: ServerResponse, status: number): void => {
  if (!response.headersSent) response.writeHead(status, headers);
  response.end();
};

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Compiles the file as it is now; `watch` is told of the files that it imports. */
function compileServed(path: string, flags: EmitFlags, watch: (file: string) => void): ServedModel {
  const hash = createHash('sha256').update(JSON.stringify([...(flags.set ?? [])]));
  const failed = (errors: string): ServedModel => ({ levels: null, errors, version: hash.update(errors).digest('hex') });
  try {
    const source = readSource(path);
    const options = compileOptions(path, flags);
    const { levels, diagnostics } = compile(source, 'schedule', {
      ...options,
      readImport: (wanted, from) => {
        const file = options.readImport!(wanted, from);
        if ('text' in file) {
          watch(resolve(file.path));
          hash.update(file.text);
        }
        return file;
      },
    });
    hash.update(source.text);
    const locate = positions();
    if (diagnostics.length > 0) return failed(diagnostics.map(diagnostic => renderDiagnostic(diagnostic, { color: false, locate })).join('\n\n'));
    if (levels.model === undefined) return failed(`\`${source.path}\` holds no model: write \`model Name { … }\` in it`);
    return { levels, errors: '', version: hash.digest('hex') };
  } catch (error) {
    if (error instanceof Failure) return failed(error.message);
    throw error;
  }
}

/** Those that are a number or a truth value, with the values that the page has them at. A name that several models have stands once for each. */
function hyperparametersOf({ file }: Levels, settings: ReadonlyMap<string, string>): readonly Hyperparameter[] {
  const models = file.items.filter(item => item.kind === 'model');
  return models.flatMap(model => model.parameters.flatMap(({ name: { text }, default: given }) => {
    const usual = given === null ? '' : file.span.file.text.slice(given.span.start, given.span.end);
    const name = settingName(models, model, text);
    const value = settings.get(name) ?? settings.get(text) ?? usual.replaceAll('_', '');
    return /^(-?[\d_.]+(e[+-]?\d+)?|true|false)$/i.test(usual) ? [{ name, value }] : [];
  }));
}
