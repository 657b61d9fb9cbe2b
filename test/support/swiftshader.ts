/**
 * A GPU in software, so that WebGPU runs on any machine: SwiftShader and a Vulkan loader as the package `@sparticuz/chromium` carries them,
 * unpacked once into the cache of `node_modules`.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** The environment of a process that finds it. */
export function swiftshaderEnvironment(): Readonly<Record<string, string>> {
  const archive = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '../bin/swiftshader.tar.br');
  const cache = join(import.meta.dirname, '../../node_modules/.cache');
  const folder = join(cache, 'nabla-swiftshader');
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const unfinished = mkdtempSync(join(cache, 'unpacking-'));
    unpack(brotliDecompressSync(readFileSync(archive)), unfinished);
    try {
      renameSync(unfinished, folder);
    } catch (error) {
      // Another process may have been faster.
      rmSync(unfinished, { recursive: true });
      if (!existsSync(folder)) throw error;
    }
  }
  return { LD_LIBRARY_PATH: folder, VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json') };
}

/** The plain files of a tar archive. */
function unpack(archive: Buffer, folder: string): void {
  const text = (at: number, length: number): string => archive.toString('utf8', at, at + length).replace(/\0[^]*$/, '');
  for (let at = 0; at < archive.length && text(at, 100) !== '';) {
    const size = parseInt(text(at + 124, 12), 8);
    const isFile = ['0', ''].includes(text(at + 156, 1));
    if (isFile) writeFileSync(join(folder, text(at, 100).split('/').at(-1)!), archive.subarray(at + 512, at + 512 + size), { mode: 0o755 });
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
