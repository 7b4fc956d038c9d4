// What stands over a view until somebody says something: the token, and what an action will do.

import { adminToken, post, rememberAdmin } from "./api.js";
import { announce, h, id, put } from "./dom.js";

function dialog(...children) {
  const node = h("dialog", { class: "dialog" }, ...children);
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
  return node;
}

function tokenField(about) {
  const field = id("token");
  const input = h("input", { id: field, type: "password", autocomplete: "off", spellcheck: "false", required: true, class: "mono" });
  return [input, h("div", { class: "field" }, h("label", { for: field }, about), input)];
}

let asking = null;
/** Asks for a token. Without `leave` there is no way around it. */
export function askToken({ title, text, label = "Token", leave = false, done }) {
  if (asking) return;
  const heading = id("asked");
  const [input, field] = tokenField(label);
  const over = () => { asking.close(); asking = null; };
  const form = h("form", { onsubmit: (e) => {
    e.preventDefault();
    const given = input.value.trim();
    if (!given) return;
    over();
    done(given);
  } }, h("h2", { id: heading }, title), h("p", {}, text), field,
    h("div", { class: "buttons" }, leave && h("button", { type: "button", class: "plain", onclick: over }, "Leave it"), h("button", { class: "main" }, "Use it")));
  asking = dialog(form);
  asking.setAttribute("aria-labelledby", heading);
  // Nothing can be shown without it.
  asking.addEventListener("cancel", (e) => { if (leave) asking = null; else e.preventDefault(); });
  input.focus();
}

const ASKS = "Show what would happen";

/** Says what an action would do, to who may do it, and does it when that is confirmed. `then` is told once it is done. */
export async function act(name, title, args, then) {
  const heading = id("act");
  const body = h("div", { class: "plan", "aria-live": "polite" }, h("p", {}, "Give a token of those who may change something."), h("p", { class: "quiet" }, "Nothing is done yet: first you are told what would happen."));
  const [input, field] = tokenField("Admin token");
  input.value = adminToken() ?? "";
  const go = h("button", { class: "main" }, ASKS);
  const close = h("button", { type: "button", class: "plain", onclick: () => over.close() }, "Leave it");
  let confirm = null;
  const failed = (e) => {
    confirm = null;
    const unknown = [401, 403].includes(e.status);
    if (unknown && adminToken()) rememberAdmin(null);
    put(body, h("p", { class: "refused" }, h("strong", {}, unknown ? "This token may not change anything" : (e.title ?? "Not done")), h("br"), e.message), e.repair && h("p", { class: "quiet" }, e.repair));
    // Who insists may go back in time for a while: the plan says by how much.
    if (name === "switch" && !args.behind && e.kind === "try_again" && e.status !== 409) {
      body.append(h("p", {}, h("button", { type: "button", onclick: () => { args = { ...args, behind: true }; plan(); } }, "Show what would happen though it is behind")));
    }
    field.hidden = !unknown;
    go.textContent = unknown ? ASKS : "Ask again what would happen";
    go.classList.remove("danger");
    go.disabled = false;
    (unknown ? input : close).focus();
  };
  async function plan() {
    const bearer = input.value.trim();
    go.disabled = true;
    put(body, h("p", { class: "quiet" }, "Asking what it would do \u2026"));
    try {
      const plan = await post("/v1/console/plan", { action: name, ...args }, { bearer });
      rememberAdmin(bearer);
      confirm = plan.confirm;
      put(body, h("p", {}, "This will happen:"), h("ol", {}, plan.says.map((line) => h("li", {}, line))));
      field.hidden = true;
      go.textContent = title;
      go.classList.add("danger");
      go.disabled = false;
      close.focus();
    } catch (e) { failed(e); }
  }
  const form = h("form", { onsubmit: async (e) => {
    e.preventDefault();
    if (!confirm) { await plan(); return; }
    go.disabled = true;
    try {
      const answer = await post("/v1/console/act", { confirm }, { bearer: input.value.trim() });
      put(body, h("p", { class: "done" }, h("span", { class: "sign good", "aria-hidden": "true" }), answer.done));
      announce(answer.done);
      go.hidden = true;
      close.textContent = "Close";
      close.focus();
      then?.();
    } catch (error) { failed(error); }
  } }, h("h2", { id: heading }, title), body, field, h("div", { class: "buttons" }, close, go));
  const over = dialog(form);
  over.setAttribute("aria-labelledby", heading);
  if (input.value) await plan();
  else input.focus();
}

/** A button for an action; without an admin token of the server it says what is missing. */
export function actionButton(job, name, title, args, then) {
  if (job.actions) return h("button", { type: "button", class: "small", onclick: () => act(name, title, args, then) }, title);
  return h("button", { type: "button", class: "small", "aria-disabled": "true", title: "Read only: the server has no admin token. Start `serve` with one to allow this." }, title);
}
