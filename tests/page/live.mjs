// From no call at all to calls that appear by themselves, and through an end of the proxy. Knows the page as people see it.

import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { asked, call, count, fits, open, passed, picture, says, text, until } from './browser.mjs';

const { page, close } = await open({ outage: true });
await says(page, '#live', 'live');

// No call ever: what to do stands there, to be copied.
const { proxy } = await asked('standing');
assert.ok((await text(page, '#welcome')).includes(`export OPENAI_BASE_URL=http://${proxy.address}/v1`));
assert.ok((await text(page, '#welcome')).includes('x-tollfree-verdict'));
assert.ok(await page.locator('#gauges').isHidden());
await picture(page, 'empty');
await fits(page, 'without a call');
// Nor is the program broken inside its names where the window is narrow: it scrolls in its frame.
await page.setViewportSize({ width: 360, height: 740 });
assert.ok(await page.locator('#python').evaluate((one) => one.scrollWidth > one.clientWidth), 'the program keeps its lines');
await picture(page, 'empty-360');
await fits(page, 'without a call, narrow');
await page.setViewportSize({ width: 1280, height: 900 });

// The first call comes by itself.
const first = await call('gpt-5.6', 120_000);
await page.locator(`[data-call="${first.call}"]`).first().waitFor();
assert.ok(await page.locator('#welcome').isHidden());
await says(page, '[data-group=large] .figure', count(880_000));
// The group that ends first is named.
assert.match(await page.title(), /^large: (at most )?880k remaining · tollfree$/);
const row = await text(page, `#calls [data-call="${first.call}"]`);
for (const words of ['120,000', '● free', 'within-allowance']) assert.ok(row.includes(words), row);

// Before the first start nothing stood still: counting had not begun.
await until(page, () => /; counting began \d\d:\d\d:\d\d UTC\. /.test(document.getElementById('curve').getAttribute('aria-label') ?? ''));
assert.ok(!(await page.locator('#curve').getAttribute('aria-label')).includes('not running'));

// The crossing: said aloud once, and the same id, time and tokens everywhere.
await call('gpt-5.6', 855_000);
const crossing = await call('gpt-5.6', 30_000);
assert.equal(crossing.reason, 'crossing-call');
await says(page, 'article[data-group=large]', 'Crossing call');
const link = page.locator('article[data-group=large] a[data-call]');
assert.equal(await link.getAttribute('data-call'), crossing.call);
const told = await asked(`calls/${crossing.call}`);
const at = told.settled_at.slice(11, 19);
const gauge = await text(page, 'article[data-group=large]');
for (const words of ['■ spent', at, '30,000', '0 of 1,000,000 tokens remaining', 'Until 00:00 UTC']) assert.ok(gauge.includes(words), gauge);
await until(page, (time) => document.getElementById('curve').getAttribute('aria-label')?.includes(`crossed at ${time}`), at);
const list = await text(page, `#calls [data-call="${crossing.call}"]`);
for (const words of [at, '30,000', '■ BILLED', 'crossing-call']) assert.ok(list.includes(words), list);
assert.ok((await page.locator('#said').textContent()).includes('large is spent'));
assert.match(await page.title(), /^small: .*10M remaining · tollfree$/);

// A list that is being read is not moved.
await page.locator('#pause').click();
const held = await call('gpt-4o-mini', 6_010);
await says(page, '#fresh', '1 new');
assert.equal(await page.locator(`#calls [data-call="${held.call}"]`).count(), 0);
await page.locator('#fresh').click();
await page.locator(`#calls [data-call="${held.call}"]`).waitFor();
await page.locator('#pause').click();

// It ends without a word and comes again: numbers stay meanwhile, and are right afterwards.
writeFileSync(process.env.KILL, '');
await says(page, '#live', 'reconnecting');
assert.ok(await page.evaluate(() => document.body.classList.contains('dimmed')));
assert.ok((await text(page, 'article[data-group=large]')).includes('Crossing call'), 'numbers stay');
await picture(page, 'reconnecting');
writeFileSync(process.env.START, '');
await says(page, '#live', 'live');
assert.ok(!(await page.evaluate(() => document.body.classList.contains('dimmed'))));
const again = await asked('standing');
assert.notEqual(again.proxy.pid, proxy.pid);
const small = again.organizations[0].groups[1];
assert.equal(small.remaining_tokens, 10_000_000 - 6_010);
await says(page, '[data-group=small] .figure', count(small.remaining_tokens));
const after = await call('gpt-4o-mini', 4_000, `http://${again.proxy.address}`);
await page.locator(`#calls [data-call="${after.call}"]`).waitFor();
await says(page, '[data-group=small] .figure', count(10_000_000 - 10_010));

// One call without usage: "at most" before what remains, and no 0 where the truth is not known.
await page.mouse.move(2, 2);
await call('gpt-4o-mini', 50, `http://${again.proxy.address}`, '[no usage]');
await says(page, '[data-group=small] .figure', 'at most');
const unknown = page.locator('#calls > a', { hasText: 'usage-missing' }).first();
await unknown.waitFor();
const words = await unknown.innerText();
assert.ok(words.includes('? unknown') && !/\b0\b/.test(words.replace(/\d\d:\d\d:\d\d/, '')), words);

// An announced end is said with its time.
writeFileSync(process.env.STOP, '');
await says(page, '#live', 'stopped');
assert.match(await text(page, '#live'), /stopped \d\d:\d\d:\d\d UTC/);
await says(page, '#notice', 'start tollfree');
// Nor is a browser's own error shown where something is asked for all the same.
await page.locator('#groups button').last().click();
await says(page, '#curve-none', 'the proxy does not answer');
assert.ok(await page.locator('#curve').isHidden(), "another group's curve is not shown in its place");
await page.locator('#calls [data-call]').first().click();
await says(page, '#detail', 'the proxy does not answer');
assert.match(await text(page, '#notice'), /^stopped \d\d:\d\d:\d\d UTC: what is shown is as of then\. help: /);
await picture(page, 'stopped');
await close();
passed(9);
