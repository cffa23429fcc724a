// The page: what is asked, what is drawn when, what the keys do.

import { ask, path, Silent } from './api.js';
import * as calls from './calls.js';
import * as curve from './curve.js';
import * as days from './days.js';
import { el, fill, get, say } from './dom.js';
import { count, dayName, middle, moment, span } from './format.js';
import * as gauges from './gauges.js';
import { listen } from './live.js';
import { read, write } from './state.js';

const PAGE = 50;
/** The pause of typing after which the list is narrowed, milliseconds. */
const PAUSE = 300;
const VERDICTS = ['free', 'billed', 'unknown'];
const REASONS = ['within-allowance', 'crossing-call', 'allowance-spent', 'model-not-listed', 'fine-tuned-model', 'project-not-shared',
  'organization-not-enrolled', 'service-tier', 'batch', 'payer-says-free', 'payer-says-billed', 'usage-missing', 'not-asked',
  'unreadable-body', 'client-gone', 'upstream-broke'];

// A day without calls, and one of which nothing is known.
const UNKNOWN = { calls: null, free_tokens: 0, billed_tokens: null, unused_free_tokens: 0, unknown_calls: null, cost_text: '?', saved_text: '?' };
const NOTHING = { calls: 0, free_tokens: 0, billed_tokens: 0, unused_free_tokens: 0, unknown_calls: 0, cost_text: '$0.00', saved_text: '$0.00' };

// Runs as it stands, with a proxy and without.
const PYTHON = `from openai import OpenAI

messages = [{"role": "user", "content": "Greet me in one word."}]
raw = OpenAI().chat.completions.with_raw_response.create(
    model="gpt-5-mini", messages=messages
)
answer = raw.parse().choices[0].message.content
print(raw.headers.get("x-tollfree-verdict"), answer)
`;

let standing = null;
let health = null;
let month = [];
let sums = [];
let began = null;
let rows = [];
let waiting = [];
// Whose calls are listed, and how often they were asked for: an answer that another overtook is not drawn.
let listed = '';
let listing = 0;
let typed = null;
// How often the whole is being asked for, and what is said to have changed meanwhile.
let asking = 0;
const held = [];
// Models of which calls were listed: those the list can be narrowed to.
const models = new Set();
let paused = false;
let stopped = '';
let barred = '';
let skew = 0;
let crossed = new Set();

const now = () => Date.now() + skew;
const wish = () => read();
const organization = () => {
  const wanted = wish().organization;
  return standing?.organizations.find((one) => !wanted || one.organization === wanted);
};
// Whose numbers and calls are shown: one organization's, also where the address bar names none.
const shownName = () => organization()?.organization ?? wish().organization;
const group = () => wish().group || organization()?.groups[0]?.group || '';
const chosenDay = () => wish().day || standing?.day;
// Why nothing can be said of what the address bar asks for; nothing where it can.
function unknown() {
  const { organization: wanted } = wish();
  if (wanted && !organization()) {
    const names = standing.organizations.map((one) => one.organization).join(', ');
    return `no organization ${wanted}. help: ${names ? `known are ${names}` : 'none was seen yet, its first call makes it known'}`;
  }
  const day = chosenDay();
  if (day > standing.day) return `${dayName(day)} (UTC) has not begun.`;
  if (began && day < began.slice(0, 10)) return `Nothing is known of ${dayName(day)}: counting began ${moment(began)} UTC.`;
  return '';
}

// ---- drawing -------------------------------------------------------------------------------------------------------

function drawHead() {
  const names = standing.organizations.map((one) => one.organization);
  const select = get('organization');
  if ([...select.options].map((option) => option.value).join() !== names.join()) {
    fill(select, names.map((name) => el('option', { value: name }, name)));
  }
  select.hidden = names.length < 1 || health?.calls_ever === false;
  select.value = organization()?.organization ?? '';
  say(get('day'), `${dayName(standing.day)} UTC`);
  tick();
}

function tick() {
  if (!standing) return;
  const left = Date.parse(standing.reset) - now();
  const here = new Date(standing.reset).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false, hourCycle: 'h23' });
  say(get('reset'), `resets in ${span(left)} (${here} here)`);
}

function drawNotice() {
  const gone = stopped && `${stopped}: what is shown is as of then. help: start tollfree; this page goes on by itself`;
  const lines = barred ? [barred] : gone ? [gone] : (health?.notices ?? []);
  get('notice').hidden = lines.length === 0;
  fill(get('notice'), lines.map((line) => el('span', { style: { display: 'block' } }, line)));
}

function drawGauges() {
  const mine = organization();
  const today = month.filter((day) => day.day === standing.day && day.organization === mine?.organization);
  const crossings = Object.fromEntries(today.filter((day) => day.crossing).map((day) => [day.group, day.crossing]));
  if (mine) gauges.draw(get('gauges'), mine, crossings);
  for (const [name, crossing] of Object.entries(crossings)) {
    if (!crossed.has(crossing.call)) {
      crossed.add(crossing.call);
      say(get('said'), `The allowance of ${name} is spent: until 00:00 UTC every call is billed.`);
    }
  }
  document.title = gauges.title(mine, wish().group);
}

function drawSums() {
  const isMine = (one) => one.day === chosenDay() && one.organization === organization()?.organization;
  const none = unknown() ? UNKNOWN : NOTHING;
  const all = sums.find(isMine) ?? none;
  const not = month.find((day) => isMine(day) && !day.group) ?? none;
  // It is counted since the program started: of other days it is not known.
  const differs = chosenDay() === standing.day && !unknown() ? health?.payer_differs : undefined;
  const facts = [
    ['cost', all.cost_text], ['saved', all.saved_text],
    ['not eligible', `${calls.many(not.calls)}, ${count(not.billed_tokens)} tokens`],
    ['unknown', count(all.unknown_calls)], ['OpenAI differs', count(differs)],
  ];
  const { sharing } = standing;
  if (sharing) facts.push(['replicas', `${count(sharing.replicas)}, ${sharing.in_step ? 'in step' : 'not in step'}`]);
  fill(get('sums'), facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

function drawGroups() {
  const names = organization()?.groups.map((one) => one.group) ?? [];
  fill(get('groups'), names.map((name) => el('button', { type: 'button', 'data-group': name, 'aria-pressed': String(name === group()) }, name)));
}

async function drawCurve() {
  const mine = organization();
  say(get('today-title'), chosenDay() === standing.day ? 'Today, running total' : `${dayName(chosenDay())} UTC, running total`);
  showCurve();
  if (unknown() || !mine) return;
  const asked = { organization: mine.organization, group: group(), day: chosenDay() };
  const answer = await ask('curve', asked).catch((error) => {
    // Not another group's or day's in its place.
    if (!curve.isOf(asked)) {
      for (const id of ['curve', 'curve-table']) get(id).hidden = true;
      get('curve-none').hidden = false;
      say(get('curve-none'), error.message);
    }
    throw error;
  });
  curve.draw(get('curve'), answer, now() / 1000, began && Math.floor(Date.parse(began) / 1000));
  if (asTable()) curve.table(get('curve-table'));
}

const asTable = () => get('as-table').getAttribute('aria-pressed') === 'true';

// The curve, the table, or why there is neither.
function showCurve() {
  const why = unknown();
  get('curve').hidden = Boolean(why) || asTable();
  get('curve-table').hidden = Boolean(why) || !asTable();
  get('curve-none').hidden = !why;
  say(get('curve-none'), why);
}

function drawMonth() {
  const mine = organization()?.organization;
  const wanted = month.filter((day) => day.organization === mine && day.group === group());
  const by = new Map(wanted.map((day) => [day.day, day]));
  const today = Date.parse(`${standing.day}T00:00:00Z`);
  const all = [...Array(30).keys()].map((back) => {
    const day = new Date(today - (29 - back) * 86400e3).toISOString().slice(0, 10);
    return by.get(day) ?? { day, ...(began && day < began.slice(0, 10) ? UNKNOWN : NOTHING) };
  });
  days.draw(get('days'), { legend: get('legend'), scale: get('scale'), ends: get('ends') }, all, chosenDay());
}

function matches(call) {
  const { verdict, model, reason, search, day } = wish();
  const of = shownName();
  const words = [call.call, call.response_id, call.request_id, call.model, call.model_asked].filter(Boolean).join(' ');
  return (!verdict || call.verdict === verdict) && (!model || call.model === model) && (!reason || call.reason === reason) && (!day || call.day === day)
    && (!of || call.organization === of) && (!search || words.includes(search));
}

function drawModels() {
  const before = models.size;
  for (const model of [wish().model, ...rows.map((call) => call.model)]) if (model) models.add(model);
  if (models.size === before && get('model').childElementCount) return;
  choices(get('model'), 'any model', [...models].sort());
  get('model').value = wish().model;
}

function drawCalls() {
  drawModels();
  const current = document.activeElement?.dataset?.call;
  fill(get('calls'), calls.lines(rows, standing.day));
  if (current) get('calls').querySelector(`[data-call="${CSS.escape(current)}"]`)?.focus();
  const former = onlyFormer();
  get('calls').classList.toggle('former', former);
  get('calls-empty').hidden = !former && rows.length > 0;
  say(get('calls-empty'), former ? 'No calls today (UTC). The last ones before:' : noCalls());
  get('fresh').hidden = waiting.length === 0;
  say(get('fresh'), `${waiting.length} new`);
}

// Without a wish the list goes on with earlier days; today is not to be mistaken for one of them.
function onlyFormer() {
  const { verdict, model, reason, search, day } = wish();
  return rows.length > 0 && rows[0].day < standing.day && ![verdict, model, reason, search, day].some(Boolean);
}

function noCalls() {
  const { verdict, model, reason, search, day } = wish();
  if (unknown()) return unknown();
  if (verdict || model || reason || search) return 'No call matches. Ids: x-tollfree-call, OpenAI\'s response id, x-request-id.';
  if (standing.ledger_notice) return 'Calls are counted, the ledger is behind.';
  return day && day !== standing.day ? `No calls on ${dayName(day)} (UTC).` : 'No calls today (UTC).';
}

function drawWelcome() {
  const never = health?.calls_ever === false;
  get('welcome').hidden = !never;
  for (const id of ['gauges', 'today', 'list', 'month']) get(id).hidden = never;
  // Of an organization that is not known there is nothing to draw.
  if (wish().organization && !organization()) for (const id of ['gauges', 'month']) get(id).hidden = true;
  if (!never || get('welcome').childElementCount) return;
  const use = `export OPENAI_BASE_URL=http://${standing.proxy.address}/v1`;
  const copy = el('button', { type: 'button' }, 'copy');
  copy.addEventListener('click', () => navigator.clipboard.writeText(use).then(() => say(copy, 'copied'), () => {}));
  fill(get('welcome'), el('h2', {}, 'No call yet'), el('p', {}, 'Where your program runs: '), el('pre', {}, use), copy,
    el('p', {}, 'Then, in Python:'), el('pre', { id: 'python' }, PYTHON));
}

// ---- asking --------------------------------------------------------------------------------------------------------

function limits(more = {}) {
  const { verdict, model, reason, search, day } = wish();
  return { organization: shownName(), verdict, model, reason, search, day, limit: PAGE, ...more };
}

async function loadCalls() {
  const of = shownName();
  const number = (listing += 1);
  const answer = await ask('calls', limits());
  if (number !== listing) return;
  listed = of;
  rows = answer.calls;
  waiting = waiting.filter((call) => matches(call) && call.number > (rows[0]?.number ?? 0));
  get('older').hidden = !answer.more;
  get('csv').href = path('calls.csv', { ...limits(), limit: undefined });
  drawCalls();
}

async function loadOlder() {
  const number = listing;
  const answer = await ask('calls', limits({ below: rows.at(-1)?.number }));
  if (number !== listing) return;
  rows.push(...answer.calls);
  get('older').hidden = !answer.more;
  drawCalls();
}

function drawAll() {
  // Without a single answer there is nothing to show but why.
  get('main').hidden = false;
  drawHead();
  drawNotice();
  drawWelcome();
  drawGauges();
  drawGroups();
  drawSums();
  drawMonth();
}

// As far back as is shown: thirty days, or to the day that is chosen, of which the API tells 400 at most.
function daysBack() {
  const chosen = Date.parse(`${wish().day}T00:00:00Z`) || Date.now();
  return Math.min(400, Math.max(30, Math.ceil((Date.now() - chosen) / 86400e3) + 2));
}

// All but the calls. What changes meanwhile is put in afterwards: the answer may be older.
async function sumsAnew() {
  const asked = Date.now();
  asking += 1;
  const answers = await Promise.allSettled([ask('standing'), ask('state'), ask('days', { days: daysBack() })]);
  asking -= 1;
  const [stands, state, said] = answers.map((one) => one.value);
  if (stands && state) {
    standing = stands;
    health = state;
  }
  const half = (asked + Date.now()) / 2;
  if (said) {
    month = said.days;
    sums = said.sums;
    began = said.counting_began_at;
  }
  if (!asking) held.splice(0).forEach(changed);
  if (state) skew = Date.parse(state.now) - half;
  if (standing) drawAll();
  const refused = answers.find((one) => one.status === 'rejected');
  if (refused) throw refused.reason;
}

async function whole() {
  try {
    await sumsAnew();
    await Promise.all([drawCurve(), loadCalls(), drawOffer()]);
    await showCall();
  } catch (error) {
    problem(error);
  }
}

// Something is gone, or another day began. The list of calls stays: it may be being read.
function anew() {
  sumsAnew().then(() => Promise.all([drawCurve(), drawOffer()])).catch(problem);
}

// That nobody answers is said by the word beside the dot, and by the notice once it is certain.
function problem(error) {
  if (error instanceof Silent && standing) return;
  get('notice').hidden = false;
  say(get('notice'), error.message);
}

async function drawOffer() {
  const offer = await ask('offer');
  say(get('offer'), `model list of ${offer.list_date}, ${offer.age_days} days old · list prices · counts what passed through this proxy`);
}

async function showCall() {
  const id = wish().call;
  const box = get('detail');
  if (!id) {
    box.hidden = true;
    return;
  }
  try {
    const call = await ask(`calls/${encodeURIComponent(id)}`);
    calls.detail(box, call, `http://${standing.proxy.address}`);
  } catch (error) {
    const heading = error instanceof Silent ? 'Not available now' : 'No such call';
    fill(box, el('h2', { id: 'detail-title' }, heading), el('p', {}, error.message), el('button', { type: 'button', class: 'close' }, 'back'));
  }
  box.hidden = false;
  box.focus();
}

// ---- changes: painted at most twice a second, not at all while hidden ------------------------------------------------

let due = null;
let curveDue = null;
let lastCurve = 0;

function changed(change) {
  if (asking) {
    held.push(change);
    return;
  }
  // Nothing to put it into: it was asked for in vain, and is again with the next connection.
  if (!standing) return;
  standing = { ...change.standing, organizations: merged(standing.organizations, change.standing.organizations) };
  health = change.state;
  skew = Date.parse(health.now) - Date.now();
  put(month, change.days);
  put(sums, change.sums);
  // The list may have been asked for meanwhile.
  const there = new Set([...rows, ...waiting].map((call) => call.number));
  waiting.unshift(...change.calls.filter((call) => matches(call) && !there.has(call.number)));
  waiting.length = Math.min(waiting.length, 1000);
  due ??= setTimeout(paint, 500);
}

// In the order of the whole: by name, calls of nobody known last.
function merged(list, changes) {
  if (!changes.length) return list;
  const by = new Map([...list, ...changes].map((one) => [one.organization, one]));
  const isLast = (one) => one.organization === 'unknown';
  return [...by.values()].sort((one, other) => isLast(one) - isLast(other) || (one.organization < other.organization ? -1 : 1));
}

// Newer days in the place of older ones.
function put(list, days) {
  for (const day of days) {
    const same = (one) => one.day === day.day && one.group === day.group && one.organization === day.organization;
    const place = list.findIndex(same);
    if (place < 0) list.push(day);
    else list[place] = day;
  }
}

function isHeld() {
  const list = get('calls');
  return paused || list.matches(':hover') || list.contains(document.activeElement) || !getSelection().isCollapsed;
}

function paint() {
  due = null;
  if (document.hidden) {
    due = setTimeout(paint, 1000);
    return;
  }
  drawAll();
  // The first call of an organization whose name comes before all others.
  if (listed !== shownName()) loadCalls().catch(problem);
  else if (waiting.length && !isHeld() && !wish().day) takeWaiting();
  else drawCalls();
  if (chosenDay() === standing.day) curveSoon();
}

// Every two seconds at most; the last change is never left out.
function curveSoon() {
  curveDue ??= setTimeout(() => {
    curveDue = null;
    lastCurve = Date.now();
    drawCurve().catch(problem);
  }, Math.max(0, lastCurve + 2000 - Date.now()));
}

function takeWaiting() {
  rows = [...waiting, ...rows].slice(0, Math.max(PAGE, rows.length));
  waiting = [];
  drawCalls();
}

// ---- hands -----------------------------------------------------------------------------------------------------------

function again(changes, ...draws) {
  write(changes);
  drawAll();
  Promise.all(draws.map((draw) => draw())).catch(problem);
}

// At once where Enter says so, else when the typing pauses; what was asked for already is not again.
function search() {
  clearTimeout(typed);
  const words = get('search').value.trim();
  if (words !== wish().search) again({ search: words }, loadCalls);
}

function choices(select, first, words) {
  fill(select, el('option', { value: '' }, first), words.map((word) => el('option', { value: word, title: word }, middle(word, 30))));
}

function back() {
  const open = get('keys').hidden ? get('detail') : get('keys');
  const id = wish().call;
  open.hidden = true;
  write({ call: '' });
  const line = id && get('calls').querySelector(`[data-call="${CSS.escape(id)}"]`);
  (line || get('calls').querySelector('[data-call]'))?.focus();
}

function move(by) {
  const lines = [...get('calls').querySelectorAll('[data-call]')];
  const here = lines.indexOf(document.activeElement);
  lines[here < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, here + by))]?.focus();
}

function tableToggle() {
  get('as-table').setAttribute('aria-pressed', String(!asTable()));
  showCurve();
  if (asTable()) curve.table(get('curve-table'));
  else curve.redraw(get('curve'), now() / 1000);
}

const KEYS = {
  '/': () => get('search').focus(), j: () => move(1), k: () => move(-1), t: tableToggle,
  '?': () => { get('keys').hidden = false; get('keys').focus(); }, Escape: back,
};

function hands() {
  choices(get('verdict'), 'any verdict', VERDICTS);
  choices(get('reason'), 'any reason', REASONS);
  drawModels();
  for (const id of ['verdict', 'reason', 'search']) get(id).value = wish()[id];
  get('organization').addEventListener('change', (event) => again({ organization: event.target.value }, drawCurve, loadCalls));
  for (const id of ['verdict', 'model', 'reason']) get(id).addEventListener('change', (event) => again({ [id]: event.target.value }, loadCalls));
  get('search').addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(search, PAUSE);
  });
  get('search').addEventListener('change', search);
  get('groups').addEventListener('click', (event) => event.target.dataset.group && again({ group: event.target.dataset.group }, drawCurve));
  get('days').addEventListener('click', (event) => {
    const day = event.target.closest('[data-day]')?.dataset.day;
    if (day) again({ day: day === standing.day || day === wish().day ? '' : day }, drawCurve, loadCalls);
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('.close')) back();
    const call = event.target.closest('[data-call]')?.dataset.call;
    if (call && !event.metaKey && !event.ctrlKey) {
      event.preventDefault();
      write({ call });
      showCall();
    }
  });
  get('as-table').addEventListener('click', tableToggle);
  get('older').addEventListener('click', () => loadOlder().catch(problem));
  get('fresh').addEventListener('click', takeWaiting);
  get('pause').addEventListener('click', () => {
    paused = !paused;
    get('pause').setAttribute('aria-pressed', String(paused));
    if (!paused) takeWaiting();
  });
  get('curve').addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) curve.step(by, get('curve-step'));
  });
  document.addEventListener('keydown', (event) => {
    const typing = event.target.matches?.('input, select, textarea');
    if (event.key === 'Escape' && typing) event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== 'Escape')) return;
    if (KEYS[event.key]) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });
  addEventListener('hashchange', () => whole());
  addEventListener('resize', () => curve.redraw(get('curve'), now() / 1000));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => curve.redraw(get('curve'), now() / 1000));
  get('scheme').addEventListener('click', () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === 'dark';
    document.documentElement.dataset.scheme = dark ? 'light' : 'dark';
    curve.redraw(get('curve'), now() / 1000);
  });
}

function word(text) {
  const live = text === 'live';
  const dot = get('live');
  dot.className = `live ${live ? 'free' : 'billed'}`;
  say(dot.firstElementChild, live ? '●' : '○');
  say(dot.lastElementChild, text);
  document.body.classList.toggle('dimmed', !live);
  stopped = text.startsWith('stopped') ? text : '';
  barred = '';
  drawNotice();
}

function refused(why) {
  word('refused');
  barred = why;
  drawNotice();
}

hands();
listen({ changed, anew, whole, word, refused });
setInterval(tick, 1000);
