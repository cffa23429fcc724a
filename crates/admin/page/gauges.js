// What remains of each group: the answer to "is my next call free?". Knows no list and no curve.

import { el, fill } from './dom.js';
import { clock, count, shortId, short } from './format.js';

/** Draws one gauge for each group of an organization. `crossings`: by group, where one was. */
export function draw(box, organization, crossings) {
  fill(box, organization.groups.map((group) => gauge(group, crossings[group.group])));
}

/** What a tab says: the group that ends first, of those that are not spent; `wanted` before all others. */
export function title(organization, wanted) {
  const groups = organization?.groups ?? [];
  const share = (group) => group.remaining_tokens / (group.allowance_tokens || 1);
  const open = groups.filter((group) => group.remaining_tokens > 0).sort((one, other) => share(one) - share(other));
  const group = groups.find((one) => one.group === wanted) ?? open[0] ?? groups[0];
  if (!group) return 'tollfree';
  const most = group.at_most && group.remaining_tokens > 0 ? 'at most ' : '';
  return `${group.group}: ${most}${short(group.remaining_tokens)} remaining · tollfree`;
}

function gauge(group, crossing) {
  // Nothing remains of a group that OpenAI bills, though less was taken than is free.
  const billed = group.payer_says_billed;
  const spent = group.remaining_tokens === 0 && !billed;
  const name = group.group;
  const words = billed ? [['OpenAI bills this group until 00:00 UTC.']] : spent ? lastWords(crossing) : firstWords(group);
  const atMost = group.at_most && group.remaining_tokens > 0;
  return el('article', { class: 'gauge', 'data-group': name },
    el('div', { class: 'head' }, el('h3', {}, name),
      el('span', { class: spent || billed ? 'billed' : 'free' }, billed ? '■ billed' : spent ? '■ spent' : '● free')),
    el('div', { class: 'figure' }, count(group.remaining_tokens), ' ',
      el('small', {}, `of ${count(group.allowance_tokens)} tokens remaining${atMost ? ' (at most)' : ''}`)),
    bar(group, spent),
    ...words.map((line) => el('p', {}, ...line)),
    slack(group));
}

function bar(group, spent) {
  const allowance = group.allowance_tokens || 1;
  // Full only when spent, empty only at zero.
  const share = spent ? 1 : Math.min(group.taken_tokens / allowance, 0.995);
  const taken = group.taken_tokens > 0 ? Math.max(share, 0.004) : 0;
  const flight = spent ? 0 : Math.min(group.in_flight.tokens / allowance, 1 - taken);
  const text = `${count(group.taken_tokens)} of ${count(group.allowance_tokens)} tokens taken`;
  return el('div', {
    class: 'bar', role: 'meter', title: text, 'aria-label': `${group.group}: taken today`, 'aria-valuemin': '0',
    'aria-valuemax': String(group.allowance_tokens),
    'aria-valuenow': String(Math.min(group.taken_tokens, group.allowance_tokens)), 'aria-valuetext': text,
  },
  el('i', { class: 'taken', style: { width: `${taken * 100}%` } }),
  flight > 0 && el('i', { class: 'flight', style: { width: `${flight * 100}%` } }),
  spent && el('i', { class: 'end', 'aria-hidden': 'true' }, '◆'));
}

function firstWords(group) {
  const { tokens, unbounded } = group.in_flight;
  const most = group.at_most ? 'at most ' : '';
  const lines = [[`Largest free call: ${most}${count(group.largest_free_call_tokens)} tokens.`]];
  if (unbounded > 0) lines.push([`${unbounded} in flight without a bound${tokens ? `, others up to ${count(tokens)}` : ''}.`]);
  else if (tokens > 0) lines.push([`In flight: up to ${count(tokens)} tokens.`]);
  return lines;
}

function lastWords(crossing) {
  const until = ['Until 00:00 UTC every call is billed.'];
  if (!crossing) return [until];
  const link = el('a', { href: `#call=${crossing.call}`, 'data-call': crossing.call }, shortId(crossing.call));
  return [['◆ Crossing call ', link, `, ${clock(crossing.at)} UTC, ${count(crossing.tokens)} tokens.`], until];
}

const WHY = {
  'outside-usage': 'calls that do not pass through this proxy', 'day-start': 'calls made today before counting began',
  'unknown-calls': 'calls whose usage never came', 'unclean-stop': 'calls that were open when the proxy was killed',
  enrolment: 'calls counted as not enrolled', sharing: 'calls of projects counted as not shared',
  'model-list': 'models newer than the model list', 'service-tier': 'calls in other service tiers',
  'shared-totals': 'calls through other replicas',
};

function slack(group) {
  const { tokens, without_limit: open, sources } = group.slack;
  // Of what is spent nothing can be less.
  if (!sources.length || group.remaining_tokens === 0) return null;
  const why = sources.map((source) => WHY[source] ?? source).join(', ');
  const most = open ? 'Not counted' : `Not counted, at most ${short(tokens, Math.ceil)} tokens`;
  return el('p', { class: 'muted' }, `${most}: ${why}.`);
}
