// The running total of one group over the day, as steps: a call is a step, never a slope. Draws with uPlot.

import { el, fill, say } from './dom.js';
import { clock, count, short, shortId } from './format.js';

let plot = null;
let shown = null;
let cursor = -1;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draws a day. `curve`: { day, group, allowance_tokens, points: [[unix seconds, total after]], crossing, down: [[from, to]] },
 * points rising in time, at most one a minute beside the crossing; `down` is when the proxy was not running. `began`: Unix
 * seconds at which counting began; a band that ends there is no time in which anything stood still.
 */
export function draw(box, curve, now, began) {
  shown = { ...curve, began };
  cursor = -1;
  const start = Date.parse(`${curve.day}T00:00:00Z`) / 1000;
  const end = start + 86400;
  const last = Math.min(now, end);
  const points = [[start, 0], ...curve.points.filter(([at]) => at > start && at < end)];
  const top = points[points.length - 1][1];
  // Right of now stays empty.
  if (last > points[points.length - 1][0]) points.push([last, top]);
  const drawn = broken(points, curve.down);
  const x = drawn.map(([at]) => at);
  const allowance = curve.allowance_tokens;
  const crossedAt = curve.crossing ? Math.floor(Date.parse(curve.crossing.at) / 1000) : Infinity;
  const free = drawn.map(([at, total]) => (at <= crossedAt ? total : null));
  const billed = drawn.map(([at, total]) => (at >= crossedAt ? total : null));
  // Above the allowance is room for its name.
  const most = Math.max(allowance * 1.14, top * 1.05) || 1;
  const options = {
    width: box.clientWidth || 640,
    height: 220,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), 'Etc/UTC'),
    cursor: { show: false },
    select: { show: false },
    legend: { show: false },
    scales: { x: { time: true, range: [start, end] }, y: { range: [0, most] } },
    axes: [
      { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { stroke: css('--grid') },
        splits: () => [0, 6, 12, 18, 24].map((hour) => start + hour * 3600),
        values: (_, at) => at.map((one) => (one === end ? '24 UTC' : String((one - start) / 3600).padStart(2, '0'))) },
      { stroke: css('--muted'), grid: { stroke: css('--grid'), width: 1 }, ticks: { show: false }, size: 52,
        values: (_, totals) => totals.map((total) => short(total)) },
    ],
    series: [
      {},
      { stroke: css('--free'), width: 2, fill: `${css('--free')}33`, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
      { stroke: css('--billed'), width: 2, fill: hatch, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
    ],
    hooks: { drawAxes: [(u) => bands(u, shown)], draw: [(u) => marks(u, curve, allowance, crossedAt)] },
  };
  if (plot) plot.destroy();
  fill(box);
  plot = new uPlot(options, [x, free, billed], box);
  box.setAttribute('aria-label', sentence(shown, top, allowance));
}

// No line leads across a time in which nobody counted: the total stands at both ends of it, and nothing between. A day that
// begins with such a time has no total before its end.
function broken(points, down) {
  const all = new Map(points);
  const [[start]] = points;
  for (const [from, to] of down) {
    const total = points.findLast(([at]) => at <= from)?.[1] ?? 0;
    for (const [at, value] of [[from, total], [from + 1, null], [to, total]]) if (!all.has(at)) all.set(at, value);
    if (from <= start) all.set(start, null);
  }
  return [...all].sort(([one], [other]) => one - other);
}

/** Whether what was drawn last is this group's and day's. */
export const isOf = (asked) => ['organization', 'group', 'day'].every((name) => shown?.[name] === asked[name]);

/** The same day again, in a box of another width or in other colours. */
export function redraw(box, now) {
  if (shown) draw(box, shown, now, shown.began);
}

function sentence(curve, top, allowance) {
  const total = `${curve.group}, ${curve.day} UTC: running total ${count(top)} of ${count(allowance)} tokens`;
  const crossed = curve.crossing && `crossed at ${clock(curve.crossing.at)} UTC by a call of ${count(curve.crossing.tokens)} tokens`;
  return `${[total, crossed, silence(curve)].filter(Boolean).join('; ')}. Arrow keys go from step to step.`;
}

const time = (seconds) => clock(new Date(seconds * 1000).toISOString());

// Whether a band ends where counting began: nobody knows what was called before.
const isBefore = ([, to], began) => to === began;

// When counting began, and when the proxy was not running, in words; nothing if it always was.
function silence({ day, down, began }) {
  const end = Date.parse(`${day}T00:00:00Z`) / 1000 + 86400;
  const first = down.some((band) => isBefore(band, began)) ? [`counting began ${time(began)} UTC`] : [];
  const times = down.filter((band) => !isBefore(band, began)).map(([from, to]) => `${time(from)} to ${to === end ? '24:00:00' : time(to)}`);
  return [...first, ...(times.length ? [`not running ${times.join(', ')} UTC`] : [])].join('; ');
}

function hatch(u) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 8;
  const pen = tile.getContext('2d');
  pen.strokeStyle = css('--billed');
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(0, 8); pen.lineTo(8, 0);
  pen.stroke();
  return u.ctx.createPattern(tile, 'repeat');
}

// A grey band where the proxy was not running, and before counting began.
function bands(u, { down, began }) {
  const { ctx, bbox } = u;
  ctx.save();
  for (const [from, to] of down) {
    const left = u.valToPos(from, 'x', true);
    const right = u.valToPos(to, 'x', true);
    ctx.fillStyle = css('--grid');
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    const words = isBefore([from, to], began) ? `counting began ${time(began).slice(0, 5)} UTC` : 'not running';
    label(ctx, words, (left + right) / 2, bbox.top + bbox.height / 2, right - left);
  }
  ctx.restore();
}

// A label in the middle of a band: along it where it is wide enough, else up it, else not at all.
function label(ctx, words, x, y, wide) {
  ctx.save();
  ctx.fillStyle = css('--muted');
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.translate(x, y);
  if (wide < ctx.measureText(words).width + 8 * devicePixelRatio) ctx.rotate(-Math.PI / 2);
  if (wide >= 14 * devicePixelRatio) ctx.fillText(words, 0, 0);
  ctx.restore();
}

function marks(u, curve, allowance, crossedAt) {
  const { ctx, bbox } = u;
  const y = u.valToPos(allowance, 'y', true);
  const gap = 8 * devicePixelRatio;
  const isCrossed = crossedAt !== Infinity;
  const x = isCrossed ? u.valToPos(crossedAt, 'x', true) : Infinity;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css('--text');
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  const name = nameOf(ctx, allowance, isCrossed ? Math.max(x - bbox.left, bbox.left + bbox.width - x) : bbox.width, gap);
  const written = ctx.measureText(name).width + 2 * gap;
  // Above its line, where the total never is before the crossing; after an early one there is room only below, at the end.
  const early = x < bbox.left + written;
  write(ctx, name, early ? bbox.left + bbox.width - gap : bbox.left + gap, early ? y + 2 * gap : y - 0.75 * gap, early);
  if (isCrossed) crossing(ctx, bbox, curve.crossing, { x, y, gap, written });
  ctx.restore();
}

// The allowance in words: with its number where the crossing's time has room beside it.
function nameOf(ctx, allowance, room, gap) {
  const whole = `allowance ${count(allowance)}`;
  return ctx.measureText(`${whole}00:00:00 UTC`).width + 4 * gap <= room ? whole : 'allowance';
}

// The crossing is a point: its diamond stands on it, its words beside it, where the total is not.
function crossing(ctx, bbox, { call, at, tokens }, { x, y, gap, written }) {
  ctx.lineWidth = devicePixelRatio / 2;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  const when = `${clock(at)} UTC`;
  const whole = `${shortId(call)}, ${when}, ${count(tokens)} tokens`;
  const fits = (words, room) => ctx.measureText(words).width + 2 * gap <= room;
  const left = [whole, when].find((words) => fits(words, x - bbox.left - written));
  const right = [whole, when].find((words) => fits(words, bbox.left + bbox.width - x));
  // Before it the total is below the allowance, so above is room; after it the other way round.
  if (left) write(ctx, left, x - 1.5 * gap, y - 0.75 * gap, true);
  else if (right) write(ctx, right, x + 1.5 * gap, y + 2 * gap, false);
  const size = 6 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, y - size); ctx.lineTo(x + size, y); ctx.lineTo(x, y + size); ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.strokeStyle = css('--background');
  ctx.fill();
  ctx.stroke();
}

// Words that can be read over what is filled, too; `ends`: they end at x.
function write(ctx, words, x, y, ends) {
  ctx.save();
  ctx.textAlign = ends ? 'right' : 'left';
  // uPlot leaves another one behind, by which words would hang on the line they stand above.
  ctx.textBaseline = 'alphabetic';
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.lineJoin = 'round';
  ctx.strokeStyle = css('--background');
  ctx.strokeText(words, x, y);
  ctx.fillText(words, x, y);
  ctx.restore();
}

/** One step to the left or right, said in words. */
export function step(by, into) {
  if (!shown || !shown.points.length) return;
  cursor = Math.max(0, Math.min(shown.points.length - 1, cursor < 0 ? (by > 0 ? 0 : shown.points.length - 1) : cursor + by));
  const [at, total] = shown.points[cursor];
  say(into, `${time(at)} UTC: ${count(total)} of ${count(shown.allowance_tokens)} tokens`);
}

/** The same data as a table. */
export function table(box) {
  if (!shown) return;
  const crossedAt = shown.crossing ? Math.floor(Date.parse(shown.crossing.at) / 1000) : Infinity;
  const first = shown.points.findIndex(([at]) => at >= crossedAt);
  const rows = shown.points.map(([at, total], place) =>
    el('tr', {}, el('td', {}, `${time(at)}${place === first ? ' ◆ crossing call' : ''}`), el('td', {}, count(total)),
      el('td', {}, count(Math.max(0, shown.allowance_tokens - total)))));
  fill(box, el('table', {},
    silence(shown) && el('caption', {}, silence(shown)),
    el('thead', {}, el('tr', {}, ...['UTC', 'running total', 'below the allowance'].map((name) => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, ...rows)));
}

