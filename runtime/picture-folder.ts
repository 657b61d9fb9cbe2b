/** Folders of pictures as tables: a row for each file, whose class is the folder that it lies in. Works on any platform. */
import { DataError } from './data-error.ts';
import type { DataField } from './program.ts';
import type { Cells, Table } from './table.ts';

export interface PictureFiles extends Table {
  /** Paths from the data folder. */
  readonly files: readonly string[];
  /** The name of the folder of each. */
  readonly folders: readonly string[];
}

/** With `classes`, the pictures of the folders in `folder`, in the order of their names; else the pictures in `folder` itself. */
export function pictureFiles(folder: string, classes: boolean, list: (folder: string) => readonly string[]): PictureFiles {
  const names = list(folder).filter(name => !name.startsWith('.'));
  const stray = names.find(name => name.endsWith('/') !== classes);
  if (stray !== undefined) {
    throw new DataError(classes
      ? `\`${folder}/${stray}\` is a file between the folders of the classes: move it into one of them`
      : `\`${folder}/${stray}\` is a folder between the pictures: move its pictures up, or give an input the "folder"`);
  }
  const found = classes
    ? names.flatMap(name => list(`${folder}/${name}`).filter(file => !file.startsWith('.'))
      .map(file => ({ folder: name.slice(0, -1), file: `${folder}/${name}${file}` })))
    : names.map(file => ({ folder: '', file: `${folder}/${file}` }));
  const deeper = found.find(({ file }) => file.endsWith('/'));
  if (deeper !== undefined) throw new DataError(`\`${deeper.file}\` is a folder inside a class: move its pictures up`);
  if (found.length === 0) throw new DataError(`\`${folder}\` is empty: it holds no pictures${classes ? ' in folders' : ''}`);
  return { place: folder, rows: found.length, inMemory: true, files: found.map(({ file }) => file), folders: found.map(one => one.folder) };
}

export function pictureCells({ files, folders }: PictureFiles, field: DataField): Cells {
  return {
    text: row => (field.picture ? files : folders)[row]!,
    where: row => `\`${files[row]!}\``,
    numbers: () => {
      throw new DataError(`\`${field.input}\` takes a picture or the number of its folder`);
    },
  };
}
