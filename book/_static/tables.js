// Tables: sort published ones by a column, and fade the edge behind which a wide one goes on.
(function () {
  "use strict";

  function value(row, index) {
    const text = row.cells[index].textContent.trim().replace(/\*$/, "");
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text : number;
  }

  // empty cells come last in both directions
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(table, header) {
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const sign = descending ? -1 : 1;
    rows.sort((a, b) => compare(value(a, header.cellIndex), value(b, header.cellIndex), sign));
    body.append(...rows);
  }

  const BOXES = ".run-table-box, .run-status, .pst-scrollable-table-container";

  function fade(box) {
    const mark = () => {
      box.classList.toggle("goes-on", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
    };
    box.addEventListener("scroll", mark, { passive: true });
    new ResizeObserver(mark).observe(box);
    mark();
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(BOXES)) fade(box);
    for (const table of document.querySelectorAll("table.sortable")) {
      for (const header of table.tHead.rows[0].cells) {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...header.childNodes);
        button.addEventListener("click", () => sort(table, header));
        header.append(button);
      }
    }
  });
})();
