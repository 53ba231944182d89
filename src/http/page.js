// Fetches the page again and swaps <main>, without losing the place; tells a screen reader when the heading
// changes, and says in words when the daemon can no longer be reached.
(() => {
  "use strict";
  const EVERY = 15000;
  const PATIENCE = 10000;
  const heard = document.getElementById("heard");
  const lost = document.getElementById("lost");
  let title = document.title;
  let pending = 0;
  let busy = false;

  const heading = (page) => page.querySelector("h1").textContent;
  const reached = (page) => page.getElementById("as-of").dataset.time;
  let since = reached(document);
  // A span that grows ("for 5 min") is no news.
  const span = /\d+[ \u00a0](s|min|h|d|с|мин|ч|дн\.)(?!\p{L})/gu;
  const news = (before, after) => before.replace(span, "") !== after.replace(span, "");
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // Somebody copies a text or types one: it stays until they are done.
  function isInUse(main) {
    const selected = getSelection();
    if (!selected.isCollapsed && main.contains(selected.anchorNode)) return true;
    return [...main.querySelectorAll("input")].some((field) => field.value !== field.defaultValue);
  }

  // What may have the focus, in a form that finds it again on the next page.
  const focusable = (main) => [...main.querySelectorAll("a[href], summary, input, button, [tabindex]")];
  function name(element, main) {
    if (element.id) return "#" + element.id;
    const key = (one) => one.tagName + (one.getAttribute("href") ?? one.parentElement?.id ?? "");
    const alike = focusable(main).filter((one) => key(one) === key(element));
    return key(element) + " " + alike.indexOf(element);
  }

  // The values of a chart, each in a column that shows its text. None is shown at -1.
  const columns = (chart) => [...chart.querySelectorAll("i")];
  function show(chart, place) {
    chart.querySelector(".shown")?.classList.remove("shown");
    columns(chart)[place]?.classList.add("shown");
    chart.classList.toggle("moved", place >= 0);
  }

  // The arrow keys show a chart's values one by one, as the pointer does.
  function walk(event) {
    const chart = event.target.closest(".values");
    const last = chart ? columns(chart).length - 1 : -1;
    if (last < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const shown = columns(chart).findIndex((one) => one.classList.contains("shown"));
    const at = shown < 0 ? last : shown;
    const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    if (!(event.key in places)) return;
    event.preventDefault();
    show(chart, Math.min(Math.max(places[event.key], 0), last));
    say(heard, chart.querySelector(".shown").textContent);
  }

  function swap(page) {
    const before = document.querySelector("main");
    const after = page.querySelector("main");
    const changed = news(heading(document), heading(page));
    if (!changed && isInUse(before)) return;
    for (const one of before.querySelectorAll("details[id]")) {
      const same = after.querySelector("#" + CSS.escape(one.id));
      if (same) same.open = one.open;
    }
    for (const one of before.querySelectorAll(".values .shown")) {
      const chart = after.querySelector("#" + one.parentElement.id);
      if (chart) show(chart, columns(one.parentElement).indexOf(one));
    }
    const active = document.activeElement;
    const focused = before !== active && before.contains(active) ? name(active, before) : "";
    const [x, y] = [scrollX, scrollY];
    before.replaceWith(document.adoptNode(after));
    if (focused) focusable(after).find((one) => name(one, after) === focused)?.focus({ preventScroll: true });
    scrollTo(x, y);
    title = page.title;
    if (changed) say(heard, heading(document));
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
      since = reached(page);
      swap(page);
      say(lost, "");
      document.title = title;
    } catch {
      say(lost, lost.dataset.text.replace("{}", since));
      document.title = lost.dataset.title + " – " + title;
    } finally {
      busy = false;
      pending = setTimeout(look, EVERY);
    }
  }

  document.addEventListener("keydown", walk);
  document.addEventListener("focusout", (event) => {
    if (event.target.matches(".values")) show(event.target, -1);
  });
  pending = setTimeout(look, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") look();
  });
})();
