// What the address says: a view, and what is asked there. Every state worth keeping can be linked.

/** The hash of a view with what is asked there. */
export function place(view, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, v]) => v !== null && v !== undefined && v !== ""));
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

/** Changes what the address says, without mounting the view again. */
export const note = (view, params) => history.replaceState(null, "", place(view, params));
