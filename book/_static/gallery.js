// Galleries: a few cards at a time, in the order and with the filters that the gallery's own script
// sets. Cards that come later are not drawn, and their images not loaded, until they are asked for.
(function () {
  "use strict";
  const STEP = 12;

  function page(body) {
    const more = document.createElement("button");
    more.type = "button";
    more.className = "lsg-more";
    body.closest("table").after(more);
    let shown = STEP;

    const show = () => {
      const rows = Array.from(body.rows).filter((row) => !row.hidden);
      rows.forEach((row, index) => row.classList.toggle("lsg-later", index >= shown));
      const left = Math.max(0, rows.length - shown);
      more.hidden = left === 0;
      more.textContent = `show ${Math.min(STEP, left)} more (${left} left)`;
    };
    const restart = () => {
      shown = STEP;
      show();
    };
    // a link to a card shows it, and all before it
    const reach = () => {
      const rows = Array.from(body.rows).filter((row) => !row.hidden);
      const place = rows.findIndex((row) => row.id === location.hash.slice(1));
      if (place < 0) return;
      shown = Math.max(shown, STEP * Math.ceil((place + 1) / STEP));
      show();
      rows[place].scrollIntoView();
    };

    more.addEventListener("click", () => {
      const first = Array.from(body.rows).find((row) => row.classList.contains("lsg-later"));
      shown += STEP;
      show();
      first.querySelector("a").focus({ preventScroll: true });
    });
    new MutationObserver(restart).observe(body, {
      childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"],
    });
    window.addEventListener("hashchange", () => setTimeout(reach)); // after the observer
    show();
    setTimeout(reach);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const body of document.querySelectorAll(".lsg tbody")) page(body);
  });
})();
