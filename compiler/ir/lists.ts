/** The list with each of its elements changed; the list itself where nothing of it changes, as in most of what passes visit. */
export function eachMapped<T>(list: readonly T[], change: (one: T) => T): readonly T[] {
  let changed: T[] | null = null;
  for (let i = 0; i < list.length; i++) {
    const made = change(list[i]!);
    if (changed === null && made !== list[i]) changed = list.slice(0, i);
    changed?.push(made);
  }
  return changed ?? list;
}
