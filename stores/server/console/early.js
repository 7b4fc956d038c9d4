// Before anything is painted: light or dark, as chosen here, else as the system has it. And the questions of the first view, whose answers
// come while the modules still do: `rufousEarly` has each answer by its path, for `api.js` to take once.
(() => {
  let choice = null;
  let token = null;
  try { choice = localStorage.getItem("rufous.theme"); } catch { /* No storage: as the system has it. */ }
  try { token = sessionStorage.getItem("rufous.token"); } catch { /* None is kept. */ }
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;

  const early = new Map();
  window.rufousEarly = early;
  const ask = (path) => {
    const headers = { accept: "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = fetch(path, { headers, cache: "no-cache", credentials: "omit" });
    // Who takes it is told why it failed; nobody may take it.
    answer.catch(() => {});
    early.set(path, answer);
    return answer;
  };
  const job = ask("/v1/console/job");
  if (!/^(#\/?(job)?(\?.*)?)?$/.test(location.hash)) return;
  ask("/v1/console/live");
  job.then((answer) => answer.clone().json()).then((said) => {
    // Records are for those alone who may see them.
    if (early.size && !["admin", "none"].includes(said.records)) ask("/v1/console/samples?kind=bad&limit=20");
  }).catch(() => {});
})();
