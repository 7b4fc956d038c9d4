// Before anything is painted: light or dark, as chosen here, else as the system has it.
(() => {
  let choice = null;
  try { choice = localStorage.getItem("rufous.theme"); } catch { /* No storage: as the system has it. */ }
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
})();
