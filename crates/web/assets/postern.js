// What pages do better with a script than without. All of them work without it.
"use strict";

// The live part is not exchanged while somebody is in it, does not look, or has paused it.
let paused = false;
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = document.getElementById("live");
  if (event.target !== live) return;
  if (paused || document.hidden || live.contains(document.activeElement) || live.querySelector("details[open]")) event.preventDefault();
});

// A session that has ended leads to the login, in the whole page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401 || status === 403) window.location.reload();
});

document.addEventListener("DOMContentLoaded", () => {
  const pause = document.getElementById("pause");
  if (!pause) return;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
  });
});

// The box in the head of a table chooses all rows of the page.
const addPicker = (root) => {
  for (const head of root.querySelectorAll("th.pick")) {
    if (head.querySelector("input")) continue;
    const table = head.closest("table");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", "Choose all on this page");
    box.addEventListener("change", () => {
      for (const one of table.querySelectorAll("td.pick input")) one.checked = box.checked;
    });
    head.append(box);
  }
};
document.addEventListener("DOMContentLoaded", () => addPicker(document));
document.addEventListener("htmx:afterSettle", () => addPicker(document));
