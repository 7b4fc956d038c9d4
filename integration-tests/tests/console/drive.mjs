// Drives the console in Chromium as somebody would, and says what it saw: it judges nothing. Who started it compares that with the truth.
//
// node drive.mjs BROWSER URL PICTURES: a line `? WORD` asks the starter to do something and waits for a line; the last line is `= JSON`.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { mkdirSync, readFileSync } from "node:fs";

const [browserDir, url, pictures] = process.argv.slice(2);
const require = createRequire(`${browserDir}/node_modules/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(pictures, { recursive: true });

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** Has the starter do something; what it answers. */
async function starter(word) {
  console.log(`? ${word}`);
  const { value, done } = await answers.next();
  if (done) throw new Error(`nobody answers ${word}`);
  return value;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const seen = { errors: [], hosts: [], axe: [] };
const own = new Set([new URL(url).host]);

async function open({ scheme = "light", width = 1400, height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.on("pageerror", (e) => seen.errors.push(e.stack));
  page.on("console", (m) => {
    // A refusal is a line of the browser's own; everything else is a mistake of the page.
    if (m.type() === "error" && !/Failed to load resource|ERR_/.test(m.text())) seen.errors.push(m.text());
  });
  page.on("request", (r) => { const { host } = new URL(r.url()); if (!own.has(host) && !seen.hosts.includes(host)) seen.hosts.push(host); });
  await page.addInitScript(() => {
    window.shifted = [];
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifted.push({ at: e.startTime, value: e.value, of: e.sources.map((s) => s.node?.className?.baseVal ?? s.node?.className ?? "") });
    }).observe({ type: "layout-shift", buffered: true });
  });
  return page;
}
const go = async (page, hash, until) => {
  await page.goto("about:blank");
  await page.goto(`${url}/#/${hash}`);
  if (until) await page.waitForFunction(until, undefined, { timeout: 30_000 });
};
const shot = (page, name) => page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
const texts = (page, selector) => page.locator(selector).allInnerTexts();
const tiles = (page) => page.$$eval(".tile", (all) => Object.fromEntries(all.map((t) => [t.querySelector("dt").textContent, [t.querySelector(".value").textContent, t.querySelector(".more").textContent.trim()]])));
const rows = (page, caption) => page.$$eval(`.scroll[aria-label="${caption}"] tbody tr:not(.none)`, (all) => all.map((r) => [...r.children].map((c) => c.textContent.trim())));

/** What axe-core calls serious or critical. */
async function accessible(page, name) {
  // By the protocol of the debugger, so the page's own policy stays as it is.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary ?? ""}`).join("; ")}`);
  seen.axe.push({ name, grave, rules: passes.length });
}

async function job(page) {
  await go(page, "job", () => document.querySelector(".tile .value")?.textContent !== "\u2013" && document.querySelectorAll(".step").length);
  seen.first = await page.evaluate(() => performance.getEntriesByName("view:job")[0].startTime);
  const weigh = await page.evaluate(async () => {
    const names = ["/", ...performance.getEntriesByType("resource").map((e) => new URL(e.name).pathname).filter((p) => p.startsWith("/console/"))];
    const sizes = await Promise.all([...new Set(names)].map(async (n) => (await (await fetch(n)).arrayBuffer()).byteLength));
    return { files: sizes.length, bytes: sizes.reduce((a, b) => a + b, 0) };
  });
  const steps = await page.$$eval(".step", (all) => all.map((g) => ({ kind: g.querySelector(".kind").textContent, name: g.querySelector(".name").textContent })));
  const wires = await page.locator(".wire").count();
  // While records come nothing moves but numbers.
  const begun = await page.evaluate(() => performance.now());
  const before = await tiles(page);
  const added = Number(await starter("append"));
  await page.waitForFunction((n) => document.querySelector(".tile .more").textContent.startsWith(n), (added).toLocaleString("en-GB"), { timeout: 30_000 });
  const flowed = await page.waitForFunction(() => [...document.querySelectorAll(".rate")].map((t) => t.textContent).some((t) => /[1-9]/.test(t)), undefined, { timeout: 30_000 }).then(() => true);
  await page.waitForTimeout(3000);
  const shifts = await page.evaluate((at) => window.shifted.filter((s) => s.at > at), begun);
  // By keyboard: the second step, and what is said of it.
  await page.locator(".step").nth(1).focus();
  await page.keyboard.press("Enter");
  const looked = { step: await page.locator(".inspector h3").innerText(), pairs: await page.$$eval(".inspector .pairs dd", (all) => all.map((d) => d.textContent)) };
  await page.locator(".fold").first().click();
  await page.waitForTimeout(1200);
  const sources = await rows(page, "Sources and their partitions");
  const samples = await page.$$eval(".samples li", (all) => all.map((l) => ({ where: l.querySelector(".where").textContent, text: l.querySelector("pre").textContent })));
  await page.getByRole("radio", { name: "Late" }).check();
  await page.waitForTimeout(1500);
  const late = await page.$$eval(".samples li", (all) => all.map((l) => l.querySelector("pre").textContent));
  const memory = await texts(page, ".memory li");
  const processes = await page.$$eval(".processes li", (all) => all.map((l) => [l.querySelector("svg").getAttribute("aria-label"), l.querySelector("strong").textContent]));
  return { weigh, steps, wires, before, after: await tiles(page), flowed, shifts, looked, sources, samples, late, memory, processes };
}

async function handover(page) {
  await go(page, "handover", () => document.querySelector(".tile .value")?.textContent !== "\u2013" && document.querySelector(".timeline canvas")?.width > 0);
  await page.waitForTimeout(500);
  await page.locator(".timeline").focus();
  const said = [];
  for (const key of ["ArrowDown", "ArrowDown", "ArrowLeft", "Home", "End"]) {
    await page.keyboard.press(key);
    await page.waitForTimeout(50);
    said.push(await page.locator(".timeline output").innerText());
  }
  // Colours that are really drawn, in the row of the sum.
  const drawn = await page.evaluate(() => {
    const c = document.querySelector(".timeline .head");
    const d = c.getContext("2d").getImageData(0, Math.floor(c.height * 0.8), c.width, 1).data;
    const all = new Set();
    for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255) all.add(`${d[i]},${d[i + 1]},${d[i + 2]}`);
    return all.size;
  });
  const generations = await rows(page, "Generations");
  const drift = await page.locator(".drift-card").innerText();
  const numbers = await tiles(page);
  await page.getByRole("radio", { name: "Table" }).check();
  await page.waitForFunction(() => document.querySelectorAll('.scroll[aria-label="Runs of batches by partition"] tbody tr').length > 1);
  const linked = await page.evaluate(() => location.hash);
  const runs = await rows(page, "Runs of batches by partition");
  return { said, drawn, generations, drift, tiles: numbers, runs, linked };
}

async function answersView(page, key) {
  await go(page, "answers", () => document.querySelector(".key-field input"));
  // As somebody types: the beginning of a key, down, enter.
  await page.locator(".key-field input").click();
  await page.keyboard.type(key.typed);
  await page.waitForFunction(() => document.querySelectorAll("[role=option]").length > 0);
  const options = await page.$$eval("[role=option] .mono", (all) => all.map((o) => o.textContent));
  const active = () => page.evaluate(() => document.getElementById(document.querySelector("[role=combobox]").getAttribute("aria-activedescendant"))?.querySelector(".mono").textContent);
  const passed = [];
  while (passed.at(-1) !== key.wanted && passed.length < 50) {
    await page.keyboard.press("ArrowDown");
    passed.push(await active());
  }
  await page.keyboard.press("Enter");
  await page.waitForSelector(".answer .struct");
  const value = () => page.$$eval(".answer .member", (all) => Object.fromEntries(all.map((m) => [m.querySelector("dt").textContent, m.querySelector("dd").textContent])));
  const first = await value();
  const coverage = await texts(page, ".coverage li");
  const linked = await page.evaluate(() => location.hash);
  const explained = async () => {
    await page.getByRole("button", { name: "Why this number?" }).click();
    await page.waitForSelector(".why-table tbody tr");
    return page.$$eval(".why-table tbody tr", (all) => all.map((r) => [...r.children].map((c) => c.textContent.trim())));
  };
  const why = await explained();
  // It goes on by itself.
  await starter("append");
  await page.waitForFunction((before) => document.querySelector(".answer .member dd").textContent !== before, Object.values(first)[0], { timeout: 30_000 });
  const then = await value();
  // A link repeats the query.
  const other = await open();
  await other.goto(`${url}/${linked}`);
  await other.waitForSelector(".answer .struct");
  const again = await other.$$eval(".answer .member dd", (all) => all.map((m) => m.textContent)[0]);
  await other.context().close();
  // A key that both layers have a part of.
  await go(page, `answers?store=${key.store}&key=${encodeURIComponent(key.mixed)}`);
  await page.waitForSelector(".answer .struct");
  const mixed = { flights: (await value()).flights, why: await explained() };
  // A key that is markup is a text.
  await go(page, `answers?store=${key.store}&key=${encodeURIComponent(key.hostile)}`);
  await page.waitForSelector(".answer .struct, .answer .absent");
  const hostile = { title: await page.locator(".answer h2").innerText(), value: (await value()).flights, scripts: await page.locator("main script, main img").count(), ran: await page.evaluate(() => window.pwned === true) };
  await go(page, `answers?store=${key.store}&what=list`);
  await page.waitForSelector(".answer table");
  const listed = (await rows(page, "Keys and values")).map((r) => r[0]);
  await go(page, `answers?store=${key.store}&what=top&n=3`);
  await page.waitForSelector(".answer table");
  const top = await rows(page, "Keys and values");
  await go(page, `answers?store=${key.store}&key=nokey`);
  await page.waitForSelector(".refused");
  const refused = await page.locator(".refused").innerText();
  await go(page, `answers?store=${key.store}&key=${encodeURIComponent("ZZZ,2001-01-01")}`);
  await page.waitForSelector(".answer .absent");
  const absent = await page.locator(".answer .absent").innerText();
  return { options, passed, first, then, again, coverage, why, mixed, linked, hostile, listed, top, refused, absent };
}

async function windows(page, { address }) {
  own.add(new URL(address).host);
  await page.goto(`${address}/#/answers?store=by-page&key=${encodeURIComponent("/x")}&last=30h&every=1h&end=1995-08-02T06:00:00Z`);
  await page.waitForSelector(".chart .bar");
  const bars = await page.locator(".chart .bar").count();
  const none = await page.locator(".chart .absent").count();
  await page.locator(".chart-room").focus();
  await page.keyboard.press("End");
  const said = await page.locator(".chart-tip").innerText();
  await page.getByRole("radio", { name: "visitors" }).check();
  await page.waitForTimeout(200);
  await shot(page, "windows");
  return { bars, none, said, rows: await rows(page, "Windows") };
}

async function health(page) {
  await go(page, "health", () => document.querySelectorAll(".checks li").length && document.querySelectorAll(".log > div").length);
  const checks = await page.$$eval(".checks li", (all) => all.map((l) => [l.querySelector("svg").getAttribute("aria-label"), l.innerText]));
  const metrics = await texts(page, ".metrics li");
  const lines = await page.$$eval(".log > div", (all) => all.map((l) => l.textContent));
  await page.locator(".filter input").fill("no line has this");
  const sifted = await page.$$eval(".log > div", (all) => all.filter((l) => !l.hidden).length);
  return { checks, metrics, lines, sifted };
}

/** What the small parts say by themselves: large integers, keys with commas, and the time line with 10,000 batches of 256 partitions. */
async function parts(page) {
  await go(page, "job", () => document.querySelector(".tile"));
  return page.evaluate(async () => {
    const { parse } = await import("/console/api.js");
    const { num } = await import("/console/format.js");
    const { keyText, typed, valueOf } = await import("/console/schema.js");
    const { timeline } = await import("/console/timeline.js");
    const { sums } = await import("/console/states.js");
    const numbers = ['{"a":18446744073709551615,"b":"9007199254740993","c":[-9223372036854775808,1.5e300,0.30000000000000004]}', '"\\"1234567890123456789\\""'].map((t) => { const v = parse(t); return typeof v === "string" ? v : [num(v.a), v.b, num(v.c[0]), typeof v.c[1], v.c[2]]; });
    const keys = [keyText(["a,b", "c\\d", 7]), keyText("a,b"), JSON.stringify(typed("a\\,b,c", ["text", "text"]))];
    const schema = valueOf("S{a:u64,b?:map<text,(u64,i64)>,c:hll/12/xxh3}").fields.map((f) => `${f.name} ${f.schema}`);
    const states = ["dropped", "published", "archived", "sealed", "open"];
    const partitions = Array.from({ length: 256 }, (_, p) => {
      const runs = [];
      let at = 0;
      // Every third partition changes its state at each batch: as bad as it gets.
      if (p % 3 === 0) for (; at < 10_000; at++) runs.push({ from: at, to: at + 1, state: at % 5 === 0 ? "hole" : states[at % 5] });
      else for (const [i, to] of [4000, 9900 + (p % 7), 9960, 9990, 10_000].entries()) { runs.push({ from: at, to, state: states[i] }); at = to; }
      return { partition: p, frontier: 9990, applied: 1, end: 1, lag: 0, drop_before: 4000, runs };
    });
    // Bounds are drawn where a value is an estimate.
    const { chart } = await import("/console/chart.js");
    const plot = chart("estimates");
    document.querySelector("main").prepend(plot.node);
    await new Promise((r) => setTimeout(r, 100));
    plot.show([{ from: 0, to: 10, value: 5, low: 4, high: 6 }, { from: 10, to: 20, value: 3, low: 3, high: 3 }, { from: 20, to: 30, value: null, low: null, high: null }]);
    const plotted = ["bar", "whisker", "absent"].map((c) => plot.node.querySelectorAll(`.${c}`).length);
    plot.stop();
    plot.node.remove();
    const line = timeline();
    document.querySelector("main").prepend(line.node);
    const frame = () => new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
    await frame();
    const times = [];
    const timed = async (what) => { const t = performance.now(); what(); await frame(); times.push(performance.now() - t); };
    await timed(() => line.show({ source: "s", batch_ms: null, first: 0, last: 9999, running: 9999, partitions }));
    await timed(() => line.fit());
    await timed(() => line.zoom(0.5));
    line.node.focus();
    line.node.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
    line.node.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
    line.node.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
    const said = line.node.querySelector("output").textContent;
    const whole = sums(partitions);
    line.stop();
    line.node.remove();
    return { numbers, keys, schema, plotted, times, said, bounds: whole.length, last: [...whole.at(-1).counts] };
  });
}

async function looks() {
  const views = ["job", "handover", `answers?store=by-origin-day&key=${encodeURIComponent("ATL,2001-01-02")}`, "health"];
  for (const scheme of ["light", "dark"]) {
    for (const width of [1400, 700]) {
      const page = await open({ scheme, width });
      for (const view of views) {
        const name = `${view.split("?")[0]}-${scheme}-${width}`;
        await go(page, view, () => document.querySelector("main .view"));
        await page.waitForTimeout(2200);
        if (view.startsWith("answers")) {
          await page.getByRole("button", { name: "Why this number?" }).click();
          await page.waitForSelector(".why-table tbody tr");
        }
        await shot(page, name);
        if (width === 1400) await accessible(page, name);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) seen.errors.push(`${name} is ${over} pixels wider than the window`);
      }
      await page.context().close();
    }
  }
}

async function gone(page) {
  await go(page, "job", () => document.querySelector(".tile .value")?.textContent !== "\u2013");
  await starter("stop the server");
  await page.waitForSelector(".banner:not([hidden])", { timeout: 20_000 });
  const banner = await page.locator(".banner .said").innerText();
  await shot(page, "gone");
  await starter("start the server");
  await page.waitForSelector(".banner", { state: "hidden", timeout: 40_000 });
  const link = await page.locator("#link .said").innerText();
  await page.waitForTimeout(1500);
  return { banner, link, tiles: await tiles(page) };
}

/** With a token to read and another to act. */
async function guarded(page, { read, admin, address }) {
  own.add(new URL(address).host);
  await page.goto(`${address}/#/handover`);
  await page.waitForSelector("dialog[open] input");
  const asked = await page.locator("dialog h2").innerText();
  await accessible(page, "token");
  await page.keyboard.type("not-the-right-token");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("dialog[open] p")?.textContent.includes("not one of its tokens"));
  await page.keyboard.type(read);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll('.scroll[aria-label="Generations"] tbody tr:not(.none)').length > 0);
  const before = await rows(page, "Generations");
  // Who may only read is told why he sees no record.
  const to = (view) => page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
  await to("job");
  await page.getByText("Only with an admin token").waitFor();
  const locked = { shown: await page.locator(".samples li").count(), said: await page.locator(".nothing", { hasText: "admin token" }).innerText() };
  await shot(page, "locked");
  await to("handover");
  await page.getByRole("button", { name: "Roll back" }).first().click();
  const field = page.locator("dialog input");
  await field.fill(read);
  await field.press("Enter");
  await page.waitForSelector("dialog .refused");
  const refused = await page.locator("dialog .refused").innerText();
  const planned = await page.locator("dialog ol li").count();
  await field.fill(admin);
  await field.press("Enter");
  await page.waitForSelector("dialog ol li");
  const plan = await texts(page, "dialog ol li");
  await accessible(page, "plan");
  await shot(page, "plan");
  const same = await rows(page, "Generations");
  await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
  await page.waitForSelector("dialog .done");
  const done = await page.locator("dialog .done").innerText();
  await page.keyboard.press("Escape");
  await page.waitForTimeout(1000);
  const after = await rows(page, "Generations");
  // The token that was given once opens the records as well.
  await to("job");
  await page.waitForSelector(".samples li");
  const opened = await page.locator(".samples li").count();
  return { asked, before, locked, plan, planned, refused, same, done, after, opened };
}

/** A server that refuses for a while what it has answered, and then answers the same as before. */
async function refusedForAWhile(page) {
  await go(page, "handover", () => document.querySelector(".drift-card .lead")?.textContent && document.querySelector(".timeline canvas")?.width > 0);
  const before = await page.locator(".drift-card").innerText();
  const paths = ["handover", "generations", "drift"].map((view) => `**/v1/console/${view}*`);
  const body = JSON.stringify({ type: "about:blank", title: "Try again", status: 503, kind: "try_again", detail: "the bucket does not answer", repair: "ask again" });
  for (const path of paths) await page.route(path, (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body }));
  await page.waitForFunction(() => document.querySelectorAll(".drift-card .refused").length && document.querySelectorAll(".refused").length > 1 && document.querySelector(".silent:not([hidden])"), undefined, { timeout: 30_000 });
  const said = await page.locator(".silent").innerText();
  for (const path of paths) await page.unroute(path);
  await page.waitForFunction(() => !document.querySelector(".refused") && !document.querySelector(".silent:not([hidden])"), undefined, { timeout: 60_000 });
  return { said, before, after: await page.locator(".drift-card").innerText() };
}

/** A server whose archive takes questions and says nothing. */
async function far(page, { address }) {
  own.add(new URL(address).host);
  await page.goto(`${address}/#/handover`);
  await page.waitForFunction(() => document.querySelector(".silent:not([hidden])") && document.querySelectorAll('.scroll[aria-label="Generations"] tbody tr:not(.none)').length, undefined, { timeout: 30_000 });
  const said = await page.locator(".silent").innerText();
  const told = await tiles(page);
  const generations = await rows(page, "Generations");
  await accessible(page, "far");
  await shot(page, "far");
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "far-dark");
  await shot(page, "far-dark");
  await page.getByRole("radio", { name: "Table" }).check();
  await page.waitForFunction(() => document.querySelectorAll('.scroll[aria-label="Runs of batches by partition"] tbody tr').length > 0);
  return { said, tiles: told, generations, runs: await rows(page, "Runs of batches by partition") };
}

try {
  const page = await open();
  const key = JSON.parse(await starter("key"));
  seen.job = await job(page);
  seen.handover = await handover(page);
  seen.answers = await answersView(page, key);
  seen.windows = await windows(await open(), JSON.parse(await starter("windows")));
  seen.health = await health(page);
  seen.parts = await parts(page);
  await looks();
  seen.again = await refusedForAWhile(page);
  seen.far = await far(await open(), JSON.parse(await starter("far")));
  seen.gone = await gone(page);
  seen.guarded = await guarded(await open(), JSON.parse(await starter("guard")));
} catch (error) {
  seen.failed = error.stack;
  for (const context of browser.contexts()) for (const page of context.pages()) await page.screenshot({ path: `${pictures}/failed.png` }).catch(() => {});
}
await browser.close();
console.log(`= ${JSON.stringify(seen)}`);
process.exit(0);
