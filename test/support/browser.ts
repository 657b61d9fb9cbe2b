/**
 * Headless Chromium for tests, from npm alone: unpacked once into `node_modules/.cache`; and a server of pages on the loopback address,
 * with or without the headers that let threads share memory.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const modules = new URL('../../node_modules/', import.meta.url).pathname;

/** Whoever starts it closes it. With `gpu` it has WebGPU, on the software adapter that it brings along. */
export function startBrowser({ gpu = false } = {}): Promise<Browser> {
  const folder = unpacked();
  const executablePath = join(folder, 'chromium');
  const missing = execFileSync('ldd', [executablePath], { encoding: 'utf8' }).includes('not found');
  const args = [
    '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-quic',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ...(gpu ? ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-vulkan=swiftshader', '--use-webgpu-adapter=swiftshader'] : []),
  ];
  const paths = [...(gpu ? [folder] : []), ...(missing ? [join(folder, 'al2023/lib')] : [])];
  const libraries = {
    ...(paths.length > 0 ? { LD_LIBRARY_PATH: paths.join(':') } : {}),
    ...(gpu ? { VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json') } : {}),
  };
  return chromium.launch({ executablePath, args, env: { ...environment(), FONTCONFIG_FILE: join(folder, 'fonts.conf'), LANG: 'en_US.UTF-8', LC_ALL: 'en_US.UTF-8', ...libraries } });
}

/** Where Chromium is. Test files that run at the same time may all unpack it: the first one done wins. */
function unpacked(): string {
  const { version } = JSON.parse(readFileSync(join(modules, '@sparticuz/chromium/package.json'), 'utf8')) as { readonly version: string };
  const folder = join(modules, `.cache/chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(join(modules, '.cache'), { recursive: true });
  const temporary = mkdtempSync(`${folder}-`);
  // It unpacks into the folder of temporary files, and brings its libraries along where it believes to run in the cloud.
  const script = 'const { default: chromium } = await import("@sparticuz/chromium"); await chromium.executablePath();';
  execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: modules, env: { ...process.env, TMPDIR: temporary, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
  });
  // Its own settings look for fonts in folders of the cloud; Chromium ends where it finds none.
  writeFileSync(join(temporary, 'fonts.conf'), `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts/fonts</dir>
  <cachedir>${folder}/fonts/cache</cachedir>
</fontconfig>
`);
  try {
    renameSync(temporary, folder);
  } catch {
    rmSync(temporary, { recursive: true });
  }
  return folder;
}

const environment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

export interface PageServer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Serves texts and bytes by their path; `isolated` pages may share memory between threads. */
export async function servePages(pages: Readonly<Record<string, string | Uint8Array>>, isolated: boolean): Promise<PageServer> {
  const types: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript', mjs: 'text/javascript' };
  const headers = isolated ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } : {};
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://127.0.0.1').pathname;
    const text = pages[path];
    if (text === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { ...headers, 'Content-Type': types[path.split('.').at(-1)!] ?? 'text/html' }).end(text);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise(resolve => server.close(() => resolve())),
  };
}
