// Names from outside that want to be more than text. Knows the page as people see it.

import { strict as assert } from 'node:assert';
import { asked, fits, open, passed, picture, says, text, until } from './browser.mjs';

const { calls } = await asked('calls?limit=500');
assert.ok(calls.length >= 3, 'nothing hostile came');
for (const width of [1280, 360]) {
  const { page, close } = await open({ viewport: { width, height: 740 } });
  await says(page, '#live', 'live');
  await until(page, (many) => document.querySelectorAll('#calls > a').length === many, calls.length);
  await fits(page, `hostile names at ${width}`);
  await picture(page, `hostile-${width}`);
  for (const call of calls) {
    const row = page.locator(`#calls [data-call="${call.call}"]`);
    assert.equal(await row.locator('.model').textContent(), call.model);
    await row.click();
    await says(page, '#detail', call.call);
    const whole = await page.locator('#detail').textContent();
    for (const part of [call.model, call.response_id, call.request_id, call.organization]) {
      assert.ok(whole.includes(part), `${part} is not shown whole`);
    }
    await fits(page, `one call at ${width}`);
    await page.keyboard.press('Escape');
  }
  const grown = await page.evaluate(() => document.querySelectorAll('img, iframe, main script, svg, b:not(.live b)').length);
  assert.equal(grown, 0, 'a name became an element');
  assert.equal(await page.evaluate(() => window.wasRun), undefined);
  assert.ok((await text(page, '#organization')).includes('<b>'));
  await close();
}
passed(2);
