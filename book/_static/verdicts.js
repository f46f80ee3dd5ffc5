// The matrix of verdicts and the figure of effects: the numbers of what is pointed at or has the
// focus, and one network at a time. Without this script all cells and marks are there.
(function () {
  "use strict";
  const HINT = "Point at a cell or a mark, tap it, or move to it with the Tab key, for its numbers.";

  function networks(box) {
    const names = Array.from(box.querySelectorAll("thead [data-network]"), (one) => one.dataset.network);
    const select = document.createElement("select");
    select.append(new Option("all", ""), ...names.map((name) => new Option(name, name)));
    select.addEventListener("change", () => {
      for (const one of box.querySelectorAll("[data-network]")) {
        one.toggleAttribute("hidden", select.value !== "" && one.dataset.network !== select.value);
      }
    });
    const label = document.createElement("label");
    label.append("Network ", select);
    return label;
  }

  function interactive(box) {
    const numbers = document.createElement("output");
    numbers.textContent = HINT;
    const tools = document.createElement("div");
    tools.className = "verdict-tools";
    tools.append(networks(box), numbers);
    box.prepend(tools);
    for (const one of box.querySelectorAll("[data-numbers]")) {
      one.setAttribute("tabindex", "0");
      const show = () => (numbers.textContent = one.dataset.numbers);
      const hide = () => (numbers.textContent = box.querySelector(":focus")?.dataset.numbers ?? HINT);
      one.addEventListener("mouseenter", show);
      one.addEventListener("focus", show);
      one.addEventListener("mouseleave", hide);
      one.addEventListener("blur", () => (numbers.textContent = HINT));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".verdicts")) interactive(box);
  });
})();
