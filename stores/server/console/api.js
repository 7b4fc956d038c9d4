// Asking the server: the token, what fails, and how often to try again.

/** What a server said no with: its words, and the repair. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? `the server answered ${status}`);
    Object.assign(this, { status, title: problem?.title, repair: problem?.repair, kind: problem?.kind });
  }
}
/** Nobody answered. */
export class Gone extends Error {}

const TOKEN = "rufous.token";
const kept = (name) => { try { return sessionStorage.getItem(name); } catch { return null; } };
let token = kept(TOKEN);

/** What happens to the connection, for who shows it: `up`, `down`, `token`. */
export const events = new EventTarget();
export const link = { up: null, tries: 0, until: 0, last: 0 };
const tell = (name) => events.dispatchEvent(new Event(name));

/** The token from now on; none forgets it. */
export function remember(text) {
  token = text || null;
  try {
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
  } catch { /* Kept as long as the page is. */ }
  tell("remembered");
}
export const hasToken = () => token !== null;

const ADMIN = "rufous.admin";
let admin = kept(ADMIN);
/** The token of those who may change something: it is sent with what needs it, and with nothing else. */
export const adminToken = () => admin;
export function rememberAdmin(text) {
  admin = text || null;
  try {
    if (admin) sessionStorage.setItem(ADMIN, admin);
    else sessionStorage.removeItem(ADMIN);
  } catch { /* Kept as long as the page is. */ }
  tell("admin");
}

function answered() {
  const news = link.up !== true;
  Object.assign(link, { up: true, tries: 0, until: 0, last: performance.now() });
  if (news) tell("up");
}
function silent() {
  if (link.up === false && performance.now() < link.until) return;
  link.up = false;
  link.tries += 1;
  link.until = performance.now() + Math.min(15_000, 500 * 2 ** Math.min(link.tries, 6)) * (0.8 + 0.4 * Math.random());
  tell("down");
}
/** Tries again now. */
export function again() {
  link.until = 0;
  tell("again");
}

const TOKEN_OF_JSON = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LARGE = /^-?\d{16,}$/;
const MARK = "\u0001integer:";
/** JSON, in which integers too large for a number are BigInt. */
export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKEN_OF_JSON, (found) => (LARGE.test(found) ? `"\\u0001integer:${found}"` : found));
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== "string" || !value.startsWith(MARK)) return value;
    const digits = value.slice(MARK.length);
    if (!/^-?\d+$/.test(digits)) return value;
    const number = Number(digits);
    return Number.isSafeInteger(number) ? number : BigInt(digits);
  });
}

let asked = null;
/** Waits until somebody gives a token; all who were refused wait for the same one. */
function wanted(signal) {
  asked ??= new Promise((resolve) => {
    events.addEventListener("remembered", () => { asked = null; resolve(); }, { once: true });
    tell("token");
  });
  return signal ? Promise.race([asked, new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason), { once: true }))]) : asked;
}

/** What `early.js` asked before there were modules: each answer is taken once, and none that had time to grow old. */
const early = globalThis.rufousEarly ?? new Map();
function taken(path) {
  const answer = performance.now() < 3000 ? early.get(path) : undefined;
  early.delete(path);
  return answer;
}

/** A response, whatever its status is, unless nobody answers or a token is missing (then it waits for one). */
export async function request(path, { method = "GET", body, signal, accept = "application/json", bearer } = {}) {
  for (;;) {
    if (asked && !bearer) await wanted(signal);
    const used = bearer ?? token;
    const headers = { accept };
    if (used) headers.authorization = `Bearer ${used}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let response;
    try {
      const begun = method === "GET" && !bearer ? taken(path) : undefined;
      response = await (begun ?? fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-cache", credentials: "omit" }));
    } catch (error) {
      if (signal?.aborted) throw error;
      silent();
      throw new Gone("the server does not answer");
    }
    answered();
    if (response.status !== 401 || bearer) return response;
    if (used !== token) continue;
    await wanted(signal);
  }
}

async function refused(response) {
  let problem = null;
  try { problem = parse(await response.text()); } catch { /* No words of its own. */ }
  return new Refused(response.status, problem);
}

/** The JSON at a path. */
export async function get(path, options) {
  const response = await request(path, options);
  if (!response.ok) throw await refused(response);
  return parse(await response.text());
}
/** The answer to a body. */
export const post = (path, body, options) => get(path, { method: "POST", body, ...options });

/**
 * Asks again and again while `signal` lasts and the page is seen: `show(answer)` or `fail(error)` each time. Between two stands `every`,
 * or what is left until the next try when nobody answers. Resolves when the first answer was shown, or was none. `bearer()` is another
 * token than the usual one.
 */
export function poll(path, every, signal, show, fail, bearer) {
  return new Promise((first) => {
    (async () => {
      while (!signal.aborted) {
        if (document.hidden) await once(document, "visibilitychange", signal);
        else {
          try {
            const answer = await get(typeof path === "function" ? path() : path, { signal, bearer: bearer?.() });
            if (!signal.aborted) show(answer);
          } catch (error) {
            if (signal.aborted) break;
            fail?.(error);
            if (!(error instanceof Gone) && !(error instanceof Refused)) console.error(error);
          }
          first();
          const rest = link.up === false ? Math.max(every, link.until - performance.now()) : every;
          await once(events, "again", signal, rest);
        }
      }
      first();
    })();
  });
}

/** Waits for an event, for so long at most. */
export function once(target, name, signal, ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      target.removeEventListener(name, done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = ms === undefined ? undefined : setTimeout(done, ms);
    target.addEventListener(name, done);
    signal.addEventListener("abort", done);
  });
}

/** A stream of events: `each(name, data)`, as long as it lasts. */
export async function stream(path, signal, each) {
  const response = await request(path, { signal, accept: "text/event-stream" });
  if (!response.ok) throw await refused(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const of = (name) => lines.filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).replace(/^ /, "")).join("\n");
      const data = of("data");
      if (data) each(of("event") || "message", parse(data));
    }
  }
}
