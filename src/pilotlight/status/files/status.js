// Brings the page up to date in place; without this script "Reload" does it.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const pause = document.getElementById("pause");
  const every = Number(live.dataset.every);
  let paused = false;

  function keepPlace(change) {
    const scrolled = [...live.querySelectorAll(".wide")].map((each) => each.scrollLeft);
    const label = live.contains(document.activeElement)
      ? document.activeElement.getAttribute("aria-labelledby") : null;
    change();
    live.querySelectorAll(".wide").forEach((each, i) => { each.scrollLeft = scrolled[i] || 0; });
    if (label) live.querySelector(`[role=region][aria-labelledby="${label}"]`)?.focus();
  }

  async function refresh() {
    if (paused || document.hidden || String(getSelection())) return;
    try {
      const reply = await fetch("?live", { credentials: "same-origin", redirect: "error" });
      if (!reply.ok) throw new Error(String(reply.status));
      const text = await reply.text();
      keepPlace(() => { live.innerHTML = text; });
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }

  async function run() {
    await refresh();
    setTimeout(run, every);
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
  });
  setTimeout(run, every);
})();
