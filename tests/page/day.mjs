// A day with a crossing: by keyboard alone, wide and narrow, light and dark, from the other side of the world. Knows the page
// as people see it.

import { strict as assert } from 'node:assert';
import { asked, call, count, fits, open, passed, picture, says, text, until } from './browser.mjs';

for (const tokens of [400_000, 400_000, 175_000]) await call('gpt-5.6', tokens);
const crossing = await call('gpt-5.6', 30_000);
await call('gpt-5.6', 800);
for (let number = 0; number < 70; number += 1) await call('gpt-4o-mini', 6_000 + number);
await call('gpt-3.5-turbo', 41_200);
const standing = await asked('standing');
const settled = async () => (await asked('calls?limit=500')).calls.length;
for (const end = Date.now() + 15_000; (await settled()) < 76;) assert.ok(Date.now() < end, 'not all calls were settled');

let checks = 0;
for (const [width, height] of [[1280, 900], [360, 740]]) {
  for (const colorScheme of ['light', 'dark']) {
    const { page, close } = await open({ viewport: { width, height }, colorScheme, hasTouch: width < 720 });
    await says(page, '#live', 'live');
    await page.locator(`#calls [data-call]`).first().waitFor();
    await until(page, () => document.querySelector('#curve canvas'));
    await fits(page, `${width} ${colorScheme}`);
    // The first screen answers the one question, for both groups.
    for (const group of ['large', 'small']) {
      // In one step, since the page may paint itself anew between two.
      const bottom = await page.evaluate((one) => document.querySelector(`article[data-group=${one}]`)
        .getBoundingClientRect().bottom, group);
      assert.ok(bottom <= height, `${group} at ${width}: ${bottom}`);
    }
    assert.ok((await text(page, 'article[data-group=small]')).includes('Largest free call: '));
    assert.ok(!(await text(page, 'article[data-group=large]')).includes('Not counted'), 'what is spent needs no doubt');
    await picture(page, `day-${width}-${colorScheme}`);
    const low = await page.evaluate(() => [...document.querySelectorAll('button, select, input, .title a, #calls > a')]
      .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 24).map((one) => one.outerHTML));
    assert.deepEqual(low, [], 'targets are at least 24 px high');
    await page.locator(`#calls > a`).first().click();
    await page.locator('#detail').waitFor();
    await fits(page, `${width} ${colorScheme}, one call`);
    await picture(page, `call-${width}-${colorScheme}`);
    await close();
    checks += 1;
  }
}

// By keyboard alone: list, call, back, search, table, help; focus is always seen.
const { page, close } = await open({ timezoneId: 'Asia/Tokyo' });
await says(page, '#live', 'live');
await page.locator('#calls [data-call]').first().waitFor();
const focused = (what) => page.evaluate(what);
await page.keyboard.press('j');
await page.keyboard.press('j');
await page.keyboard.press('k');
const rows = await page.locator('#calls > a').evaluateAll((all) => all.map((one) => one.dataset.call));
assert.equal(await focused(() => document.activeElement.dataset.call), rows[0]);
assert.notEqual(await focused(() => getComputedStyle(document.activeElement).outlineStyle), 'none', 'focus is seen');
await page.keyboard.press('j');
await page.keyboard.press('Enter');
await page.locator('#detail').waitFor();
assert.ok(page.url().includes(`call=${rows[1]}`), page.url());
await page.keyboard.press('Escape');
await page.locator('#detail').waitFor({ state: 'hidden' });
assert.equal(await focused(() => document.activeElement.dataset.call), rows[1], 'focus is back where it was');
await page.keyboard.press('/');
await page.keyboard.type(crossing.call);
await page.keyboard.press('Enter');
await until(page, () => document.querySelectorAll('#calls > a').length === 1);
await page.keyboard.press('Escape');
await page.keyboard.press('j');
await page.keyboard.press('Enter');
await says(page, '#detail', 'before 975,000 + 30,000 = 1,005,000 > 1,000,000');
await says(page, '#detail', `/_tollfree/calls/${crossing.call}`);
await page.keyboard.press('Escape');
await page.keyboard.press('t');
await page.locator('#curve-table td').first().waitFor();
assert.ok((await text(page, '#curve-table')).includes('1,005,800'));
await page.keyboard.press('t');
await page.locator('#curve-table').waitFor({ state: 'hidden' });
await page.locator('#curve').focus();
await page.keyboard.press('ArrowRight');
await says(page, '#curve-step', 'of 1,000,000 tokens');
await page.keyboard.press('?');
await page.locator('#keys').waitFor();
await picture(page, 'keys');
await page.keyboard.press('Escape');
await page.locator('#keys').waitFor({ state: 'hidden' });

// Nine hours ahead, the days and the times are UTC all the same.
const [year, , dayOfMonth] = standing.day.split('-');
const shown = await text(page, '#day');
assert.ok(shown.includes(`${Number(dayOfMonth)} `) && shown.includes(year) && shown.endsWith('UTC'), shown);
assert.match(await text(page, '#reset'), /^resets in \d\d:\d\d:\d\d \(09:00 here\)$/);
const [only] = (await asked(`calls?search=${crossing.call}`)).calls;
assert.ok((await text(page, '#calls > a')).startsWith(only.settled_at.slice(11, 19)));

// What is seen is what is asked for and what the file holds.
const small = standing.organizations[0].groups[1];
assert.equal(small.remaining_tokens, 10_000_000 - 70 * 6_000 - (69 * 70) / 2);
assert.ok((await text(page, 'article[data-group=small]')).includes(count(small.remaining_tokens)));
const [sums] = (await asked('days?days=1')).sums;
const line = await text(page, '#sums');
for (const money of [sums.cost_text, sums.saved_text]) assert.ok(line.includes(money), `${money} in ${line}`);
assert.ok((await page.locator('#calls > a .money').allTextContents()).every((money) => /^(saved )?(<?\$[\d,.]{4,}|\?)$/.test(money)));
const csv = await page.evaluate(async () => (await fetch(document.getElementById('csv').href)).text());
assert.equal(csv.trim().split('\r\n').length, 2, csv);
await close();

// The numbers of the one organization never stand beside the calls of both.
await call('gpt-4o-mini', 150, undefined, '', 'sk-sim-globex');
for (const end = Date.now() + 15_000; (await settled()) < 77;) assert.ok(Date.now() < end, 'the call of globex was not settled');
for (const [hash, name, many] of [['', 'acme', 50], ['#organization=globex', 'globex', 1]]) {
  const { page: one, close: end } = await open({ hash });
  await says(one, '#live', 'live');
  await until(one, (wanted) => document.querySelectorAll('#calls > a').length === wanted, many);
  assert.equal(await one.locator('#organization').inputValue(), name);
  const file = await one.evaluate(async () => (await fetch(document.getElementById('csv').href)).text());
  const whose = await one.evaluate(async (ids) => Promise.all(ids.map(async (id) => (await (await fetch(`api/v1/calls/${id}`)).json()).organization)),
    await one.locator('#calls > a').evaluateAll((all) => all.map((row) => row.dataset.call)));
  assert.deepEqual([...new Set(whose)], [name]);
  assert.equal(file.includes('globex'), name === 'globex', 'the file is of the same organization');
  await end();
}

// The line begins where counting did, without a dot before it; the words stand above the line of the allowance, which is named in
// full; the table marks the crossing.
const drawn = await open();
await says(drawn.page, '#live', 'live');
await until(drawn.page, () => document.querySelector('#curve canvas'));
await drawn.page.evaluate(() => {
  const { fillText } = CanvasRenderingContext2D.prototype;
  window.words = {};
  CanvasRenderingContext2D.prototype.fillText = function write(words, ...at) {
    window.words[words] = this.textBaseline;
    return fillText.call(this, words, ...at);
  };
  window.uPlot = new Proxy(window.uPlot, { construct: (Kind, given) => { [, window.series] = given; return new Kind(...given); } });
  dispatchEvent(new Event('resize'));
});
await until(drawn.page, () => Object.keys(window.words).some((words) => words.includes('30,000 tokens')));
const { words, series: [at, totals] } = await drawn.page.evaluate(() => ({ words: window.words, series: window.series }));
assert.equal(words['allowance 1,000,000'], 'alphabetic', JSON.stringify(words));
assert.equal(Object.entries(words).find(([one]) => one.includes('30,000 tokens'))[1], 'alphabetic');
const [[from, to]] = (await asked('curve?organization=acme&group=large')).down;
for (const [place, time] of at.entries()) if (time >= from && time < to) assert.equal(totals[place], null, `a point at ${time}`);
await drawn.page.keyboard.press('t');
const marked = drawn.page.locator('#curve-table tr', { hasText: '◆ crossing call' });
assert.equal(await marked.count(), 1);
assert.ok((await marked.innerText()).includes('1,005,000'), await marked.innerText());
await drawn.close();

// The thirty days say how high the highest bar is, and which the first and last are.
const thirty = await open();
await until(thirty.page, () => document.querySelectorAll('#days button').length === 30);
assert.equal(await text(thirty.page, '#scale'), 'highest bar: 1,030,800 tokens');
const dayAgo = (days) => new Date(Date.parse(standing.day) - days * 86400e3).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
assert.deepEqual(await thirty.page.locator('#ends span').allTextContents(), [dayAgo(29), dayAgo(0)]);
await thirty.page.locator('#month').scrollIntoViewIfNeeded();
await picture(thirty.page, 'thirty');
// The list is narrowed while somebody types.
await thirty.page.locator('#search').pressSequentially('3.5-turbo');
await until(thirty.page, () => document.querySelectorAll('#calls > a').length === 1);
assert.ok(thirty.page.url().includes('search=3.5-turbo'));
assert.equal(await thirty.page.locator('#search').inputValue(), '3.5-turbo');
await thirty.close();

// Without its token the page says so, and shows no empty frames below.
const barred = await open({ refused: true });
await barred.page.route('**/api/v1/**', (route) => route.fulfill({ status: 401, json: {} }));
await barred.page.reload();
await says(barred.page, '#notice', 'a token is required. help: open this page as /?token=...');
assert.ok(await barred.page.locator('#main').isHidden());
await picture(barred.page, 'barred');
await barred.page.unrouteAll();
await barred.page.reload();
await barred.page.locator('#calls [data-call]').first().waitFor();
await barred.close();

// On any width nothing scrolls sideways, and models that begin alike are told apart.
for (const width of [320, 340, 360, 719, 720, 768, 820, 838, 879, 880]) {
  const { page: one, close: end } = await open({ viewport: { width, height: 740 } });
  await says(one, '#live', 'live');
  await one.locator('#calls [data-call]').first().waitFor();
  await until(one, () => document.querySelectorAll('#days button').length === 30);
  await fits(one, `${width}`);
  const cut = await one.locator('#calls .model span').evaluateAll((all) => all.filter((part) => part.textContent && part.clientWidth < 70).map((part) => part.outerHTML));
  assert.deepEqual(cut, [], `the beginning of a name at ${width}`);
  if (width === 768) await picture(one, 'day-768');
  await end();
}

// In short it is never more than in full, but where it is said to be a most.
const inShort = await open();
for (const [tokens, less, most] of [
  [0, '0', '0'], [999, '999', '1k'], [1_234, '1.2k', '1.3k'], [999_680, '999k', '1M'], [1_000_000, '1M', '1M'], [2_482_970, '2.4M', '2.5M'],
  [9_999_999, '9.9M', '10M'], [10_500_000, '10M', '11M'],
]) {
  const said = await inShort.page.evaluate(async (n) => {
    const { short } = await import('./format.js');
    return [short(n), short(n, Math.ceil)];
  }, tokens);
  assert.deepEqual(said, [less, most], String(tokens));
}
await inShort.close();

// A link shows the same again; an id that is none says which ids are.
const linked = await open({ hash: '#verdict=billed&reason=crossing-call' });
await linked.page.locator(`#calls [data-call="${crossing.call}"]`).waitFor();
assert.equal(await linked.page.locator('#calls > a').count(), 1);
await linked.page.goto('about:blank');
await linked.page.goto(`${process.env.PAGE}#model=gpt-3.5-turbo-0125`);
await until(linked.page, () => document.querySelectorAll('#calls > a').length === 1);
assert.ok((await text(linked.page, '#calls > a')).includes('41,200'));
await linked.page.locator('#model').selectOption('');
await until(linked.page, () => document.querySelectorAll('#calls > a').length > 1);
await linked.page.locator('#model').selectOption('gpt-4o-mini-2024-07-18');
await until(linked.page, () => [...document.querySelectorAll('#calls .model')].every((one) => one.textContent.startsWith('gpt-4o-mini')));
await linked.page.goto('about:blank');
await linked.page.goto(`${process.env.PAGE}#search=no-such-thing`);
await says(linked.page, '#calls-empty', 'No call matches');
await linked.page.goto('about:blank');
await linked.close();
passed(checks + 10);
