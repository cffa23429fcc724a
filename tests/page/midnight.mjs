// A page that stays open while one day ends and the next begins. Knows the page as people see it.

import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { count, open, passed, says, text, until } from './browser.mjs';

const { page, close } = await open();
await says(page, '#live', 'live');
await says(page, '[data-group=large] .figure', count(980_000));
const before = await text(page, '#day');
writeFileSync(process.env.MIDNIGHT, '');
await until(page, (day) => document.getElementById('day').textContent !== day, before);
await says(page, '[data-group=large] .figure', `${count(1_000_000)} of ${count(1_000_000)}`);
assert.ok(await page.locator('#calls > a').count() > 0, 'the list stays as it was');
await close();
passed(3);
