/** What a page does that `nabla serve` serves: it shows what is wrong with the model's file, and follows its changes. */
import { byId, make } from './dom.ts';

/** What the server tells after each change of the file. */
export interface ServedChange {
  /** The errors of the file, as the command line draws them; empty where there are none. */
  readonly errors: string;
  /** Which text of the file the page has to be of. */
  readonly version: string;
}

/** A page that is not training loads itself anew; one that is leaves that to whoever is at the page. */
export function openServed(isTraining: () => boolean): void {
  const own = document.documentElement.dataset['version'];
  const place = byId('changes');
  const events = new EventSource(`changes${location.search}`);
  events.onmessage = ({ data }: MessageEvent<string>) => {
    const { errors, version } = JSON.parse(data) as ServedChange;
    if (errors !== '') place.replaceChildren(make('h2', {}, 'The model has errors'), make('pre', {}, errors));
    else if (version !== own && !isTraining()) location.reload();
    else if (version !== own) {
      const reload = make('button', { type: 'button', class: 'primary' }, 'Load it');
      reload.addEventListener('click', () => location.reload());
      place.replaceChildren(make('p', {}, 'The model has changed. To load it ends this run.'), reload);
    } else place.replaceChildren();
    place.hidden = place.childElementCount === 0;
  };
}
