/** Data files of a page: how those that somebody chooses are found in the model's `data` block, and how pictures come in one file. */

/** What a model reads. */
export interface DataNames {
  /** As the `data` block has them. */
  readonly files: readonly string[];
  /** Folders of pictures. */
  readonly folders: readonly string[];
  /** Whether tables name picture files. */
  readonly pictures: boolean;
}

/** How paths of chosen files become paths from the data folder: `from` at their beginning is replaced by `to`. */
export interface PathChange {
  readonly from: string;
  readonly to: string;
}

/**
 * The names of chosen files, null for those that the model does not read. A path and a name are the same file when they end alike; a
 * file lies in a folder when a part of its path ends like the folder. Pictures that tables name lie beside the table as it was chosen,
 * which is what the change tells, in this choice or one before.
 */
export function namesOfChosen(paths: readonly string[], { files, folders, pictures }: DataNames, before: PathChange):
{ readonly names: readonly (string | null)[]; readonly change: PathChange } {
  let change = before;
  const names = paths.map(path => {
    if (isHidden(path)) return null;
    const parts = path.replace(/\.gz$/, '').split('/');
    const file = most(files.map(name => ({ name, same: sameEnd(parts, name.split('/')) })));
    if (file !== null) {
      const beginning = (all: readonly string[]): string => all.slice(0, all.length - file.same).map(part => `${part}/`).join('');
      change = { from: beginning(parts), to: beginning(file.name.split('/')) };
      return file.name;
    }
    const folder = most(folders.flatMap(name => parts.slice(1).map((_, i) => ({ name, at: i + 1, same: sameEnd(parts.slice(0, i + 1), partsOf(name)) }))));
    return folder === null ? null : [...partsOf(folder.name), ...path.split('/').slice(folder.at)].join('/');
  });
  const { from, to } = change;
  return {
    change,
    names: names.map((name, i) => {
      const path = paths[i]!;
      if (name !== null || !pictures || isHidden(path) || !/\.(png|jpe?g)$/i.test(path)) return name;
      return `${to}${path.startsWith(from) ? path.slice(from.length) : path}`;
    }),
  };
}

/** What systems put beside people's files. */
export const isHidden = (path: string): boolean => path.split('/').some(part => part.startsWith('.'));

export const partsOf = (path: string): readonly string[] => path.split('/').filter(part => part !== '' && part !== '.');

/** How many parts at the end of two paths are the same. */
export function sameEnd(a: readonly string[], b: readonly string[]): number {
  let count = 0;
  while (count < Math.min(a.length, b.length) && a.at(-1 - count) === b.at(-1 - count)) count++;
  return count;
}

/** The first of those that have most in common; null where none has anything. */
export const most = <T extends { readonly same: number }>(candidates: readonly T[]): T | null =>
  candidates.reduce<T | null>((best, each) => (each.same > (best?.same ?? 0) ? each : best), null);

/** Small files are read together: each alone takes milliseconds. */
export async function bytesOfFiles(files: readonly File[]): Promise<readonly Uint8Array[]> {
  const contents: Uint8Array[] = [];
  while (contents.length < files.length) {
    const together: File[] = [];
    for (let size = 0; together.length === 0 || size < 2 ** 24;) {
      const file = files[contents.length + together.length];
      if (file === undefined) break;
      together.push(file);
      size += file.size;
    }
    const bytes = new Uint8Array(await new Blob(together).arrayBuffer());
    let at = 0;
    for (const { size } of together) contents.push(bytes.subarray(at, at += size));
  }
  return contents;
}

/** Files that follow one another, behind the length of a JSON text and this text with their paths and sizes. */
export function unbundled(bytes: Uint8Array): readonly (readonly [string, Uint8Array])[] {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  let at = 4 + length;
  const sizes = JSON.parse(new TextDecoder().decode(bytes.subarray(4, at))) as readonly (readonly [string, number])[];
  return sizes.map(([name, size]) => [partsOf(name).join('/'), bytes.subarray(at, at += size)] as const);
}
