// Records and the log: not all who may read may see them.

import { adminToken, events, poll, rememberAdmin } from "./api.js";
import { askToken } from "./dialogs.js";
import { h } from "./dom.js";
import { nothing, refusal } from "./parts.js";

function locked() {
  const ask = () => askToken({ title: "Records and the log", text: "They may hold anything, so this server shows them only to who may change something. The token is kept until this tab is closed.", label: "Admin token", leave: true, done: rememberAdmin });
  return h("div", { class: "nothing" }, h("p", { class: "lead" }, "Only with an admin token"),
    h("p", { class: "quiet" }, "This server shows records and the log to those alone who may change something."),
    h("p", { class: "next" }, h("button", { type: "button", class: "small", onclick: ask }, "Give the token")));
}

/** Asks as `poll` does, as soon as one may see it: `instead(node)` is told what stands there until then, and nothing once it is shown. */
export function pollRecords(job, path, every, signal, show, instead) {
  const alone = job.records === "admin";
  let asked = null;
  function begin() {
    asked?.abort();
    if (signal.aborted) return undefined;
    if (job.records === "none") { instead(nothing("Not shown here", "This server shows nobody records and the log (`serve.records`). The log of a process is on its own standard error.")); return undefined; }
    if (alone && !adminToken()) { instead(locked()); return undefined; }
    asked = new AbortController();
    return poll(path, every, asked.signal, (answer) => { instead(null); show(answer); }, (error) => {
      if (alone && [401, 403].includes(error.status)) rememberAdmin(null);
      else if (error.status) instead(refusal(error));
    }, alone ? adminToken : undefined);
  }
  events.addEventListener("admin", begin);
  signal.addEventListener("abort", () => { events.removeEventListener("admin", begin); asked?.abort(); });
  return Promise.resolve(begin());
}
