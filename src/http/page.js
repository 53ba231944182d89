// Fetches the page again and swaps <main>, without losing the place; tells a screen reader when the state
// changes, and says in words when the daemon can no longer be reached.
(() => {
  "use strict";
  const EVERY = 15000;
  const PATIENCE = 10000;
  const heard = document.getElementById("heard");
  const lost = document.getElementById("lost");
  let reached = new Date();
  let title = document.title;
  let pending = 0;
  let busy = false;

  const state = (page) => page.querySelector("h1").textContent;
  // A span that grows ("for 5 min") is no news.
  const news = (before, after) => before.replace(/\d+ (s|min|h|d)\b/g, "") !== after.replace(/\d+ (s|min|h|d)\b/g, "");
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  function swap(page) {
    const before = document.querySelector("main");
    const after = page.querySelector("main");
    const changed = news(state(document), state(page));
    const selected = getSelection();
    // Somebody is copying a text: it stays until they are done, or until the state is another.
    if (!changed && !selected.isCollapsed && before.contains(selected.anchorNode)) return;
    for (const one of before.querySelectorAll("details[open]")) {
      after.querySelector("#" + one.id)?.setAttribute("open", "");
    }
    const focused = before.contains(document.activeElement) ? document.activeElement.id : "";
    const [x, y] = [scrollX, scrollY];
    before.replaceWith(document.adoptNode(after));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    scrollTo(x, y);
    title = page.title;
    if (changed) say(heard, state(document));
  }

  async function look() {
    if (busy) return;
    busy = true;
    clearTimeout(pending);
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.querySelector("main h1")) throw new Error("not the page: HTTP " + answer.status);
      // Another version is running: its style and script are others.
      if (page.documentElement.dataset.version !== document.documentElement.dataset.version) return location.reload();
      swap(page);
      reached = new Date();
      say(lost, "");
      document.title = title;
    } catch {
      const since = reached.toISOString().slice(0, 19).replace("T", " ");
      say(lost, "The daemon has not been reached since " + since + " UTC. What is below was true then.");
      document.title = "Not reached – " + title;
    } finally {
      busy = false;
      pending = setTimeout(look, EVERY);
    }
  }

  pending = setTimeout(look, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") look();
  });
})();
