// A month of days, the last with a crossing: the picture that the README shows, and a click on an earlier day. Knows the page as
// people see it.

import { strict as assert } from 'node:assert';
import { asked, fits, open, passed, picture, says, text, until } from './browser.mjs';

const standing = await asked('standing');
for (const colorScheme of ['light', 'dark']) {
  const { page, close } = await open({ colorScheme, viewport: { width: 1120, height: 1000 } });
  await says(page, '#live', 'live');
  await says(page, 'article[data-group=large]', 'Crossing call');
  await until(page, () => document.querySelectorAll('#days button').length === 30);
  assert.ok(await page.locator('#notice').isHidden(), await text(page, '#notice').catch(() => ''));
  await page.mouse.move(2, 2);
  await picture(page, `page-${colorScheme}`);
  await page.locator('#month').scrollIntoViewIfNeeded();
  await picture(page, `month-${colorScheme}`);
  await fits(page, colorScheme);
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
passed(2);
