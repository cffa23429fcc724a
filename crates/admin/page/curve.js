// The running total of one group over the day, as steps: a call is a step, never a slope. Draws with uPlot.

import { el, fill, say } from './dom.js';
import { clock, count, short } from './format.js';

let plot = null;
let shown = null;
let cursor = -1;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draws a day. `curve`: { day, group, allowance_tokens, points: [[unix seconds, total after]], crossing, down: [[from, to]] },
 * points rising in time, at most one a minute beside the crossing.
 */
export function draw(box, curve, now) {
  shown = curve;
  cursor = -1;
  const start = Date.parse(`${curve.day}T00:00:00Z`) / 1000;
  const end = start + 86400;
  const last = Math.min(now, end);
  const points = [[start, 0], ...curve.points.filter(([at]) => at > start && at < end)];
  const top = points[points.length - 1][1];
  // Right of now stays empty.
  if (last > points[points.length - 1][0]) points.push([last, top]);
  const x = points.map(([at]) => at);
  const allowance = curve.allowance_tokens;
  const crossedAt = curve.crossing ? Date.parse(curve.crossing.at) / 1000 : Infinity;
  const free = points.map(([at, total]) => (at <= crossedAt ? total : null));
  const billed = points.map(([at, total]) => (at >= crossedAt ? total : null));
  const most = Math.max(allowance, top) * 1.05 || 1;
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
        values: (_, totals) => totals.map(short) },
    ],
    series: [
      {},
      { stroke: css('--free'), width: 2, fill: `${css('--free')}33`, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
      { stroke: css('--billed'), width: 2, fill: hatch, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
    ],
    hooks: { drawAxes: [(u) => bands(u, curve.down ?? [])], draw: [(u) => marks(u, curve, allowance, crossedAt)] },
  };
  if (plot) plot.destroy();
  fill(box);
  plot = new uPlot(options, [x, free, billed], box);
  box.setAttribute('aria-label', sentence(curve, top, allowance));
}

/** The same day again, in a box of another width or in other colours. */
export function redraw(box, now) {
  if (shown) draw(box, shown, now);
}

function sentence(curve, top, allowance) {
  const total = `${curve.group}, ${curve.day} UTC: running total ${count(top)} of ${count(allowance)} tokens`;
  if (!curve.crossing) return `${total}. Arrow keys go from step to step.`;
  return `${total}; crossed at ${clock(curve.crossing.at)} UTC by a call of ${count(curve.crossing.tokens)} tokens. Arrow keys go from step to step.`;
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

// A grey band where the proxy was not running.
function bands(u, down) {
  const { ctx, bbox } = u;
  ctx.save();
  for (const [from, to] of down) {
    const left = u.valToPos(from, 'x', true);
    const right = u.valToPos(to, 'x', true);
    ctx.fillStyle = css('--grid');
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    if (right - left > 90) {
      ctx.fillStyle = css('--muted');
      ctx.textAlign = 'center';
      ctx.fillText('not running', (left + right) / 2, bbox.top + 14 * devicePixelRatio);
    }
  }
  ctx.restore();
}

function marks(u, curve, allowance, crossedAt) {
  const { ctx, bbox } = u;
  const y = u.valToPos(allowance, 'y', true);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css('--text');
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.textAlign = 'left';
  ctx.fillText('allowance', bbox.left + 6 * devicePixelRatio, y - 5 * devicePixelRatio);
  if (crossedAt !== Infinity) {
    const x = u.valToPos(crossedAt, 'x', true);
    ctx.lineWidth = devicePixelRatio / 2;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const right = x > bbox.left + bbox.width * 0.85;
    ctx.textAlign = right ? 'right' : 'left';
    const gap = (right ? -8 : 8) * devicePixelRatio;
    ctx.fillText(`◆ ${clock(curve.crossing.at).slice(0, 5)}`, x + gap, y + 16 * devicePixelRatio);
  }
  ctx.restore();
}

/** One step to the left or right, said in words. */
export function step(by, into) {
  if (!shown || !shown.points.length) return;
  cursor = Math.max(0, Math.min(shown.points.length - 1, cursor < 0 ? (by > 0 ? 0 : shown.points.length - 1) : cursor + by));
  const [at, total] = shown.points[cursor];
  say(into, `${clock(new Date(at * 1000).toISOString())} UTC: ${count(total)} of ${count(shown.allowance_tokens)} tokens`);
}

/** The same data as a table. */
export function table(box) {
  if (!shown) return;
  const rows = shown.points.map(([at, total]) =>
    el('tr', {}, el('td', {}, clock(new Date(at * 1000).toISOString())), el('td', {}, count(total)),
      el('td', {}, count(Math.max(0, shown.allowance_tokens - total)))));
  fill(box, el('table', {},
    el('thead', {}, el('tr', {}, ...['UTC', 'running total', 'below the allowance'].map((name) => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, ...rows)));
}

