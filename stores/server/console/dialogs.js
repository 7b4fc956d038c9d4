// What stands over a view until somebody says something: the token, and what an action will do.

import { Refused, post } from "./api.js";
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
/** Asks for the token of reads. */
export function askToken({ title, text, done }) {
  if (asking) return;
  const heading = id("asked");
  const [input, field] = tokenField("Token");
  const form = h("form", { onsubmit: (e) => {
    e.preventDefault();
    const given = input.value.trim();
    if (!given) return;
    asking.close();
    asking = null;
    done(given);
  } }, h("h2", { id: heading }, title), h("p", {}, text), field, h("div", { class: "buttons" }, h("button", { class: "main" }, "Use it")));
  asking = dialog(form);
  asking.setAttribute("aria-labelledby", heading);
  // Nothing can be shown without it.
  asking.addEventListener("cancel", (e) => e.preventDefault());
  input.focus();
}

const ADMIN = "rufous.admin";
const stored = () => { try { return sessionStorage.getItem(ADMIN) ?? ""; } catch { return ""; } };
const store = (text) => { try { sessionStorage.setItem(ADMIN, text); } catch { /* Asked for again. */ } };

/** Says what an action would do, and does it when that is confirmed. `then` is told once it is done. */
export async function act(name, title, args, then) {
  const heading = id("act");
  const body = h("div", { class: "plan", "aria-live": "polite" }, h("p", { class: "quiet" }, "Asking what it would do \u2026"));
  const [input, field] = tokenField("Admin token");
  input.value = stored();
  const go = h("button", { class: "main danger", disabled: true }, title);
  const close = h("button", { type: "button", class: "plain", onclick: () => over.close() }, "Leave it");
  let confirm = null;
  const failed = (e) => {
    put(body, h("p", { class: "refused" }, h("strong", {}, e.title ?? "Not done"), h("br"), e.message), e.repair && h("p", { class: "quiet" }, e.repair));
    go.disabled = true;
  };
  const plan = async () => {
    try {
      const plan = await post("/v1/console/plan", { action: name, ...args });
      confirm = plan.confirm;
      put(body, h("p", {}, "This will happen:"), h("ol", {}, plan.says.map((line) => h("li", {}, line))));
      go.disabled = false;
    } catch (e) { failed(e); }
  };
  const form = h("form", { onsubmit: async (e) => {
    e.preventDefault();
    if (!confirm) return;
    go.disabled = true;
    store(input.value.trim());
    try {
      const answer = await post("/v1/console/act", { confirm }, { bearer: input.value.trim() });
      put(body, h("p", { class: "done" }, h("span", { class: "sign good", "aria-hidden": "true" }), answer.done));
      announce(answer.done);
      field.hidden = go.hidden = true;
      close.textContent = "Close";
      close.focus();
      then?.();
    } catch (error) {
      failed(error);
      input.focus();
      if (error instanceof Refused && error.status === 409) body.append(h("p", {}, h("button", { type: "button", onclick: plan }, "Ask again what it would do")));
      else go.disabled = !(error instanceof Refused && [401, 403].includes(error.status));
    }
  } }, h("h2", { id: heading }, title), body, field, h("div", { class: "buttons" }, close, go));
  const over = dialog(form);
  over.setAttribute("aria-labelledby", heading);
  close.focus();
  await plan();
}

/** A button for an action; without an admin token of the server it says what is missing. */
export function actionButton(job, name, title, args, then) {
  if (job.actions) return h("button", { type: "button", class: "small", onclick: () => act(name, title, args, then) }, title);
  return h("button", { type: "button", class: "small", "aria-disabled": "true", title: "Read only: the server has no admin token. Start `serve` with one to allow this." }, title);
}
