// A month of days, the last with a crossing: the picture that the README shows, and a click on an earlier day. Knows the page as
// people see it.

import { strict as assert } from 'node:assert';
import { asked, fits, open, passed, picture, says, text, until } from './browser.mjs';

const standing = await asked('standing');
const mine = { organization: 'acme', group: 'large' };
const curve = await asked(`curve?${new URLSearchParams(mine)}`);
// The simulated proxy was started anew on the last day: the curve says when it was not running, and draws no line there.
assert.equal(curve.down.length, 1, JSON.stringify(curve.down));
const [silent] = curve.down.map((ends) => ends.map((at) => new Date(at * 1000).toISOString().slice(11, 19)).join(' to '));
assert.match(silent, /^07:20:\d\d to 08:35:\d\d$/);
for (const colorScheme of ['light', 'dark']) {
  const { page, close } = await open({ colorScheme, viewport: { width: 1120, height: 1000 } });
  await says(page, '#live', 'live');
  await says(page, 'article[data-group=large]', 'Crossing call');
  await until(page, () => document.querySelectorAll('#days button').length === 30);
  assert.ok(await page.locator('#notice').isHidden(), await text(page, '#notice').catch(() => ''));
  await says(page, 'article[data-group=large]', curve.crossing.call.slice(-4));
  await until(page, (words) => document.getElementById('curve').getAttribute('aria-label')?.includes(words), `not running ${silent} UTC`);
  // Every verdict is in the pictures, those without colours too.
  for (const word of ['free', 'BILLED', 'unknown']) await says(page, '#calls', word);
  await page.mouse.move(2, 2);
  await picture(page, `page-${colorScheme}`);
  const sight = await page.context().newCDPSession(page);
  for (const type of ['deuteranopia', 'achromatopsia', 'none']) {
    await sight.send('Emulation.setEmulatedVisionDeficiency', { type });
    if (type !== 'none') await picture(page, `page-${colorScheme}-${type}`);
  }
  await page.locator('#month').scrollIntoViewIfNeeded();
  await picture(page, `month-${colorScheme}`);
  await fits(page, colorScheme);
  // The list runs into the day before: that day stands above its calls.
  await page.locator('#older').click();
  const shown = (await asked('calls?limit=100')).calls;
  const [earlier] = shown.filter((call) => call.day !== standing.day);
  // Early in a day its calls and the one before's are there at once: the click is over once all are.
  await until(page, (many) => document.querySelectorAll('#calls > a').length === many, shown.length);
  const above = await page.locator(`#calls [data-call="${earlier.call}"]`).evaluate((row) => row.previousElementSibling.textContent);
  assert.ok(above.includes(`${Number(earlier.day.slice(8))} `) && above.endsWith('UTC'), above);
  assert.equal(await page.locator('#calls > .day').count(), new Set(shown.map((call) => call.day)).size - 1);
  await picture(page, `days-${colorScheme}`);
  const before = await page.locator('#days button').nth(27).getAttribute('data-day');
  assert.ok(before < standing.day);
  await page.locator('#days button').nth(27).click();
  await until(page, (day) => document.getElementById('today-title').textContent.includes(`${Number(day.slice(8))} `), before);
  const { calls } = await asked(`calls?day=${before}`);
  await until(page, (many) => document.querySelectorAll('#calls > a').length === many, calls.length);
  assert.ok((await text(page, '#calls > a')).startsWith(calls[0].settled_at.slice(11, 19)));
  assert.ok(page.url().includes(`day=${before}`));
  await close();
}

// What is not known is no zero: a day before counting began, a day to come, an organization that nobody is.
const began = (await asked('days?days=30')).counting_began_at;
const dayFrom = (days) => new Date(Date.parse(began) + days * 86400e3).toISOString().slice(0, 10);
for (const [hash, words] of [
  [`#day=${dayFrom(-2)}`, `counting began ${began.slice(0, 10)} ${began.slice(11, 16)} UTC`],
  [`#day=${dayFrom(400)}`, 'has not begun'],
  ['#organization=zzz', 'no organization zzz. help: known are acme'],
]) {
  const { page, close } = await open({ hash });
  await says(page, '#live', 'live');
  await says(page, '#curve-none', words);
  await says(page, '#calls-empty', words);
  await says(page, '#sums', 'cost?saved?not eligible? calls, ? tokensunknown?');
  assert.ok(await page.locator('#curve').isHidden());
  assert.equal(await page.locator('#gauges').isHidden(), hash.includes('zzz'));
  await picture(page, `unknown-${hash.slice(1, 4)}`);
  await close();
}
const first = await open({});
await says(first.page, '#live', 'live');
await until(first.page, () => document.querySelectorAll('#days button').length === 30);
const early = first.page.locator('#days button').first();
assert.ok((await early.getAttribute('aria-label')).endsWith('before counting began'));
await first.close();
passed(3);
