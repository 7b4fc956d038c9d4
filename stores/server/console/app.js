// The shell: which view is shown, who is connected, light or dark.

import { again, events, get, hasToken, link, remember } from "./api.js";
import { announce, h, put, say, set } from "./dom.js";
import { mountJob } from "./job.js";
import { askToken } from "./dialogs.js";
import { span } from "./format.js";

const VIEWS = {
  job: { title: "Job", mount: async () => mountJob },
  handover: { title: "Hand-over", mount: async () => (await import("./handover.js")).mountHandover },
  answers: { title: "Answers", mount: async () => (await import("./answers.js")).mountAnswers },
  health: { title: "Health", mount: async () => (await import("./health.js")).mountHealth },
};
const main = document.getElementById("main");
/** So long a view waits for its first answers before it is shown without them. */
const PATIENCE = 400;

/** What the job is; asked once, and again when the server was gone. */
let job = null;
function described(signal) {
  job ??= get("/v1/console/job", { signal }).catch(async (error) => {
    if (error.status !== 404) { job = null; throw error; }
    // A server in somebody's own program shows no job: its answers can be looked at all the same.
    const { job: name, instance, stores } = await get("/v1/stores", { signal });
    return { job: name, instance, stores, unobserved: true, actions: false, graph: { nodes: [], edges: [] }, sources: [] };
  });
  return job;
}

let shown = null;
async function show(first) {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const name = path in VIEWS ? path : "job";
  shown?.abort();
  shown = new AbortController();
  const { signal } = shown;
  for (const a of document.querySelectorAll("#nav a")) set(a, "aria-current", a.hash === `#/${name}` ? "page" : null);
  document.title = `${VIEWS[name].title} \u00b7 Rufous`;
  main.classList.add("entering");
  try {
    const [mount, described_] = await Promise.all([VIEWS[name].mount(), described(signal)]);
    if (signal.aborted) return;
    say(document.getElementById("job-name"), described_.job);
    const instance = document.getElementById("job-instance");
    say(instance, described_.instance);
    instance.hidden = false;
    document.title = `${VIEWS[name].title} \u00b7 ${described_.job} \u00b7 Rufous`;
    const root = h("div", { class: `view ${name}` });
    // What is known at once is shown at once, in its place.
    const ready = mount(root, { job: described_, params: new URLSearchParams(query ?? ""), signal });
    await Promise.race([ready, new Promise((r) => setTimeout(r, PATIENCE))]);
    if (signal.aborted) return;
    put(main, root);
    performance.mark(`view:${name}`);
    if (!first) { main.focus({ preventScroll: true }); scrollTo(0, 0); announce(`${VIEWS[name].title} is shown`); }
  } catch (error) {
    if (signal.aborted) return;
    if (!error.status && link.up !== false) console.error(error);
    put(main, h("div", { class: "view" }, h("section", { class: "card empty" },
      h("h1", {}, link.up === false ? "The server does not answer" : "This view cannot be shown"),
      h("p", {}, error.message), error.repair && h("p", { class: "quiet" }, error.repair),
      link.up === false ? h("p", { class: "quiet" }, "The page tries again by itself.") : h("button", { type: "button", onclick: () => show(first) }, "Try again"))));
    events.addEventListener("again", () => show(first), { once: true, signal });
    if (link.up === false) setTimeout(() => signal.aborted || again(), Math.max(500, link.until - performance.now()));
  } finally {
    main.classList.remove("entering");
  }
}

/** Whether the server answers: a word in the bar, and a banner when it does not. */
const banner = document.getElementById("banner");
const said = h("span", { class: "said" });
const countdown = h("span", { class: "countdown", "aria-hidden": "true" });
put(banner, h("span", { class: "sign bad", "aria-hidden": "true" }), said, countdown,
  h("button", { type: "button", class: "plain", onclick: again }, "Try now"));
function connection() {
  const bar = document.getElementById("link");
  const state = link.up === null ? "connecting" : link.up ? "connected" : "no answer";
  set(bar, "data-state", state);
  say(bar.querySelector(".said"), state);
  if (banner.hidden !== (link.up !== false)) banner.hidden = link.up !== false;
  if (link.up === false) {
    say(said, "The server does not answer. What is shown is from before.");
    const left = link.until - performance.now();
    say(countdown, left > 0 ? `next try in ${span(Math.ceil(left / 1000) * 1000)}` : "trying");
  }
}
let ticking = null;
events.addEventListener("down", () => {
  connection();
  job = null;
  ticking ??= setInterval(connection, 1000);
});
events.addEventListener("up", () => {
  connection();
  clearInterval(ticking);
  ticking = null;
});
events.addEventListener("token", () => askToken({
  title: "This server asks for a token",
  text: hasToken() ? "The token that was given is not one of its tokens." : "Give one of the tokens of its file. It is kept until this tab is closed.",
  done: remember,
}));

const themes = ["auto", "light", "dark"];
const themeButton = document.getElementById("theme");
function theme(step) {
  const root = document.documentElement;
  const at = themes.indexOf(root.dataset.theme ?? "auto");
  const next = themes[(at + step) % themes.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try { localStorage.setItem("rufous.theme", next); } catch { /* Until the page is closed. */ }
  say(themeButton.querySelector(".theme-said"), next);
  set(themeButton, "aria-label", `Colours: ${next}${next === "auto" ? ", as the system has them" : ""}`);
  if (step) dispatchEvent(new Event("recolour"));
}
themeButton.addEventListener("click", () => theme(1));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("recolour")));
theme(0);

addEventListener("hashchange", () => show(false));
// The skip link is no view.
document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); main.focus(); });
show(true);
