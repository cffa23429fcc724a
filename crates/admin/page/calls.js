// The list of calls and one call in full. Knows no gauge and no curve.

import { el, fill } from './dom.js';
import { clock, count, dayName, shortId, verdict } from './format.js';

/** How many calls, in words. */
export const many = (calls) => `${count(calls)} ${calls === 1 ? 'call' : 'calls'}`;

/** The list, newest first; where it runs into another day than the one before it, the day stands between. */
export function lines(list, today) {
  let day = today;
  const all = list.flatMap((call) => {
    if (call.day === day) return [line(call)];
    day = call.day;
    return [el('p', { class: 'day', role: 'listitem' }, `${dayName(day)} UTC`), line(call)];
  });
  return all.length ? [names(), ...all] : [];
}

// What the columns are; who hears the list is told of its times by its label.
const names = () => el('div', { class: 'names', 'aria-hidden': 'true' },
  el('span', {}, 'time (UTC)'), el('span', {}, 'model'), el('span', { class: 'number' }, 'tokens'), el('span', {}, 'verdict'),
  el('span', { class: 'certainty' }, 'certainty'), el('span', {}, 'reason'), el('span', { class: 'money number' }, 'list price'));

// A model's name: where there is no room it loses its end, which is mostly a date; that of a fine-tuned one its middle, since
// those differ at their end.
function model(name) {
  const end = name.startsWith('ft:') ? Math.min(12, Math.floor(name.length / 2)) : 0;
  return el('span', { class: 'model', title: name },
    el('span', {}, name.slice(0, name.length - end)), el('span', {}, name.slice(name.length - end)));
}

/** One line of the list. */
function line(call) {
  const kind = call.verdict === 'billed' ? 'billed' : call.verdict === 'free' ? 'free' : 'unknown';
  const estimated = call.certainty === 'estimated';
  return el('a', { href: `#call=${call.call}`, role: 'listitem', 'data-call': call.call, 'data-number': String(call.number) },
    el('span', { title: `${call.settled_at}` }, clock(call.settled_at)),
    model(call.model ?? call.model_asked ?? '?'),
    el('span', { class: `number${estimated ? ' estimated' : ''}` }, `${estimated ? '~' : ''}${count(call.tokens)}`),
    el('span', { class: kind }, verdict(call.verdict)),
    el('span', { class: 'certainty' }, call.certainty ?? ''),
    el('span', { class: 'reason' }, `${call.reason === 'crossing-call' ? '◆ ' : ''}${call.reason}`),
    el('span', { class: 'money number muted' }, money(call)));
}

function money(call) {
  if (call.verdict === 'free') return call.saved_usd === null ? '?' : `saved ${call.saved_text}`;
  return call.cost_text;
}

// Dollars as they are spelled everywhere, and in full where that is more.
function exact(text, usd) {
  if (usd === null) return null;
  return Number(text.replace(/[$,]/g, '')) === Number(usd) ? text : `${text} (exactly $${usd})`;
}

/** The sum that decided a call, spelled out. */
function sum(call) {
  if (call.span_before === null || call.span_before === undefined) return null;
  const fits = call.span_after <= call.allowance_tokens;
  const tokens = call.span_after - call.span_before;
  return el('p', { class: 'sum' },
    `before ${count(call.span_before)} + ${count(tokens)} = ${count(call.span_after)} ${fits ? '≤' : '>'} ${count(call.allowance_tokens)}`);
}

function copy(text) {
  const button = el('button', { type: 'button' }, 'copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'copied';
    } catch {
      button.textContent = 'select and copy';
    }
  });
  return button;
}

const TOLD = [
  ['settled at', (call) => `${call.settled_at.slice(0, 19).replace('T', ' ')} UTC`],
  ['organization', (call) => call.organization], ['project', (call) => call.project],
  ['model', (call) => call.model], ['asked for', (call) => (call.model_asked === call.model ? null : call.model_asked)],
  ['endpoint', (call) => `${call.endpoint}${call.stream ? ', stream' : ''}`], ['group', (call) => call.group],
  ['tokens', (call) => count(call.tokens)],
  ['input', (call) => (call.input_tokens === null ? null : `${count(call.input_tokens)} (cached ${count(call.cached_input_tokens)})`)],
  ['output', (call) => (call.output_tokens === null ? null : `${count(call.output_tokens)} (reasoning ${count(call.reasoning_tokens)})`)],
  ['certainty', (call) => call.certainty], ['assumes', (call) => words(call.assumes)],
  ['OpenAI says', (call) => call.payer && `${call.payer} pays; ours: ${call.ours}`],
  ['cost', (call) => exact(call.cost_text, call.cost_usd)],
  ['saved', (call) => exact(call.saved_text, call.saved_usd)],
  ['service tier', (call) => call.service_tier], ['client', (call) => call.client],
];

const words = (list) => (Array.isArray(list) ? list.join(', ') : (list ?? '').replaceAll(',', ', '));

/** One call in full; `base` is the proxy's base URL. */
export function detail(box, call, base) {
  const told = TOLD.map(([name, value]) => [name, value(call)]).filter(([, value]) => value);
  const ids = [['call', call.call], ['response', call.response_id], ['request', call.request_id]].filter(([, id]) => id);
  const curl = `curl -s ${base}/_tollfree/calls/${call.call}`;
  const close = el('button', { type: 'button', class: 'close' }, 'back');
  fill(box,
    el('div', { class: 'title' }, el('h2', { id: 'detail-title' }, `Call ${shortId(call.call)}`), close),
    el('p', { class: `sum ${call.verdict}` }, `${verdict(call.verdict)}: ${call.reason}`),
    sum(call),
    call.disputed && el('p', {}, 'The two readings of the offer differ on this call: by the other one, its verdict would be the opposite.'),
    call.straddles && el('p', {}, 'OpenAI may count it on another UTC day: it began on one, or came within seconds of 00:00 UTC.'),
    call.adjusts && el('p', {}, `Corrects the settlement of ${call.adjusts}.`),
    el('dl', {}, ...told.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    el('dl', {}, ...ids.flatMap(([name, id]) => [el('dt', {}, name), el('dd', {}, el('span', { class: 'mono' }, id), ' ', copy(id))])),
    el('p', { class: 'muted' }, 'To look it up: ', copy(curl)), el('pre', {}, curl));
}
