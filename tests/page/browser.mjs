// One browser on the page: what it wrote to its console, which hosts it asked, how it looked. Knows nothing of what is shown.

import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** The page's address, the proxy's base address, and the folder of the pictures. */
export const { PAGE, PROXY, PICTURES } = process.env;

const KEY = process.env.KEY ?? 'sk-sim-acme';
/** The longest wait for something to be seen, milliseconds. */
const PATIENCE = 15_000;
/** What Chromium itself writes while nobody listens on the port. */
const OUTAGE = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)/;

/** What it writes where an answer refuses. */
const REFUSAL = /status of 401/;

/** Opens the page. `options` are those of a browser context, with `hash` for the address bar. */
export async function open({ hash = '', outage = false, refused = false, ...options } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const troubles = [];
  page.on('console', (message) => {
    const known = (outage && OUTAGE.test(message.text())) || (refused && REFUSAL.test(message.text()));
    if (!known) troubles.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`error: ${error.stack}`));
  page.on('dialog', (dialog) => { troubles.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.host !== new URL(PAGE).host) troubles.push(`left the host: ${url}`);
  });
  await page.goto(PAGE + hash);
  const close = async () => {
    await browser.close();
    assert.deepEqual(troubles, []);
  };
  return { page, close };
}

/** Waits until a function of the page is true. */
export const until = (page, what, ...rest) => page.waitForFunction(what, ...rest, { timeout: PATIENCE });

/** The text of the first element. */
export const text = async (page, selector) => (await page.locator(selector).first().innerText()).trim();

/** Waits until an element's text has these words. */
export async function says(page, selector, words) {
  try {
    await until(page, ([where, wanted]) => document.querySelector(where)?.textContent.includes(wanted), [selector, words]);
  } catch (error) {
    const said = await page.locator(selector).allTextContents();
    throw new Error(`${selector} does not say ${words}: ${JSON.stringify(said)}`, { cause: error });
  }
}

/** Writes down how it looks. */
export const picture = (page, name) => page.screenshot({ path: join(PICTURES, `${name}.png`) });

/** Nothing scrolls sideways, and nothing reaches past the edge unseen. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => {
    const edge = document.documentElement.clientWidth;
    const scrolls = document.documentElement.scrollWidth > edge;
    const over = [...document.querySelectorAll('body *')].filter((one) => {
      const box = one.getBoundingClientRect();
      return box.width > 0 && box.right > edge + 1 && !one.closest('.scroll, .hidden, [hidden]');
    });
    return { scrolls, over: over.map((one) => `${one.tagName}#${one.id}.${one.className}`) };
  });
  assert.deepEqual(wide, { scrolls: false, over: [] }, what);
}

/** What the second listener answers. */
export const asked = async (path) => (await fetch(`${PAGE}api/v1/${path}`)).json();

/** Makes a call of so many tokens and returns its tags. */
export async function call(model, tokens, base = PROXY, words = '', key = KEY) {
  const output = Math.min(10, tokens);
  const content = `[tokens in=${tokens - output} out=${output}]${words}`;
  const answer = await fetch(`${base}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
  });
  assert.equal(answer.status, 200);
  await answer.arrayBuffer();
  return Object.fromEntries([...answer.headers].filter(([name]) => name.startsWith('x-tollfree-')).map(([name, value]) => [name.slice(11), value]));
}

/** A count as the page writes it. */
export const count = (number) => new Intl.NumberFormat('en-US').format(number);

/** The end of a suite: the line that says so. */
export const passed = (checks) => console.log(`${checks} passed, 0 failed`);
