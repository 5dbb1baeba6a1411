// Drives the web page in Chromium: each page, acts, roles, forgery, hostile text, accessibility in light and dark, with and without scripts.
// The scenario (scenarios/web_page.rs) starts the server and says in the environment where it is. Each check prints a line; the first that fails
// ends the program with 1.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { TOOLS, CHROMIUM, BASE, SHOTS, HOSTILE_ID, SESSION_ID, PASSWORD } = process.env;
const require = createRequire(`${TOOLS}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(`${TOOLS}/node_modules/axe-core/axe.min.js`, "utf8");

const ADMIN = "admin@relay.test";
const TESTER = "tester@relay.test";
const READER = "reader@relay.test";

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });

// Nothing but this server is asked, no script opens a dialog, the policy for content is not violated.
const strays = [];
const watch = (page) => {
  page.on("request", (request) => {
    if (!request.url().startsWith(BASE)) strays.push(`asks ${request.url()}`);
  });
  page.on("dialog", (dialog) => {
    strays.push(`dialog ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) strays.push(message.text());
  });
  page.on("pageerror", (error) => strays.push(`error ${error.message}`));
};

const open = async (options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  watch(page);
  return { context, page };
};

// By the protocol of the debugger, which the policy for content does not hold off.
const run = async (page, expression) => {
  const debug = await page.context().newCDPSession(page);
  const told = await debug.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  await debug.detach();
  assert.equal(told.exceptionDetails, undefined, JSON.stringify(told.exceptionDetails));
  return told.result.value;
};

const logIn = async (page, login, password = PASSWORD) => {
  await page.goto(`${BASE}/login`);
  await page.getByLabel("User name").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
};

const accessible = async (page, name) => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const found = await run(page, `${axe}; axe.run(document, { resultTypes: ["violations"] })`);
    const told = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
    assert.deepEqual(told, [], `${name} in ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
};

const shot = async (page, name, colorScheme = "light") => {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.emulateMedia({ colorScheme });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
  await page.emulateMedia({ colorScheme: "light" });
};

const check = async (name, work) => {
  await work();
  assert.deepEqual(strays, [], name);
  console.log(`ok ${name}`);
};

const PAGES = [
  ["/", "Overview"],
  ["/queue", "Queue"],
  ["/history", "History"],
  ["/sessions", "Sessions"],
  ["/refusals", "Refusals by rule"],
  ["/explain", "Explain"],
  ["/users", "Logins and app passwords"],
  [`/users/${encodeURIComponent(TESTER)}`, `Login ${TESTER}`],
  ["/accounts", "Accounts and budgets"],
  [`/accounts/${encodeURIComponent(TESTER)}`, `Account ${TESTER}`],
  ["/lockouts", "Lockouts"],
  ["/destinations", "Destinations"],
  ["/directories", "Directories"],
  ["/filters", "Filters"],
  ["/certificates", "Certificates and keys"],
  ["/tokens", "Tokens"],
  ["/configuration", "Configuration"],
  ["/acts", "Acts"],
  ["/factor", "My second factor"],
  [`/queue/${HOSTILE_ID}`, `Message ${HOSTILE_ID}`],
  [`/sessions/${SESSION_ID}`, `Session ${SESSION_ID}`],
];

const { context, page } = await open();

await check("who is not logged in is led to the login, and a wrong password is told", async () => {
  await page.goto(`${BASE}/queue?held=yes`);
  assert.match(page.url(), /\/login\?next=/);
  await accessible(page, "login");
  await shot(page, "login");
  await page.getByLabel("User name").fill(ADMIN);
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  assert.match(await page.getByRole("alert").innerText(), /Wrong user name or password/);
});

await check("a login leads on to where it was wanted; scripts and other sites do not get the cookie", async () => {
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${BASE}/queue?held=yes`);
  const [cookie] = await context.cookies();
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  assert.equal(await run(page, "document.cookie"), "");
});

for (const [address, title] of PAGES) {
  await check(`page ${address}`, async () => {
    const answer = await page.goto(BASE + address);
    assert.equal(answer.status(), 200, await page.locator("main").innerText());
    assert.equal(await page.locator("h1").innerText(), title);
    const fields = answer.headers();
    assert.match(fields["content-security-policy"], /default-src 'none'/);
    assert.equal(fields["cache-control"], "no-store");
    assert.equal(fields["referrer-policy"], "no-referrer");
    await accessible(page, address);
    const name = address.split("/")[1] || "overview";
    if (["overview", "queue", "history", "refusals", "users", "explain"].includes(name) && address.split("/").length === 2) {
      await shot(page, name);
    }
  });
}

await check("hostile text from a subject, a remote reply and a login stays text", async () => {
  await page.goto(`${BASE}/queue/${HOSTILE_ID}`);
  const text = await page.locator("main").innerText();
  assert.match(text, /<script>window\.pwned=1<\/script>/);
  assert.match(text, /javascript:window\.pwned/);
  assert.match(text, /onerror=/);
  assert.equal(text.includes("\u202e"), false);
  assert.match(text, /\\u\{202e\}/);
  for (const address of ["/queue", `/queue/${HOSTILE_ID}`, "/destinations", "/history?what=tester@relay.test", `/sessions/${SESSION_ID}`]) {
    await page.goto(BASE + address);
    assert.equal(await run(page, "window.pwned"), undefined, address);
    assert.equal(await page.locator("main script, main img").count(), 0, address);
  }
  await page.goto(`${BASE}/queue/${HOSTILE_ID}`);
  await shot(page, "message");
});

await check("the content comes as a file of text", async () => {
  const answer = await page.request.get(`${BASE}/queue/${HOSTILE_ID}/content`);
  assert.match(answer.headers()["content-disposition"], /^attachment/);
  assert.match(answer.headers()["content-type"], /^text\/plain/);
  assert.match(await answer.text(), /pwned/);
});

await check("filters exchange the listing alone, and the address follows", async () => {
  await page.goto(`${BASE}/queue`);
  await page.getByLabel("Recipient domain").first().fill("nowhere.example");
  await page.getByText("No message in the queue fits.").waitFor();
  assert.match(page.url(), /domain=nowhere\.example/);
  await page.getByLabel("Recipient domain").first().fill("outside.example");
  await page.getByRole("link", { name: HOSTILE_ID }).waitFor();
});

await check("messages are chosen, held with a reason, released; the act is in the history", async () => {
  await page.goto(`${BASE}/queue`);
  await page.getByLabel(`Choose ${HOSTILE_ID}`).check();
  await page.getByLabel("Reason, for the history").fill("looks odd");
  await page.getByRole("button", { name: "Hold" }).click();
  await page.getByText("1 message held.").waitFor();
  await page.goto(`${BASE}/queue?held=yes`);
  await page.getByRole("link", { name: HOSTILE_ID }).waitFor();
  await page.getByLabel(`Choose ${HOSTILE_ID}`).check();
  await page.getByRole("button", { name: "Release" }).click();
  await page.getByText("1 message released.").waitFor();
  await page.goto(`${BASE}/acts`);
  const row = page.getByRole("row").filter({ hasText: "looks odd" });
  assert.match(await row.innerText(), /queue hold[\s\S]*admin@relay\.test[\s\S]*web session/);
});

await check("a removal is asked about first", async () => {
  await page.goto(`${BASE}/queue`);
  const other = page.locator("td.pick input").last();
  const id = await other.getAttribute("value");
  await other.check();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByText(`Remove for good: ${id}?`).waitFor();
  await accessible(page, "removal");
  await page.getByRole("button", { name: "Remove for good" }).click();
  await page.getByText("1 message removed.").waitFor();
  assert.equal(await page.getByRole("link", { name: id }).count(), 0);
});

await check("explain goes through a session", async () => {
  await page.goto(`${BASE}/explain`);
  await page.getByLabel("Client").fill("192.0.2.7");
  await page.getByLabel("Recipients").fill("x@outside.example");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("It would be refused").waitFor();
  await accessible(page, "explain with an answer");
  await shot(page, "explain");
});

await check("a form of somebody else's does nothing", async () => {
  const csrf = await page.locator("input[name=csrf]").first().inputValue();
  const post = (headers, form) => page.request.post(`${BASE}/queue/act`, { headers, form, maxRedirects: 0 });
  const ours = { "sec-fetch-site": "same-origin" };
  const hold = { act: "hold", id: HOSTILE_ID };
  assert.equal((await post(ours, hold)).status(), 403, "no token");
  assert.equal((await post(ours, { ...hold, csrf: "0".repeat(csrf.length) })).status(), 403, "a wrong token");
  assert.equal((await post({ "sec-fetch-site": "cross-site" }, { ...hold, csrf })).status(), 403, "another site");
  assert.equal((await post({ "sec-fetch-site": "cross-site" }, { login: ADMIN, password: PASSWORD })).status(), 403);
  assert.equal((await post({}, { ...hold, csrf })).status(), 403, "nobody says from where");
  assert.equal((await post(ours, { ...hold, csrf })).status(), 303, "ours");
  assert.equal((await page.request.get(`${BASE}/queue/act`)).status(), 405, "an act is no GET");
  await post(ours, { act: "release", id: HOSTILE_ID, csrf });
  // Another site's page, in the same browser: the cookie does not come along.
  const other = await context.newPage();
  await other.goto("data:text/html,<p>elsewhere</p>");
  await other.setContent(`<form method=post action="${BASE}/queue/act"><input name=act value=hold></form>`);
  await run(other, "document.forms[0].submit()");
  await other.waitForURL(`${BASE}/**`);
  assert.match(other.url(), /\/login/);
  await other.close();
  strays.length = 0;
});

await check("overview in the dark, and on a telephone", async () => {
  await page.goto(`${BASE}/`);
  await page.locator(".chart figcaption").waitFor();
  await shot(page, "overview-dark", "dark");
  await page.setViewportSize({ width: 400, height: 800 });
  const wider = await run(page, "document.documentElement.scrollWidth > window.innerWidth");
  assert.equal(wider, false, "the page is wider than a telephone");
  await page.setViewportSize({ width: 1280, height: 860 });
});

await check("the keyboard reaches the content first", async () => {
  await page.goto(`${BASE}/queue`);
  await page.keyboard.press("Tab");
  assert.equal(await run(page, "document.activeElement.textContent"), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await run(page, "document.activeElement.id"), "main");
});

await check("without scripts it works the same", async () => {
  const bare = await open({ javaScriptEnabled: false });
  await logIn(bare.page, ADMIN);
  await bare.page.goto(`${BASE}/queue`);
  await bare.page.getByLabel("Recipient domain").first().fill("outside.example");
  await bare.page.getByRole("button", { name: "Find" }).click();
  assert.match(bare.page.url(), /domain=outside\.example/);
  await bare.page.getByLabel(`Choose ${HOSTILE_ID}`).check();
  await bare.page.getByRole("button", { name: "Hold" }).click();
  await bare.page.getByText("1 message held.").waitFor();
  await bare.page.goto(`${BASE}/queue/${HOSTILE_ID}`);
  await bare.page.getByLabel("What to do").selectOption("release");
  await bare.page.getByRole("button", { name: "Do it" }).click();
  await bare.page.getByText("1 message released.").waitFor();
  await bare.context.close();
});

await check("who reads changes nothing", async () => {
  const reader = await open();
  await logIn(reader.page, READER);
  await reader.page.waitForURL(`${BASE}/`);
  await reader.page.goto(`${BASE}/queue`);
  await reader.page.getByRole("link", { name: HOSTILE_ID }).waitFor();
  assert.equal(await reader.page.locator("td.pick").count(), 0);
  const csrf = await reader.page.locator("input[name=csrf]").first().inputValue();
  const form = { act: "hold", id: HOSTILE_ID, csrf };
  const answer = await reader.page.request.post(`${BASE}/queue/act`, { headers: { "sec-fetch-site": "same-origin" }, form });
  assert.equal(answer.status(), 403);
  assert.equal((await reader.page.request.get(`${BASE}/tokens`)).status(), 403);
  assert.equal((await reader.page.request.get(`${BASE}/queue/${HOSTILE_ID}/content`)).status(), 404);
  await reader.context.close();
});

await check("a user sees the own mail and the own app passwords, and nothing else", async () => {
  const own = await open();
  await logIn(own.page, READER.replace("reader", "other"));
  await own.page.waitForURL(`${BASE}/queue`);
  assert.equal(await own.page.locator("h1").innerText(), "My mail");
  assert.equal(await own.page.getByRole("link", { name: HOSTILE_ID }).count(), 0);
  for (const address of [`/queue/${HOSTILE_ID}`, `/queue/${HOSTILE_ID}/content`]) {
    assert.equal((await own.page.request.get(BASE + address)).status(), 404, address);
  }
  const closed = ["/refusals", "/users", "/accounts", "/lockouts", "/destinations", "/directories", "/filters", "/certificates", "/tokens"];
  closed.push("/configuration", "/acts", "/explain", `/users/${encodeURIComponent(TESTER)}`, `/accounts/${encodeURIComponent(TESTER)}`);
  for (const address of closed) {
    assert.equal((await own.page.request.get(BASE + address)).status(), 403, address);
  }
  await own.page.goto(`${BASE}/history?what=${encodeURIComponent(TESTER)}`);
  await own.page.getByText("Nothing in the history fits.").waitFor();
  await own.page.goto(`${BASE}/passwords`);
  await own.page.getByLabel("Label").fill("telephone");
  await own.page.getByRole("button", { name: "Make it" }).click();
  await own.page.getByText("it is not shown again").waitFor();
  await accessible(own.page, "an app password that was made");
  await own.page.getByRole("button", { name: "Revoke telephone" }).click();
  await own.page.getByText("The app password is revoked.").waitFor();
  await own.context.close();
});

const code = (secret, steps = 0) => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret.replaceAll(" ", "")].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((octet) => Number.parseInt(octet, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const hash = createHmac("sha1", key).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
};

await check("a second factor is set up by its code, and asked for at the next login", async () => {
  const own = await open();
  await logIn(own.page, TESTER);
  await own.page.goto(`${BASE}/factor`);
  await own.page.getByRole("button", { name: "Begin" }).click();
  await own.page.locator(".qr svg").waitFor();
  await accessible(own.page, "the set-up of a second factor");
  await shot(own.page, "second-factor");
  const secret = await own.page.locator(".qr code").innerText();
  await own.page.getByRole("textbox", { name: "Code" }).fill(code(secret));
  await own.page.getByRole("button", { name: "Finish" }).click();
  await own.page.getByRole("heading", { name: "Recovery codes" }).waitFor();
  const recovery = await own.page.locator(".secret code").first().innerText();
  await own.page.getByRole("button", { name: "Log out" }).click();
  await own.page.waitForURL(`${BASE}/login`);
  await logIn(own.page, TESTER);
  await own.page.getByRole("heading", { name: "Second factor" }).waitFor();
  await accessible(own.page, "the second factor");
  await own.page.getByRole("textbox", { name: "Code" }).fill(recovery);
  await own.page.getByRole("button", { name: "Log in" }).click();
  await own.page.getByRole("heading", { name: "My mail" }).waitFor();
  await own.context.close();
});

await check("after the logout the session is gone", async () => {
  const [cookie] = await context.cookies();
  await page.goto(`${BASE}/`);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(`${BASE}/login`);
  await context.addCookies([cookie]);
  await page.goto(`${BASE}/queue`);
  assert.match(page.url(), /\/login\?next=%2Fqueue/);
});

await browser.close();
console.log("all checks of the page passed");
