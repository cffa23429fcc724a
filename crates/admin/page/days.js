// Thirty days, a bar each: free, billed, unused; how high the highest is, and which the first and last are. Knows only days.

import { el, fill, say } from './dom.js';
import { count, dayName } from './format.js';

/** Draws the days of a group, oldest first; the chosen one is marked. `legend`, `scale` and `ends` are the elements around them. */
export function draw(box, { legend, scale, ends }, days, chosen) {
  const most = Math.max(0, ...days.map((day) => day.free_tokens + day.billed_tokens + (day.unused_free_tokens ?? 0)));
  const height = most || 1;
  const part = (name, tokens) => tokens > 0 && el('i', { class: name, style: { height: `${Math.max(2, (tokens / height) * 90)}px` } });
  fill(box, days.map((day) => {
    const unused = day.unused_free_tokens === null ? 'open' : count(day.unused_free_tokens);
    const text = day.calls === null ? `${dayName(day.day)} UTC: before counting began` : `${dayName(day.day)} UTC: ${count(day.free_tokens)} free, ${count(day.billed_tokens)} billed, ${unused} unused, `
      + `cost ${day.cost_text}, saved ${day.saved_text}`;
    return el('button', { type: 'button', title: text, 'aria-label': text, 'data-day': day.day, 'aria-pressed': String(day.day === chosen) },
      part('unused', day.unused_free_tokens ?? 0), part('billed', day.billed_tokens), part('free', day.free_tokens));
  }));
  fill(ends, [days[0], days.at(-1)].map(({ day }) => el('span', {}, dayName(day).slice(4, -5))));
  say(scale, most ? `highest bar: ${count(most)} tokens` : '');
  const sign = (name, word) => el('span', {}, el('i', { class: name, style: { background: name === 'unused' ? 'none' : `var(--${name})`, border: name === 'unused' ? '1px solid var(--muted)' : '0' } }), word);
  fill(legend, sign('free', 'free'), sign('billed', 'billed'), sign('unused', 'unused'));
}
