/** Small helpers over the document. */

/** An element of the page's own text. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element \`${id}\``);
  return found as T;
}

/** A new element with attributes and contents. Texts stay texts, whatever is in them. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name, attributes: Readonly<Record<string, string>> = {}, ...contents: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...contents);
  return element;
}

/** Offers bytes as a file to be saved. */
export function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  make('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export interface ChosenFile {
  readonly file: File;
  /** Its name; of a file in a folder that was chosen, the path from this folder's name on. */
  readonly path: string;
}

/** Has files that are dropped on an element, or chosen with an input, taken; of folders all that is in them. */
export function onFiles(zone: HTMLElement, inputs: readonly HTMLInputElement[], take: (files: readonly ChosenFile[]) => void): void {
  for (const input of inputs) {
    input.addEventListener('change', () => {
      take([...(input.files ?? [])].map(file => ({ file, path: file.webkitRelativePath === '' ? file.name : file.webkitRelativePath })));
      // The same file may be chosen again.
      input.value = '';
    });
  }
  zone.addEventListener('dragover', event => {
    event.preventDefault();
    zone.classList.add('over');
  });
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', event => {
    event.preventDefault();
    zone.classList.remove('over');
    // What was dropped can be asked for only now; what is in folders comes later.
    const dropped = [...(event.dataTransfer?.items ?? [])].filter(({ kind }) => kind === 'file');
    void Promise.all(dropped.map(filesOfItem)).then(files => take(files.flat()));
  });
}

/** What browsers have that give handles of dropped files. */
export interface HandleItem {
  readonly getAsFileSystemHandle?: () => Promise<FileSystemHandle | null>;
}

/** The file that was dropped, or all files in the folder. Of entries, which all browsers have, Chromium reads no folders in pages from the disk. */
export async function filesOfItem(item: DataTransferItem): Promise<readonly ChosenFile[]> {
  const [entry, file] = [item.webkitGetAsEntry(), item.getAsFile()];
  if (entry === null || entry.isFile) return file === null ? [] : [{ file, path: file.name }];
  const handle = await (item as HandleItem).getAsFileSystemHandle?.().catch(() => null);
  const files: ChosenFile[] = [];
  await (handle ? addHandle(handle, handle.name, files) : addEntry(entry, files));
  return files;
}

export async function addHandle(handle: FileSystemHandle, path: string, files: ChosenFile[]): Promise<void> {
  if (handle.kind === 'file') files.push({ file: await (handle as FileSystemFileHandle).getFile(), path });
  else for await (const inside of (handle as FileSystemDirectoryHandle).values()) await addHandle(inside, `${path}/${inside.name}`, files);
}

export async function addEntry(entry: FileSystemEntry, files: ChosenFile[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((found, failed) => (entry as FileSystemFileEntry).file(found, failed));
    files.push({ file, path: entry.fullPath.replace(/^\//, '') });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Some at a time, none in the end.
    const some = await new Promise<FileSystemEntry[]>((found, failed) => reader.readEntries(found, failed));
    if (some.length === 0) return;
    for (const inside of some) await addEntry(inside, files);
  }
}
